"""Everything of a training that changes, and that a resumed one must get back to the bit."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rl_core.base.errors import TollgateError
from rl_core.learning.envs.core import state_tensors, with_tensors
from rl_core.learning.guard import Part, StepGuard
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.history import PPOIteration, Validation
from rl_core.learning.ppo.rollout import RolloutCarry
from rl_core.learning.ppo.tracker import TradeSummary, TradeTotals
from rl_core.learning.settings import PPOConfig

LOSSES = ("policy_loss", "value_loss", "return_loss", "clone_kl")


@dataclass
class Learner:
    """A policy that learns, its optimisers, and how far it has come."""

    model: ActorCritic
    optimisers: Mapping[str, torch.optim.Optimizer]  # actor, and critic unless heads only
    parts: Mapping[str, Part]  # every parameter that learns once, by part of the network
    guard: StepGuard
    generator: torch.Generator
    iteration: int  # the last one that is done; 0 and below: critic warm-up
    env_steps: int
    totals: TradeTotals
    best_weights: dict[str, Tensor]
    position: RolloutCarry[Any] | None = (
        None  # of episodes that go on, where the last rollout ended
    )
    best_iteration: int = 0
    validations: list[Validation] = field(default_factory=lambda: [])
    history: list[PPOIteration] = field(default_factory=lambda: [])
    summaries: list[TradeSummary] = field(default_factory=lambda: [])

    def record_validation(self, validation: Validation, *, is_kept: bool | None = None) -> None:
        """Keep the weights if no iteration did better, or as told; the clone is iteration 0."""
        kept = next((v for v in self.validations if v.iteration == self.best_iteration), None)
        self.validations.append(validation)
        if is_kept or kept is None or validation.rank > kept.rank:
            self.best_iteration = validation.iteration
            self.best_weights = copy.deepcopy(self.model.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint stores as tensors, but for each process's own."""
        found = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        found |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        found |= {f"guard.{name}": tensor for name, tensor in self.guard.state.items()}
        found |= {f"totals.{name}": tensor for name, tensor in vars(self.totals).items()}
        for owner, optimiser in self.optimisers.items():
            for number, state in optimiser.state_dict()["state"].items():
                found |= {f"{owner}.{number}.{name}": tensor for name, tensor in state.items()}
        return found

    def own_tensors(self) -> dict[str, Tensor]:
        """What each process has of its own: its draws, and where its accounts stand."""
        positions = state_tensors(self.position)
        return {"generator": self.generator.get_state()} | {
            f"position.{number}": tensor for number, tensor in enumerate(positions)
        }

    def facts(self) -> dict[str, Any]:
        """What a checkpoint stores as JSON."""
        return {
            "iteration": self.iteration,
            "env_steps": self.env_steps,
            "best_iteration": self.best_iteration,
            "validations": [each.model_dump() for each in self.validations],
            "history": [each.model_dump() for each in self.history],
            "summaries": [each.model_dump() for each in self.summaries],
        }

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
        like: RolloutCarry[Any] | None = None,
    ) -> None:
        """Become what a checkpoint of the same network stores.

        Args:
            tensors: `tensors` and `own_tensors` of the learner that was stored.
            facts: its `facts`.
            like: a position of the form of the stored one, for episodes that go on.
        """
        device = next(self.model.parameters()).device

        def under(owner: str) -> dict[str, Tensor]:
            start = f"{owner}."
            return {
                name.removeprefix(start): tensor.to(device)
                for name, tensor in tensors.items()
                if name.startswith(start)
            }

        self.model.load_state_dict(under("model"))
        self.best_weights = under("best")
        for name, tensor in under("guard").items():
            self.guard.state[name].copy_(tensor)
        self.totals = TradeTotals(**under("totals"))
        for owner, optimiser in self.optimisers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, tensor in under(owner).items():
                number, name = key.split(".", 1)
                state.setdefault(int(number), {})[name] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
        self.generator.set_state(tensors["generator"])
        if "position.0" in tensors:
            count = len(state_tensors(like))
            self.position = with_tensors(like, [tensors[f"position.{i}"] for i in range(count)])
        self.iteration, self.env_steps = facts["iteration"], facts["env_steps"]
        self.best_iteration = facts["best_iteration"]
        self.validations = [Validation(**each) for each in facts["validations"]]
        self.history = [PPOIteration(**each) for each in facts["history"]]
        self.summaries = [TradeSummary(**each) for each in facts["summaries"]]


def new_learner(
    model: ActorCritic,
    config: PPOConfig,
    guard_options: Mapping[str, Any],
    rank: int = 0,
    num_rules: int = 1,
) -> Learner:
    """A training that has not begun.

    Args:
        model: the policy to start from, on its device.
        config: rates and limits.
        guard_options: see `StepGuard`.
        rank: of this process; each draws its own rollouts.
        num_rules: that an account of the environment may break.
    """
    device = next(model.parameters()).device
    parts = network_parts(model, config)
    critic = parts["value_head"].parameters if "value_head" in parts else []
    owned = {id(parameter) for parameter in critic}
    learning = [p for part in parts.values() for p in part.parameters]
    rates = {
        "actor": ([p for p in learning if id(p) not in owned], config.actor_learning_rate),
        "critic": (critic, config.critic_learning_rate),
    }
    return Learner(
        model=model,
        optimisers={
            name: torch.optim.Adam(parameters, lr=rate, eps=1e-5, fused=True)
            for name, (parameters, rate) in rates.items()
            if parameters
        },
        parts=parts,
        guard=StepGuard((*LOSSES, *parts), config.max_skipped_updates, device, **guard_options),
        generator=torch.Generator(device=device).manual_seed(config.seed + 1_000_003 * rank),
        iteration=-config.warmup_iterations,
        env_steps=0,
        totals=TradeTotals.zero(num_rules, device),
        best_weights=copy.deepcopy(model.state_dict()),
    )


def network_parts(model: ActorCritic, config: PPOConfig) -> dict[str, Part]:
    """Every parameter that learns once, by part, with the part's gradient clip.

    The risk head was fitted to the dataset's labels, of which PPO has none.
    """
    heads = list(model.return_heads.parameters()) if model.return_heads is not None else []
    return_heads = Part(heads, config.auxiliary_gradient_clip)
    if config.train_heads_only:
        return {"return_heads": return_heads}
    spread = [model.strength_log_std] if model.has_strength else []
    parts = {
        "encoder": Part(list(model.encoder.parameters()), config.gradient_clip),
        "policy_head": Part([*model.policy_head.parameters(), *spread], config.gradient_clip),
        "value_head": Part(list(model.value_head.parameters()), config.gradient_clip),
    }
    return parts | ({"return_heads": return_heads} if heads else {})


def require_same_shapes(model: nn.Module, weights: Mapping[str, Tensor], owner: str) -> None:
    """Refuse weights of another architecture.

    Raises:
        TollgateError: names the first tensor that differs and both shapes.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in {**wanted, **found}:
        if wanted.get(name) != found.get(name):
            raise TollgateError(
                f"{owner} must hold the network that is asked for, was {name} of shape "
                f"{found.get(name)} for {wanted.get(name)}: ask for the same network, or add "
                "--allow-fresh to start anew"
            )

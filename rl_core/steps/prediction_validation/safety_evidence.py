"""The arrays that the safety tier judges, gathered from the sealed links.

Shapes: S bars of the test span, H horizons, R rows of a dataset, A actions.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from rl_core.base.errors import TollgateError
from rl_core.judging.figures import RegimeFigures
from rl_core.judging.safety import (
    Behaviour,
    CloneAgreement,
    Evidence,
    HeadTraining,
    Imitation,
    measure_latencies,
)
from rl_core.learning.cloning.clone import (
    Demonstrations,
    cloning_loss,
    cloning_scores,
    demonstrated_heads,
    split_heads,
    windows,
)
from rl_core.learning.cloning.figures import CloningScores
from rl_core.learning.models.actor_critic import ActorCritic, head_weights
from rl_core.learning.models.hybrid_action import most_likely_action
from rl_core.learning.models.policy_file import Policy, load_initial_heads, load_policy
from rl_core.learning.policy_walk import step_through
from rl_core.learning.settings import CloningConfig
from rl_core.serving.loaded import LoadedModel
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.judged import CPU, JudgedPolicy
from rl_core.trading.accounts import HOLD

STEPPED_BARS = 256  # of the test span, in the environment beside the backtest
GRADIENT_ROWS = 2048  # of training, for the share of the trunk's gradient


def safety_evidence(judged: JudgedPolicy, regimes: Mapping[str, RegimeFigures]) -> Evidence:
    """Gather the arrays that the safety tier judges."""
    policy, bc = judged.policy, judged.desk.bc
    train, test = judged.demonstrations("train"), judged.demonstrations("test")
    error, other_decisions = account_error(judged)
    return Evidence(
        horizons=policy.spec.horizons,
        predictions=judged.unshrunk_predictions,
        targets=judged.targets,
        actions=judged.decisions.action,
        action_names=policy.spec.actions,
        train=imitation(cloning_scores(policy.model, train, bc)),
        test=imitation(cloning_scores(policy.model, test, bc)),
        latencies_seconds=measure_latencies(answering(judged)),
        account_error=error,
        other_decisions=other_decisions,
        regimes=regimes,
        on_train=behaviour(policy, train, bc),
        on_test=behaviour(policy, test, bc),
        heads=None if judged.predictions is None else head_training(judged, train),
        clone=clone_agreement(judged, test),
        missing_links=missing_links(judged),
    )


def answering(judged: JudgedPolicy) -> Callable[[], object]:
    """What a served model does to answer for the last bar, to be timed."""
    policy = judged.policy
    model = LoadedModel(policy, judged.desk, {}, policy.spec.memory_bars)
    return lambda: model.answer(judged.market, {})


def imitation(scores: CloningScores) -> Imitation:
    """How a policy imitates the teacher on one split."""
    return Imitation(scores.imitation_loss, scores.accuracy)


@torch.no_grad()
def behaviour(policy: Policy, rows: Demonstrations, config: CloningConfig) -> Behaviour:
    """How often a policy takes each action on the teacher's states, and how strongly."""
    heads = split_heads(policy.model.eval(), rows, config)
    decided = most_likely_action(heads)
    counts = torch.bincount(decided.category, minlength=len(policy.spec.actions)).double()
    orders = decided.strength[decided.category != HOLD] if policy.spec.has_strength else None
    return Behaviour(
        action_shares=(counts / counts.sum()).numpy(),
        strengths=np.zeros(0) if orders is None else orders.double().numpy(),
    )


def head_training(judged: JudgedPolicy, rows: Demonstrations) -> HeadTraining:
    """How far the return heads moved, and how much of the trunk's gradient is theirs."""
    initial = load_initial_heads(judged.input(PPO))
    moved = torch.zeros(len(judged.policy.spec.horizons))
    length = torch.zeros_like(moved)
    for name, weights in head_weights(judged.policy.model).items():
        before = initial[name].flatten(1) if initial[name].ndim > 1 else initial[name][:, None]
        after = weights.cpu().reshape(before.shape)
        moved += (after - before).square().sum(dim=1)
        length += before.square().sum(dim=1)
    distance = (moved.sqrt() / length.sqrt().clamp(min=1e-12)).tolist()
    return HeadTraining(
        movement=dict(zip(judged.policy.spec.horizons, distance, strict=True)),
        gradient_share=gradient_share(judged.policy.model, rows, judged.desk.bc),
    )


def gradient_share(model: ActorCritic, rows: Demonstrations, config: CloningConfig) -> float:
    """Norm of the return losses' gradient at the encoder / that of all losses, 0..1."""
    index = windows(model, len(rows.actions), config, CPU)
    most = max(GRADIENT_ROWS // len(index), 1)
    batch = rows.take(index[:, :: max(index.shape[1] // most, 1)])
    trunk = [weights for weights in model.encoder.parameters() if weights.requires_grad]
    with torch.enable_grad():
        loss = cloning_loss(
            model, demonstrated_heads(model, batch.states, batch), batch, config, None
        )
        parts = (config.return_weight * loss.returns.sum(), loss.imitation)
        norms = [
            torch.cat(
                [
                    gradient.flatten()
                    for gradient in torch.autograd.grad(
                        part, trunk, retain_graph=True, materialize_grads=True
                    )
                ]
            ).norm()
            for part in parts
        ]
    return float(norms[0] / (norms[0] + norms[1]).clamp(min=1e-12))


def clone_agreement(judged: JudgedPolicy, test: Demonstrations) -> CloneAgreement:
    """How the clone that PPO began with agrees with the teacher."""
    sealed = judged.context.input_of(judged.input(PPO), CLONE)
    clone = load_policy(sealed, judged.context.kind.state.names)
    scores = cloning_scores(clone.model, test, judged.desk.bc)
    return CloneAgreement(
        accuracy=scores.accuracy,
        balanced_accuracy=scores.balanced_accuracy,
        matthews=scores.matthews,
        majority_share=scores.majority_share,
        num_actions=len(test.actions.unique()),
    )


def missing_links(judged: JudgedPolicy) -> list[str]:
    """Steps that the policy's lineage should have and has not, or what is wrong with one."""
    try:
        found = judged.context.artifacts.lineage(judged.input(PPO).artifact)
    except TollgateError as error:
        return [str(error)]
    return [step.name for step in PPO.ancestors if step.name not in found]


def account_error(judged: JudgedPolicy) -> tuple[float, int]:
    """How far the environment's account is from the backtest's, and how many decisions differ.

    The policy steps through the first bars of the span as it was trained, and must decide there
    what it was judged by.
    """
    first, last = judged.span
    end = min(first + STEPPED_BARS - 1, last)
    trading = judged.context.kind.trading(judged.market, CPU, judged.policy.spec.memory_bars)
    stepped, equity = step_through(judged.policy.model, trading, (first, end))
    rows = slice(0, end - first + 1)
    others = int((stepped.action != judged.decisions.action[rows]).sum())
    return relative_error(judged.account.equity[rows], equity), others


def relative_error(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest relative difference, 0 where both are 0."""
    return float((np.abs(values - expected) / np.maximum(np.abs(expected), 1e-9)).max())

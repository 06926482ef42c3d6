"""A policy on disk: weights as safetensors, and what they mean as JSON. No pickle anywhere."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rl_core.base.errors import TollgateError
from rl_core.features.regimes import RegimeThresholds
from rl_core.kinds.registry import STATES
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.settings import ModelConfig
from rl_core.trading.accounts import ACTIONS

WEIGHTS = "policy.safetensors"
SPEC = "policy.json"
INITIAL_HEADS = "initial_heads.safetensors"  # of the return heads, before any training


class PolicySpec(BaseModel):
    """What a policy's numbers mean; enough to build the network and its inputs again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelConfig
    features: tuple[str, ...]
    actions: tuple[str, ...] = ACTIONS
    has_strength: bool = True  # does an order say how much?
    horizons: tuple[str, ...]
    trained_horizons: tuple[str, ...]  # those whose return head was trained; no other is served
    thresholds: RegimeThresholds


@dataclass(frozen=True)
class Policy:
    """A network and its meaning."""

    model: ActorCritic
    spec: PolicySpec


def new_model(spec: PolicySpec) -> ActorCritic:
    """An untrained network of the spec's shape."""
    return ActorCritic(
        len(spec.features), len(spec.actions), len(spec.horizons), spec.model,
        has_strength=spec.has_strength,
    )  # fmt: skip


def save_policy(directory: Path, policy: Policy) -> None:
    """Write weights and spec into a directory."""
    save_weights(directory / WEIGHTS, policy.model)
    (directory / SPEC).write_text(policy.spec.model_dump_json(indent=2) + "\n")


def save_weights(path: Path, model: ActorCritic) -> None:
    """Write a network's weights alone."""
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(weights, path)


def load_policy(directory: Path, device: torch.device | str = "cpu") -> Policy:
    """Read a policy back, in evaluation mode.

    Raises:
        TollgateError: a file is missing or half-written, or the weights are of another shape.
    """
    if missing := [name for name in (SPEC, WEIGHTS) if not (directory / name).is_file()]:
        raise TollgateError(
            f"a policy must have {SPEC} and {WEIGHTS}, was without {', '.join(missing)} "
            f"in {directory}"
        )
    try:
        spec = PolicySpec.model_validate_json((directory / SPEC).read_text())
        weights = load_file(directory / WEIGHTS, device=str(device))
    except (ValidationError, SafetensorError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise TollgateError(f"the policy in {directory} must be whole, was not: {reason}") from None
    if spec.features not in {table.names for table in STATES.values()}:
        raise TollgateError(
            f"the policy in {directory} must read this version's features, was {spec.features}"
        )
    model = new_model(spec).to(device)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        name = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        raise TollgateError(
            f"weights must fit the network in {directory}, was {name} of shape "
            f"{found.get(name)} for {expected.get(name)}"
        )
    model.load_state_dict(weights)
    return Policy(model.eval(), spec)


def load_initial_heads(directory: Path) -> dict[str, torch.Tensor]:
    """The return heads as they were initialised.

    Raises:
        TollgateError: the policy is of an earlier version, which did not keep them.
    """
    path = directory / INITIAL_HEADS
    if not path.is_file():
        raise TollgateError(
            f"a policy must have {INITIAL_HEADS}, was without in {directory}: train it again"
        )
    return load_file(path)

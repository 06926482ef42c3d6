"""A policy on disk: weights as safetensors, and what they mean as JSON. No pickle anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load

from rl_core.base.errors import TollgateError
from rl_core.base.files import parse_json
from rl_core.features.regimes import RegimeThresholds
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.settings import ModelConfig
from rl_core.store.migrations import migrate_policy
from rl_core.store.tensors import write_tensors
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
    memory_bars: int | None = None  # a recurrent policy forgets so often; see `policy_walk`


class Files(Protocol):
    """A folder whose files are verified as they are read."""

    @property
    def path(self) -> Path:
        """Where the folder lies, for messages."""
        ...

    @property
    def schema_number(self) -> int:
        """Schema under which it was written."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of one of its files."""
        ...


@dataclass(frozen=True)
class Policy:
    """A network, with what it was trained to see and to do."""

    model: ActorCritic
    spec: PolicySpec


def new_model(spec: PolicySpec) -> ActorCritic:
    """An untrained network of the spec's shape."""
    return ActorCritic(
        len(spec.features), len(spec.actions), len(spec.horizons), spec.model,
        has_strength=spec.has_strength,
    )  # fmt: skip


def save_policy(directory: Path, policy: Policy) -> None:
    """Write weights and spec into a directory.

    Raises:
        TollgateError: a weight is not finite.
    """
    save_weights(directory / WEIGHTS, policy.model)
    (directory / SPEC).write_text(policy.spec.model_dump_json(indent=2, exclude_none=True) + "\n")


def save_weights(path: Path, model: ActorCritic) -> None:
    """Write a network's weights alone.

    Raises:
        TollgateError: a weight is not finite.
    """
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    require_finite(weights, path)
    write_tensors(path, weights)


def require_finite(tensors: Mapping[str, torch.Tensor], where: Path) -> None:
    """Refuse numbers that are none, in whatever parameter or buffer.

    Raises:
        TollgateError: names the first tensor that holds NaN or infinity.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise TollgateError(f"weights must be finite, was NaN or infinity in {name} of {where}")


def load_policy(
    files: Files, features: tuple[str, ...], device: torch.device | str = "cpu"
) -> Policy:
    """Read a policy back, in evaluation mode.

    Args:
        files: the sealed folder that holds it.
        features: names of the state's columns, as this version computes them.
        device: where the network is put.

    Raises:
        TollgateError: a file is missing or half-written, the policy reads other features, or its
            weights are of another shape or type, or not finite.
    """
    where = files.path
    try:
        told = parse_json(files.read(SPEC), where / SPEC)
        spec = PolicySpec.model_validate(migrate_policy(told, files.schema_number, str(where)))
        weights = load(files.read(WEIGHTS))
    except (ValidationError, SafetensorError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise TollgateError(f"the policy in {where} must be whole, was not: {reason}") from None
    if spec.features != features:
        raise TollgateError(
            f"the policy in {where} must read this version's features, was {spec.features}"
        )
    model = new_model(spec)
    # made before heads were shrunk: as large as they were trained
    weights.setdefault("return_shrinkage", torch.ones(len(spec.horizons)))
    expected = {name: _kind_of_tensor(tensor) for name, tensor in model.state_dict().items()}
    found = {name: _kind_of_tensor(tensor) for name, tensor in weights.items()}
    if expected != found:
        name = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        raise TollgateError(
            f"weights must fit the network in {where}, was {name} of shape "
            f"{found.get(name)} for {expected.get(name)}"
        )
    require_finite(weights, where)
    model.load_state_dict(weights)
    return Policy(model.to(device).eval(), spec)


def _kind_of_tensor(tensor: torch.Tensor) -> str:
    """Shape and type, for comparison and for messages."""
    dtype = "" if tensor.dtype == torch.float32 else f" {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{dtype}"


def load_initial_heads(files: Files) -> dict[str, torch.Tensor]:
    """The return heads as they were initialised.

    Raises:
        TollgateError: the policy was sealed without them, or they are not finite.
    """
    try:
        heads = load(files.read(INITIAL_HEADS))
    except SafetensorError as error:
        raise TollgateError(f"{files.path / INITIAL_HEADS} must be whole: {error}") from None
    require_finite(heads, files.path / INITIAL_HEADS)
    return heads

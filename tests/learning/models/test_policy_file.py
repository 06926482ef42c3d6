"""A policy survives the disk; a broken one is one error."""

from pathlib import Path

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.features.regimes import RegimeThresholds
from rl_core.kinds.spot.state import SPOT_STATE
from rl_core.learning.models.policy_file import (
    SPEC,
    WEIGHTS,
    Policy,
    PolicySpec,
    load_policy,
    new_model,
    save_policy,
)
from rl_core.learning.settings import ModelConfig

SPEC_OF_TEST = PolicySpec(
    model=ModelConfig(hidden_dim=16, head_dim=8),
    features=SPOT_STATE.names,
    horizons=("1h", "24h"),
    trained_horizons=("1h", "24h"),
    thresholds=RegimeThresholds(
        low_volatility=1, high_volatility=2, high_atr_fraction=3, trending_adx=0.2
    ),
)


def saved(folder: Path) -> Policy:
    torch.manual_seed(0)
    policy = Policy(new_model(SPEC_OF_TEST), SPEC_OF_TEST)
    policy.model.return_scale.copy_(torch.tensor([0.01, 0.05]))
    save_policy(folder, policy)
    return policy


def test_a_policy_comes_back_with_every_weight_and_buffer(tmp_path: Path) -> None:
    policy, loaded = saved(tmp_path), load_policy(tmp_path)
    assert loaded.spec == policy.spec
    for name, tensor in policy.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name]), name
    assert not loaded.model.training


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(TollgateError, match=f"was without {name} in"):
        load_policy(tmp_path)


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_a_half_written_file_is_an_error(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(TollgateError, match="must be whole, was not"):
        load_policy(tmp_path)


def test_weights_of_another_shape_are_refused_with_both_shapes(tmp_path: Path) -> None:
    saved(tmp_path)
    wider = SPEC_OF_TEST.model_copy(update={"model": ModelConfig(hidden_dim=32, head_dim=8)})
    (tmp_path / SPEC).write_text(wider.model_dump_json())
    with pytest.raises(TollgateError, match=r"of shape \(16, 34\) for \(32, 34\)"):
        load_policy(tmp_path)

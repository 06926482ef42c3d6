"""A policy survives the disk; a broken one is one error."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

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
from rl_core.store.sealed import SealedFolder, draft_folder, seal

SPEC_OF_TEST = PolicySpec(
    model=ModelConfig(hidden_dim=16, head_dim=8),
    features=SPOT_STATE.names,
    horizons=("1h", "24h"),
    trained_horizons=("1h", "24h"),
    thresholds=RegimeThresholds(
        low_volatility=1, high_volatility=2, high_atr_fraction=3, trending_adx=0.2
    ),
)


def sealed(folder: Path) -> SealedFolder:
    """What lies in the folder, sealed as it is: hashes hold, whatever the files say."""
    with draft_folder(folder) as draft:
        for file in folder.iterdir():
            if file.is_file():
                (draft / file.name).write_bytes(file.read_bytes())
        return seal(draft, folder / "sealed", "seal.json", {})


def read_back(folder: Path) -> Policy:
    return load_policy(sealed(folder), SPOT_STATE.names)


def saved(folder: Path) -> Policy:
    torch.manual_seed(0)
    policy = Policy(new_model(SPEC_OF_TEST), SPEC_OF_TEST)
    policy.model.return_scale.copy_(torch.tensor([0.01, 0.05]))
    save_policy(folder, policy)
    return policy


def test_a_policy_comes_back_with_every_weight_and_buffer(tmp_path: Path) -> None:
    policy, loaded = saved(tmp_path), read_back(tmp_path)
    assert loaded.spec == policy.spec
    for name, tensor in policy.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name]), name
    assert not loaded.model.training


def test_a_policy_from_before_heads_were_shrunk_says_what_it_said(tmp_path: Path) -> None:
    policy = saved(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    del weights["return_shrinkage"]
    save_file(weights, tmp_path / WEIGHTS)
    loaded = read_back(tmp_path)
    said = torch.tensor([[1.0, -2.0]])
    assert loaded.model.predicted_returns(said).tolist() == [pytest.approx([0.01, -0.1])]
    assert torch.equal(loaded.model.forecasts(said), policy.model.forecasts(said))


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(TollgateError, match=f"must hold {name}, was sealed without"):
        read_back(tmp_path)


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_a_half_written_file_is_an_error(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(TollgateError, match="must be whole"):
        read_back(tmp_path)


def test_weights_of_another_shape_are_refused_with_both_shapes(tmp_path: Path) -> None:
    saved(tmp_path)
    wider = SPEC_OF_TEST.model_copy(update={"model": ModelConfig(hidden_dim=32, head_dim=8)})
    (tmp_path / SPEC).write_text(wider.model_dump_json())
    with pytest.raises(TollgateError, match=r"of shape \(16, 34\) for \(32, 34\)"):
        read_back(tmp_path)


def test_a_policy_of_other_features_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(TollgateError, match="must read this version's features"):
        load_policy(sealed(tmp_path), ("other",))


NAMES = [name for name in new_model(SPEC_OF_TEST).state_dict() if "num_batches" not in name]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_is_none_is_neither_written_nor_read(
    tmp_path: Path, name: str, number: float
) -> None:
    """In whatever parameter or buffer: value head, strength, standardiser, return scale."""
    policy = saved(tmp_path)
    weights = {key: tensor.clone() for key, tensor in policy.model.state_dict().items()}
    weights[name].view(-1)[0] = number
    save_file(weights, tmp_path / WEIGHTS)  # hashes will hold
    message = f"weights must be finite, was NaN or infinity in {name}"
    with pytest.raises(TollgateError, match=message):
        read_back(tmp_path)
    policy.model.load_state_dict(weights)
    with pytest.raises(TollgateError, match=message):
        save_policy(tmp_path, policy)


def test_weights_of_another_type_are_refused(tmp_path: Path) -> None:
    policy = saved(tmp_path)
    halves = {name: tensor.half() for name, tensor in policy.model.state_dict().items()}
    save_file(halves, tmp_path / WEIGHTS)
    with pytest.raises(TollgateError, match="float16"):
        read_back(tmp_path)

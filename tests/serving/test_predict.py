"""A prediction says what the network says, and nothing where the network was not trained."""

import numpy as np
import pytest
import torch

from rl_core.features.regimes import RegimeThresholds
from rl_core.kinds.spot.state import SPOT_STATE
from rl_core.learning.models.policy_file import Policy, PolicySpec, new_model
from rl_core.learning.settings import ModelConfig
from rl_core.serving.answer import decide_state


def policy(trained: tuple[str, ...], bias: list[float]) -> Policy:
    """A policy whose heads answer their biases whatever they see."""
    spec = PolicySpec(
        model=ModelConfig(hidden_dim=8, head_dim=4),
        features=SPOT_STATE.names,
        horizons=("1h", "24h"),
        trained_horizons=trained,
        thresholds=RegimeThresholds(
            low_volatility=1, high_volatility=2, high_atr_fraction=3, trending_adx=0.2
        ),
    )
    model = new_model(spec).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        last = model.policy_head[-1]
        assert isinstance(last, torch.nn.Linear)
        assert model.return_heads is not None
        last.bias.copy_(torch.tensor(bias))
        model.return_heads.bias.copy_(torch.tensor([2.0, -300.0]))
        model.return_scale.copy_(torch.tensor([0.01, 0.05]))
    return Policy(model, spec)


def test_the_answer_by_hand() -> None:
    answer = decide_state(
        policy(("1h", "24h"), [0.0, np.log(3.0), 0.0, 0.0]), np.zeros(34, np.float32)
    )
    assert answer["action"] == "BUY"
    assert answer["strength"] == pytest.approx(0.5)
    assert answer["probabilities"] == pytest.approx({"HOLD": 0.2, "BUY": 0.6, "SELL": 0.2})
    assert answer["predicted_return_1h"] == pytest.approx(0.02)
    assert answer["predicted_return_24h"] == -1.0  # clipped where it is served


def test_only_trained_horizons_are_answered() -> None:
    answer = decide_state(policy(("24h",), [1.0, 0.0, 0.0, 0.0]), np.zeros(34, np.float32))
    assert answer["action"] == "HOLD"
    assert answer["strength"] == 0.0
    assert answer["predicted_return_1h"] is None
    assert answer["predicted_return_24h"] == -1.0
    assert answer["predicted_return_24h_interval"] is None
    assert answer["reasons"] == {
        "predicted_return_1h": "the return head of this horizon was not trained",
        "predicted_return_24h_interval": "no interval of this horizon was calibrated when the "
        "model was judged",
    }


def test_an_interval_lies_around_its_prediction_and_is_clipped_like_it() -> None:
    served = policy(("1h", "24h"), [1.0, 0.0, 0.0, 0.0])
    answer = decide_state(served, np.zeros(34, np.float32), half_widths={"1h": 0.02, "24h": 0.5})
    middle = answer["predicted_return_1h"]
    low, high = answer["predicted_return_1h_interval"]
    assert (low, high) == (max(middle - 0.02, -1), min(middle + 0.02, 1))
    assert answer["predicted_return_24h_interval"] == [-1.0, -0.5]
    assert answer["reasons"] == {}

"""The network has the size and the outputs that the design states."""

import pytest
import torch

from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.settings import ModelConfig

SOURCE = ModelConfig(hidden_dim=256, encoder_layers=2, gru_layers=2, head_dim=128)


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_published_architecture_has_941457_parameters() -> None:
    model = ActorCritic(64, 16, num_horizons=0, config=SOURCE, has_strength=False)
    assert count(model) == 941_457


def test_each_return_head_adds_one_linear_row() -> None:
    model = ActorCritic(64, 16, num_horizons=2, config=SOURCE, has_strength=False)
    assert count(model) == 941_457 + 2 * (256 + 1)


def test_heads_have_their_shapes_and_memory_only_with_a_gru() -> None:
    observations = torch.zeros(5, 34)
    heads = ActorCritic(34, 3, 2, ModelConfig())(observations)
    assert heads.logits.shape == (5, 3)
    assert heads.strength is not None
    assert heads.strength.shape == heads.value.shape == (5,)
    assert heads.returns.shape == (5, 2)
    assert heads.memory is None
    recurrent = ActorCritic(34, 3, 2, ModelConfig(gru_layers=2))(observations)
    assert recurrent.memory is not None
    assert recurrent.memory.shape == (2, 5, 128)


def test_return_heads_are_linear_in_training_and_clipped_only_when_served() -> None:
    model = ActorCritic(34, 3, 1, ModelConfig())
    assert model.return_heads is not None
    model.return_scale.fill_(0.5)
    with torch.no_grad():
        model.return_heads.bias.fill_(40.0)
    standardised = model(torch.zeros(1, 34)).returns
    assert standardised.item() > 20
    standardised.backward()
    assert model.return_heads.bias.grad is not None
    assert model.return_heads.bias.grad.item() == 1.0  # a clamp would have killed it
    assert model.predicted_returns(standardised).item() == 1.0


def test_inputs_are_standardised_by_the_rows_they_were_fitted_on() -> None:
    model = ActorCritic(2, 3, 0, ModelConfig(), has_strength=False)
    model.standardiser.fit(torch.tensor([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]))
    assert model.standardiser(torch.tensor([[4.0, 5.0]])).tolist() == [[1.0, 0.0]]
    assert model.standardiser(torch.tensor([[1e9, 5.0]])).tolist() == [[10.0, 0.0]]


@pytest.mark.parametrize("layers", [1, 3])
def test_the_encoder_is_as_deep_as_configured(layers: int) -> None:
    model = ActorCritic(34, 3, 0, ModelConfig(encoder_layers=layers), has_strength=False)
    assert sum(isinstance(m, torch.nn.Linear) for m in model.encoder.modules()) == layers


def test_attention_stands_beside_the_features_and_sees_them_all() -> None:
    model = ActorCritic(6, 3, 0, ModelConfig(attention_dim=8), has_strength=False).eval()
    first = model.encoder.mlp[0]
    assert isinstance(first, torch.nn.Linear)
    assert first.in_features == 6 + 8
    attention = model.encoder.attention
    assert attention is not None
    seen = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    changed = seen.clone()
    changed[:, 5] += 1
    assert torch.equal(attention(seen)[:, :6], seen)
    assert not torch.allclose(attention(seen)[:, 6:], attention(changed)[:, 6:])
    # whether time steps come as one block or not
    together = attention(torch.stack([seen, changed]))
    torch.testing.assert_close(together[1], attention(changed))


def test_layer_norm_linear_heads_and_the_risk_head_follow_the_config() -> None:
    plain = ActorCritic(34, 3, 2, ModelConfig(layer_norm=False, head_dim=0, dropout=0.0))
    assert not any(isinstance(m, torch.nn.LayerNorm) for m in plain.modules())
    # 34 -> 128 -> 128, four policy outputs, a value, two returns, one spread
    assert count(plain) == 34 * 128 + 128 + 128 * 128 + 128 + 129 * 4 + 129 + 129 * 2 + 1
    assert plain(torch.zeros(5, 34)).risk is None
    risky = ActorCritic(34, 3, 2, ModelConfig(risk_head=True))(torch.zeros(5, 34))
    assert risky.risk is not None
    assert risky.risk.shape == (5, 3)

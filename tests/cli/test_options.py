"""Options of the training commands come from the settings that they replace."""

import re
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rl_core.base.errors import TollgateError
from rl_core.cli import options
from rl_core.cli.options import ALIASES, with_settings
from rl_core.learning.settings import CloningConfig, ModelConfig, PPOConfig


def invoke(sections: dict[str, Any], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    @with_settings(**sections)
    def command(desk: str = "x", *, settings: dict[str, Any]) -> None:
        found.update(settings)

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found


def test_what_is_not_given_is_left_to_the_desk() -> None:
    assert invoke({"ppo": PPOConfig, "model": ModelConfig}) == {}


def test_each_kind_of_setting_is_read_as_what_it_is() -> None:
    found = invoke(
        {"ppo": PPOConfig, "model": ModelConfig},
        "--initial-lr", "3e-4", "--num-envs", "64", "--amp", "--no-compile", "--mode", "full",
        "--target-kl", "0.02", "--n-gru-layers", "1", "--train-heads-only",
    )  # fmt: skip
    assert found == {
        "ppo.actor_learning_rate": 3e-4, "ppo.num_envs": 64, "ppo.amp": True,
        "ppo.compile": False, "ppo.mode": "full", "ppo.target_kl": 0.02, "model.gru_layers": 1,
        "ppo.train_heads_only": True,
    }  # fmt: skip
    assert invoke({"bc": CloningConfig}, "--seeds", "1,2", "--lr", "1")["bc.seeds"] == [1, 2]
    with pytest.raises(TollgateError, match="--seeds must be whole numbers, 42,123,456, was 1;2"):
        invoke({"bc": CloningConfig}, "--seeds", "1;2")


@pytest.mark.parametrize(
    "section", [("ppo", PPOConfig), ("bc", CloningConfig), ("model", ModelConfig)]
)
def test_every_setting_has_an_option_and_says_what_it_is(section: tuple[str, Any]) -> None:
    name, model = section
    made = options.parameters_of({name: model})
    settings = {path for path in made if not path.endswith("auxiliary_coefficients")}
    assert settings == {
        f"{name}.{field}" for field in model.model_fields if field != "auxiliary_coefficients"
    }
    for path, parameter in made.items():
        (option,) = parameter.annotation.__metadata__
        assert model.model_fields[path.split(".")[1]].description, path
        assert option.help.endswith(".")
        flag = ALIASES.get(path, "--" + path.split(".")[1].replace("_", "-"))
        assert option.default.split("/")[0] == flag


def test_bounds_stand_in_the_help() -> None:
    made = options.parameters_of({"ppo": PPOConfig})
    help_ = made["ppo.gae_lambda"].annotation.__metadata__[0].help
    assert re.search(r"at least 0, at most 1", help_)


def test_no_two_options_of_a_command_have_one_name() -> None:
    for sections in (
        {"ppo": PPOConfig, "model": ModelConfig},
        {"bc": CloningConfig, "model": ModelConfig},
    ):
        made = options.parameters_of(sections)
        flags = [p.annotation.__metadata__[0].default for p in made.values()]
        assert len(set(flags)) == len(flags)

"""`tollgate` as a person runs it: real processes, exit codes, one line for a mistake."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from rl_core.lab.markets.spot import simulate_bars
from tests.conftest import small_desk


class Shell:
    """A person's shell with a desk of their own."""

    def __init__(self, folder: Path) -> None:
        self.desks, self.data = folder / "desks", folder / "data"
        self.desks.mkdir()
        simulate_bars(3000, seed=7, signal_r2=0.05).to_parquet(folder / "bars.parquet", index=False)
        desk = small_desk(folder / "bars.parquet", name="mine").model_dump(
            mode="json", exclude_defaults=True
        )
        self.write_desk("mine", yaml.safe_dump(desk))

    def write_desk(self, name: str, text: str) -> None:
        (self.desks / f"{name}.yaml").write_text(text)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "TOLLGATE_DESKS": str(self.desks),
            "TOLLGATE_DATA": str(self.data),
        }

    def run(
        self, *arguments: str, launcher: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *launcher, "-m", "rl_core.cli", *arguments],
            capture_output=True, text=True, check=False, env=self.environment(),
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rl_core.cli", *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self.environment(),
        )  # fmt: skip

    def json(self, *arguments: str) -> dict[str, object]:
        result = self.run(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def menu(self, *arguments: str) -> list[dict[str, Any]]:
        result = self.run(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        assert "all 20 stocks are still listed" in answer["caveats"][0]
        return answer["regimes"]

    def refused(self, *arguments: str) -> str:
        """The one line of a refusal; nothing may have been written."""
        before = self.files()
        result = self.run(*arguments)
        assert result.returncode == 2, result.stdout + result.stderr
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        assert self.files() == before
        return result.stderr

    def current(self, step: str) -> Path:
        """Folder of the artefact that the chain stands on."""
        folder = self.data / "lake" / "mine" / step
        return folder / json.loads((folder / "current.json").read_text())["identity"][:16]

    def files(self) -> list[str]:
        found = [p for p in self.data.rglob("*") if p.is_file() and not p.name.endswith(".lock")]
        return sorted(str(p) for p in found)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("cli"))
    for link in ("bars", "backtest_history", "offline_dataset", "regime_dataset"):
        assert shell.run("build", link, "--desk", "mine").returncode == 0
    for command in ("bc", "ppo", "gate", "deploy"):
        result = shell.run(command, "--desk", "mine")
        assert result.returncode == 0, result.stderr
    return shell


COMMANDS = (
    "desks", "settings", "bars", "backtest", "build", "validate", "bc", "ppo", "gate", "deploy",
    "predict", "regimes", "summary", "models list", "models show", "models rollback",
    "models promote", "models trials", "walk-forward", "gate-trial",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_takes_json(command: str, tmp_path: Path) -> None:
    result = Shell(tmp_path).run(*command.split(), "--help")
    assert result.returncode == 0
    assert "--json" in result.stdout


def test_the_whole_chain_by_hand_ends_in_a_summary(trained: Shell) -> None:
    summary = trained.json("summary", "--desk", "mine")
    assert summary["model"]["stage"] == "shadow"  # type: ignore[index]
    shown = trained.run("summary", "--desk", "mine").stdout
    for word in (
        "bars",
        "HOLD",
        "bc_policy",
        "ppo_policy",
        "deployed_model",
        "shadow",
        "tollgate predict",
    ):
        assert word in shown


def test_predict_answers_in_json_with_every_field(trained: Shell) -> None:
    answer = trained.json("predict", "--desk", "mine")
    assert {
        "action",
        "strength",
        "probabilities",
        "predicted_return_1h",
        "predicted_return_24h",
    } <= set(answer)


def test_training_takes_its_options_and_stores_them(trained: Shell) -> None:
    result = trained.run(
        "ppo",
        "--desk",
        "mine",
        "--iterations",
        "1",
        "--aux-1h-coef",
        "0.5",
        "--device",
        "cpu",
        "--json",
    )
    assert result.returncode == 0, result.stderr
    assert "iteration 1/1" in result.stderr
    sealed = trained.current("ppo_policy") / "seal.json"
    config = json.loads(sealed.read_text())["settings"]["ppo"]
    assert config["auxiliary_coefficients"] == {"1h": 0.5}
    assert trained.run("ppo", "--desk", "mine").returncode == 0  # as it was


def test_models_can_be_listed_shown_and_rolled_back(trained: Shell) -> None:
    for command in ("gate", "deploy"):
        assert trained.run(command, "--desk", "mine").returncode == 0
    listed = trained.run("models", "list", "--desk", "mine", "--json")
    versions = json.loads(listed.stdout)
    assert [row["serving"] for row in versions] == [""] * (len(versions) - 1) + ["shadow"]
    oldest = versions[0]["version"]
    assert trained.json("models", "rollback", oldest, "--desk", "mine") == {
        "desk": "mine",
        "shadow": oldest,
    }
    assert trained.json("predict", "--desk", "mine")["version"] == oldest
    card = trained.run("models", "show", oldest, "--desk", "mine").stdout
    assert "Model card: mine" in card


def test_the_gate_prints_both_tiers_and_a_verdict_in_words(trained: Shell) -> None:
    shown = trained.run("gate", "--desk", "mine").stdout
    for words in (
        "safety: may it be served?", "skill: has it earned a vote?", "trials so far",
        "forecast_ranks_returns", "limit 0.0250", "Safe", "Skill: not shown", "95%",
    ):  # fmt: skip
        assert words in shown


def test_a_gate_trial_says_at_once_that_its_output_has_no_place(shell: Shell) -> None:
    said = shell.refused("gate-trial", "--output", str(shell.data / "none" / "found.md"))
    assert "--output must be a file in an existing folder" in said


@pytest.mark.slow
def test_a_gate_trial_prints_rates_with_intervals_and_writes_them(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    output = tmp_path / "found.md"
    result = shell.run(
        "gate-trial", "--markets", "1", "--planted-markets", "1", "--series", "5",
        "--processes", "1", "--output", str(output),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "gate-trial: 17 of 17" in result.stderr  # 6 markets, 10 kinds of series, the levels
    text = output.read_text()
    assert "| none (noise) | 1 | 0.0% (0.0% to 97.5%) |" in text
    assert "| 5.0% | 1 | 100.0% (2.5% to 100.0%) |" in text
    assert "20 times too loud" in text


def test_a_backtest_runs_alone_between_two_dates(shell: Shell, tmp_path: Path) -> None:
    output = tmp_path / "decisions.parquet"
    result = shell.json(
        "backtest", "--desk", "mine", "--start-date", "2015-02-01", "--end-date", "2015-02-28",
        "--output", str(output),
    )  # fmt: skip
    assert result["start"] == "2015-02-01 00:00:00+00:00"
    assert result["end"] == "2015-02-28 23:00:00+00:00"
    assert result["decisions"] == 28 * 24 == len(pd.read_parquet(output))
    assert set(result["performance"]) == {"ensemble", "buy_and_hold"}  # type: ignore[call-overload]
    assert shell.files() == []


def test_the_menu_of_a_portfolio_desk_says_what_each_regime_holds_and_costs(shell: Shell) -> None:
    records = shell.menu("regimes", "--desk", "us_portfolio", "--every", "20")
    by_name = {record["regime"]: record for record in records}
    assert len(by_name) == 12
    # twenty trades of a twentieth each: 0.03% + 0.025% + 0.01 x sqrt(1/20) = 0.2786%, and the cash
    # buys 1 / 1.002786 of what is wanted
    assert by_name["EQUAL_WEIGHT"]["cost_from_cash"] == pytest.approx(0.002786 / 1.002786, rel=2e-3)
    assert by_name["FULL_CASH"]["cost_from_equal_weight"] == pytest.approx(0.002786, rel=1e-3)
    assert by_name["HOLD"]["cost_from_equal_weight"] == 0
    assert by_name["MOMENTUM"]["sharpe"] < by_name["EQUAL_WEIGHT"]["sharpe"]
    day = shell.menu("regimes", "--desk", "us_portfolio", "--date", "2008-10-10")
    assert len(next(r for r in day if r["regime"] == "RISK_ON")["weights"]) == 6
    assert "annual_return" not in day[0]
    printed = shell.run("regimes", "--desk", "us_portfolio").stdout
    assert "cost from cash" in printed
    assert "SAFE_QUALITY" in printed


def test_the_quality_report_shows_the_rows_and_then_refuses(shell: Shell, tmp_path: Path) -> None:
    bars = pd.read_parquet(tmp_path / "bars.parquet").drop(index=range(100, 110))
    bars = pd.concat([bars, bars.iloc[[50]]])
    bars.to_parquet(tmp_path / "bars.parquet", index=False)
    result = shell.run("bars", "--desk", "mine", "--json")
    assert result.returncode == 2
    assert json.loads(result.stdout)["duplicate_rows"] == [2990]
    assert json.loads(result.stdout)["missing_bars"] == 10
    assert "must be strictly increasing in time" in result.stderr


DESK = "bars: {path: none.parquet, symbol: X}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DESK + "ppo: {epocs: 3}\n", "wrong.yaml: ppo.epocs: must be a known setting, was 3"),
        (DESK + "ppo: {clip: 2}\n", "ppo.clip: Input should be less than 1, was 2"),
        (DESK + "splits: {purge: 2h}\n", "splits.purge must be at least the longest of ('1h', '24h'), was 2h"),
        (DESK + "model: {gru_layers: 1}\nppo: {chunk_steps: 24}\n", "must be a multiple of ppo.chunk_steps, was 128 and 24"),
        (DESK + "name: other\n", "must be wrong, like the file, was other"),
        (DESK + "ppo: {clip: 0.1}\nppo: {clip: 0.2}\n", "wrong.yaml line 1 must be plain YAML: key ppo stands twice"),
        (DESK + "bc: &a {epochs: 3}\nppo: *a\n", "wrong.yaml line 3 must be plain YAML: aliases are not allowed"),
        (DESK + "bc: {epochs: [\n", "must be plain YAML"),
        (DESK + "regimes: {low_quantile: 0.8, high_quantile: 0.2}\n", "low_quantile must be below high_quantile, was 0.8 and 0.2"),
        (DESK + "retrain: {cron: every monday}\n", "retrain.cron: cron must be five fields such as 0 6 * * 1, was 'every monday'"),
        (DESK + "retrain: {timezone: Mars}\n", "timezone must be one such as UTC, was Mars"),
        (DESK + "ensemble: {technical: {full_momentum: 0.5}}\n", "full_momentum must be at least entry_momentum, was 0.5 and 1.0"),
        (DESK + "ppo: {auxiliary_coefficients: {1h: .nan}}\n", "ppo.auxiliary_coefficients.1h: Input should be a finite number"),
        ("- bars\n", "must hold settings by name, was list"),
        ("description: nothing\n", "bars: Field required"),
    ],
)  # fmt: skip
def test_a_wrong_desk_is_one_line(shell: Shell, text: str, message: str) -> None:
    shell.write_desk("wrong", text)
    assert message in shell.refused("settings", "--desk", "wrong")


def test_numbers_in_scientific_notation_are_numbers(shell: Shell) -> None:
    shell.write_desk("fine", DESK + "ppo: {actor_learning_rate: 3e-4}\n")
    settings = shell.json("settings", "--desk", "fine")
    assert settings["ppo"]["actor_learning_rate"] == 0.0003  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bars", "--desk", "nobody"), "desk must be one of btc_spot, index_futures, us_portfolio, mine, was nobody"),
        (("backtest", "--desk", "mine", "--start-date", "2031-01-01"),
         "start date must lie within the bars, 2015-01-01 to 2015-05-05, was 2031-01-01"),
        (("regimes", "--desk", "mine"), "desk must be of kind portfolio, was mine"),
        (("regimes", "--desk", "us_portfolio", "--date", "2008-10-11"),
         "--date must be a session between 1990-10-16 and 2022-12-28, was 2008-10-11"),
        (("regimes", "--desk", "us_portfolio", "--date", "never"), "--date must read like 2008-10-10, was never"),
        (("regimes", "--desk", "us_portfolio", "--every", "0"), "--every must be at least 1 session, was 0"),
        (("backtest", "--desk", "mine", "--end-date", "2014-01-01"), "end date must lie within the bars"),
        (("backtest", "--desk", "mine", "--start-date", "soon"), "dates must read like 2019-01-31, was soon"),
        (("backtest", "--desk", "mine", "--start-date", "2015-02-02", "--end-date", "2015-02-01"),
         "start date must not be after end date, was 2015-02-02 and 2015-02-01"),
        (("backtest", "--desk", "mine", "--output", "/no/such/folder/x.parquet"),
         "--output must be a file in an existing folder"),
        (("build", "nothing", "--desk", "mine"), "link must be one of bars, backtest_history"),
        (("build", "offline_dataset", "--desk", "mine"), "bars of desk mine must be built first, was not"),
        (("bc", "--desk", "mine", "--epochs", "0"), "bc.epochs: Input should be greater than 0, was 0"),
        (("ppo", "--desk", "mine", "--device", "tpu"), "--device must be a device of this machine, was tpu"),
        (("validate", "--desk", "mine"), "offline_dataset of desk mine must be built first"),
        (("deploy", "--desk", "mine"), "bars of desk mine must be built first, was not"),
        (("predict", "--desk", "mine"), "desk mine must have a shadow model, was none"),
        (("predict", "--desk", "mine", "--stage", "hero"), "stage must be one of shadow, champion, was hero"),
        (("models", "rollback", "v0", "--desk", "mine"), "version must be one of desk mine's (none), was v0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(
    shell: Shell, arguments: tuple[str, ...], message: str
) -> None:
    assert message in shell.refused(*arguments)


def test_a_training_builds_first_what_was_never_built(shell: Shell) -> None:
    result = shell.run("ppo", "--desk", "mine", "--iterations", "1", "-q")
    assert result.returncode == 0, result.stderr
    for link in ("bars", "backtest_history", "offline_dataset", "regime_dataset", "bc_policy"):
        assert f"{link} of desk mine was never built: building it first" in result.stderr
    for criterion in ("entropy_stayed_up", "mean_return_trends_up", "accounts_traded",
                      "metrics_are_complete", "no_update_was_skipped"):  # fmt: skip
        assert criterion in result.stdout


def test_a_training_does_not_build_on_what_a_check_refuses(shell: Shell, tmp_path: Path) -> None:
    bars = pd.read_parquet(tmp_path / "bars.parquet")
    bars.loc[100:120, ["open", "high", "low", "close"]] /= 100
    bars.to_parquet(tmp_path / "bars.parquet", index=False)
    result = shell.run("ppo", "--desk", "mine", "-q")
    assert result.returncode == 2
    assert "bars of desk mine must pass prices_have_one_unit, was refused: 21 bars" in result.stderr
    assert not (shell.data / "lake" / "mine" / "backtest_history").exists()


def test_a_missing_or_half_written_model_is_one_line(trained: Shell) -> None:
    folder = (
        trained.data / "models" / "mine" / str(trained.json("predict", "--desk", "mine")["version"])
    )
    weights = folder / "policy.safetensors"
    intact = weights.read_bytes()
    weights.write_bytes(intact[:1000])
    try:
        assert "was changed since (policy.safetensors)" in trained.refused(
            "predict", "--desk", "mine"
        )
    finally:
        weights.write_bytes(intact)
    folder.rename(folder.with_name("moved"))
    try:
        assert "version must be one of desk mine's" in trained.refused("predict", "--desk", "mine")
    finally:
        folder.with_name("moved").rename(folder)


def test_a_missing_folder_of_desks_is_one_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.desks = tmp_path / "gone"
    assert "TOLLGATE_DESKS must be a folder" in shell.refused("desks")


TRAINING_FLAGS = {
    "bc": "--epochs --batch-size --lr --hidden-dim --num-layers --dropout --weight-decay --seed "
    "--seeds --class-balance --focal-gamma --noise --risk-head --return-weight --n-gru-layers",
    "ppo": "--timesteps --episodes --iterations --hidden-dim --n-gru-layers --dropout "
    "--critic-epochs --gae-lambda --ent-coef --lr-annealing --initial-lr --final-lr --target-kl "
    "--value-clip --clone-kl --high-vram --low-vram --max-vram-gpu0 --max-vram-gpu1 --amp "
    "--compile --multi-gpu --resume --checkpoint --allow-fresh --verbose --quiet "
    "--train-heads-only --mode",
}


@pytest.mark.parametrize("command", ["bc", "ppo"])
def test_training_flags_are_explained(command: str, tmp_path: Path) -> None:
    text = Shell(tmp_path).run(command, "--help").stdout
    missing = [flag for flag in TRAINING_FLAGS[command].split() if flag not in text]
    assert not missing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bc", "--seed", "1", "--seeds", "1,2"), "--seed and --seeds must not both be given"),
        (("bc", "--seeds", "1,two"), "--seeds must be whole numbers, 42,123,456, was 1,two"),
        (("ppo", "--seed", "99999999999999999999"), "should be less than or equal to"),
        (("bc", "--seeds", "1,1"), "seeds must differ and be >= 0, was [1, 1]"),
        (("ppo", "-q", "-v"), "--verbose and --quiet must not both be given"),
        (("ppo", "--high-vram", "--low-vram"), "must not both be given"),
        (("ppo", "--multi-gpu"), "--multi-gpu must find at least 2 GPUs, was 0"),
        (("ppo", "--resume"), "--resume must find a checkpoint in"),
        (("ppo", "--checkpoint", "none"), "none/checkpoint.json must exist, was missing"),
        (("ppo", "--lr-annealing", "--final-lr", "1"), "must be at most the initial one"),
        (("ppo", "--num-minibatches", "7"), "a rollout must split evenly"),
        (("ppo", "--hidden-dim", "64"), "of shape (32, 34) for (64, 34)"),
        (("ppo", "--mode", "incremental"), "must have a champion model, was none"),
    ],
)
def test_a_wrong_training_flag_is_one_line(
    trained: Shell, arguments: tuple[str, ...], message: str
) -> None:
    assert message in trained.refused(*arguments, "--desk", "mine")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_killed_training_resumes_to_the_weights_of_one_that_was_not(
    trained: Shell, signum: signal.Signals, code: int
) -> None:
    arguments = ("ppo", "--desk", "mine", "--iterations", "20")
    assert trained.run(*arguments).returncode == 0
    whole = (trained.current("ppo_policy") / "policy.safetensors").read_bytes()
    with trained.start(*arguments) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "iteration 5/20" in line:
                process.send_signal(signum)
                break
        rest = process.stderr.read()
        assert process.wait(60) == code
    assert "was interrupted and saved" in rest
    assert list((trained.data / "training" / "mine").glob("*/model_interrupted_*"))
    resumed = trained.run(*arguments, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming from model_interrupted_" in resumed.stderr
    assert "iteration 4/20" not in resumed.stderr
    assert (trained.current("ppo_policy") / "policy.safetensors").read_bytes() == whole


def test_a_second_signal_quits_at_once(trained: Shell) -> None:
    before = trained.files()
    with trained.start("ppo", "--desk", "mine", "--iterations", "100000") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "iteration 2/" in line:
                break
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143  # of the second
    assert not set(before) - set(trained.files())  # the sealed policy is what it was
    assert not list((trained.data / "training" / "mine").glob("*/model_interrupted_*"))


def test_two_processes_train_one_policy(trained: Shell) -> None:
    result = trained.run(
        "ppo", "--desk", "mine", "--iterations", "2", "--device", "cpu", "--multi-gpu",
        launcher=("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    history = json.loads((trained.current("ppo_policy") / "history.json").read_text())
    assert history[-1]["env_steps"] == 3 * 2 * 64 * 32  # both processes' accounts
    assert result.stderr.count("iteration 2/2") == 1  # the first alone speaks


def test_a_person_can_promote_with_a_reason_and_only_so(trained: Shell) -> None:
    version = trained.json("models", "list", "--desk", "mine")[0]["version"]  # type: ignore[index]
    refused = trained.run("models", "promote", version, "--desk", "mine", "--reason", "ok")
    assert refused.returncode == 2
    assert refused.stderr == (
        "tollgate: --reason must say why in at least 10 characters, was 'ok'\n"
    )
    assert trained.run("models", "promote", version, "--desk", "mine").returncode == 2
    said = ("--reason", "approved by the risk committee")
    found = trained.json("models", "promote", version, "--desk", "mine", *said)
    assert found["champion"] == version
    assert "beats_the_teacher" in found["unmet"]  # type: ignore[operator]
    manifest = trained.json("models", "show", version, "--desk", "mine")
    assert manifest["promotions"][0]["reason"] == said[1]  # type: ignore[index]
    assert trained.json("predict", "--desk", "mine")["stage"] == "champion"
    listed = trained.json("models", "list", "--desk", "mine")
    assert "champion" in listed[0]["serving"]  # type: ignore[index]

"""What makes an artefact stale, and what does not."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rl_core.base.errors import TollgateError
from rl_core.base.settings import slice_settings
from rl_core.desk import load_desk
from rl_core.kinds.settings import DeskConfig
from rl_core.steps.bars import BARS
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.chain import STEPS
from rl_core.steps.context import DeskContext, Task
from rl_core.steps.deployed_model.manifest import settings_used
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation import gate as gate_link
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.runner import build, verdicts
from rl_core.steps.step import Step
from rl_core.steps.walk_forward.fold import results_folder
from rl_core.store.migrations import MIGRATIONS, migrate_seal
from tests.chain import OPTIONS, bars_file, changed, deploy, edited, run_chain
from tests.conftest import small_desk

SEALED: tuple[Step[Any], ...] = (*GATE.ancestors, GATE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    folder = tmp_path_factory.mktemp("staleness")
    desk = small_desk(bars_file(folder)).with_settings({"bc.epochs": 1, "ppo.iterations": 1})
    return run_chain(desk, folder)


@pytest.fixture
def own(whole: DeskContext, tmp_path: Path) -> DeskContext:
    shutil.copytree(whole.root, tmp_path / "root")
    return DeskContext.open(whole.desk, tmp_path / "root")


def stale(context: DeskContext) -> list[str]:
    found: list[str] = []
    for step in SEALED:
        try:
            context.require_fresh(step)
        except TollgateError:
            found.append(step.name)
    return found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"description": "another word"}, []),
        ({"owners": ["team:other"], "retrain.cron": "0 7 * * 2"}, []),
        ({"walk_forward.seeds": [1], "ppo.checkpoint_every": 3}, []),
        ({"quality.max_missing_share": 0.5, "dataset.lookahead_probes": 3}, []),
        ({"gate.max_loss_gap": 4.0}, ["prediction_validation"]),
        ({"ppo.clip": 0.1}, ["ppo_policy"]),
        ({"bc.epochs": 2}, ["bc_policy", "ppo_policy", "prediction_validation"]),
        ({"regime_filter.min_train_rows": 400}, ["regime_dataset", "ppo_policy"]),
        ({"ensemble.vote_threshold": 0.2}, ["backtest_history"]),
        ({"dataset.horizons": ["1h", "12h"]},
         ["offline_dataset", "bc_policy", "ppo_policy", "prediction_validation"]),
    ],
)  # fmt: skip
def test_only_the_sections_that_a_step_reads_make_it_stale(
    whole: DeskContext, settings: dict[str, Any], expected: list[str]
) -> None:
    assert stale(edited(whole, settings)) == expected


def test_one_word_in_the_description_does_not_void_a_trained_policy(own: DeskContext) -> None:
    other = edited(own, {"description": "one more word", "owners": ["team:other"]})
    build(other, GATE)
    assert deploy(other).manifest.config["description"] == "one more word"


def test_what_a_command_line_replaced_is_no_difference_afterwards(own: DeskContext) -> None:
    build(changed(own, bc__epochs=2, bc__noise=0.1), CLONE, OPTIONS)
    build(own, PPO, OPTIONS)
    build(own, GATE)
    lineage = own.artifacts.lineage(own.open_artifact(GATE).artifact)
    used = settings_used(own, lineage, own.open_artifact(PPO))
    assert (used["bc"]["epochs"], used["bc"]["noise"]) == (2, 0.1)
    # but a desk that is edited afterwards is one
    with pytest.raises(
        TollgateError, match=r"was built with other bc\.batch_size \(256, now 128\)"
    ):
        build(edited(own, {"bc.batch_size": 128}), GATE)


def test_a_new_section_of_the_desk_orphans_nothing(
    whole: DeskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an artefact nor a fold of a walk forward."""
    folds, resolved = results_folder(whole), DeskConfig.resolved

    def extended(self: DeskConfig) -> dict[str, Any]:
        return {**resolved(self), "live": {"broker": "paper"}}

    monkeypatch.setattr(DeskConfig, "resolved", extended)
    assert stale(whole) == []
    assert results_folder(whole) == folds


def test_folds_are_those_of_what_shapes_them(whole: DeskContext) -> None:
    folds = results_folder(whole)
    for same in (
        {"description": "x"}, {"gate.max_loss_gap": 1.0}, {"walk_forward.folds": 1},
        {"walk_forward.seeds": [9]}, {"splits.train_fraction": 0.6},
    ):  # fmt: skip
        assert results_folder(edited(whole, same)) == folds, same
    for other in (
        {"ppo.clip": 0.1}, {"walk_forward.test": "10d"}, {"splits.purge": "48h"},
        {"gate.interval_coverage": 0.8}, {"costs.commission_rate": 0.0},
    ):  # fmt: skip
        assert results_folder(edited(whole, other)) != folds, other


@pytest.mark.parametrize("again", [BARS, OFFLINE_DATASET], ids=lambda step: step.name)
def test_nothing_is_built_on_an_input_that_was_built_again_since(
    own: DeskContext, again: Step[Any]
) -> None:
    """More bars came: every step that stands on the old ones says so, and none is mixed."""
    if again is BARS:
        path = own.desk.bars.path
        assert path is not None
        longer = own.root / "longer.parquet"
        from rl_core.lab.markets.spot import simulate_bars

        simulate_bars(3100, seed=7, signal_r2=0.05).to_parquet(longer, index=False)
        own = edited(own, {"bars.path": str(longer)})
        build(own, BARS)
        refused, by = (OFFLINE_DATASET, REGIMES, CLONE, PPO, GATE), "backtest_history"
    else:
        build(changed(own, dataset__horizons=["1h", "12h"]), OFFLINE_DATASET)
        refused, by = (CLONE, PPO, GATE), "regime_dataset"
    for step in refused:
        with pytest.raises(TollgateError, match=f"{by} of desk small must be"):
            build(own, step, OPTIONS)


def test_verdicts_are_computed_once_and_read_by_what_follows(
    own: DeskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in GATE.ancestors:
        verdicts(own, step)

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    for step in GATE.ancestors:
        monkeypatch.setitem(step.__dict__, "judge", never)
    build(own, CLONE, OPTIONS)
    deploy_gate = build(own, PPO, OPTIONS)
    assert deploy_gate.facts.best_iteration >= 0


def test_verdicts_follow_the_limits_they_depend_on_and_survive_damage(own: DeskContext) -> None:
    path = own.artifacts.verdicts_path(own.open_artifact(BARS).artifact)
    failed = [check.name for check in verdicts(own, BARS) if not check.passed]
    assert failed == ["bars_are_current"]  # of 2015
    at_least = 0.95  # of health, unless the desk says otherwise
    health = next(c for c in verdicts(own, BARS) if c.name == "bars_are_healthy")
    assert health.detail.endswith(f"at least {at_least}")
    strict = edited(own, {"quality.min_mean_health": 1.0})
    assert stale(strict) == []
    health = next(c for c in verdicts(strict, BARS) if c.name == "bars_are_healthy")
    assert health.detail.endswith("at least 1.0")  # judged anew: not read from the seal
    path.write_text("{")
    failed = [check.name for check in verdicts(own, BARS) if not check.passed]
    assert failed == ["bars_are_current"]  # of 2015
    sealed = own.open_artifact(BARS).path / "bars-2015.parquet"
    sealed.chmod(0o644)
    sealed.write_bytes(sealed.read_bytes() + b"?")
    with pytest.raises(TollgateError, match="was changed since"):
        verdicts(own, BARS)


def test_a_policy_that_is_swapped_while_the_gate_runs_is_not_deployed_on_its_report(
    own: DeskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, judge = own.open_artifact(PPO), gate_link.judge_policy

    def swap_then_judge(*arguments: Any) -> Any:
        build(changed(own, ppo__seed=1), PPO, OPTIONS)
        return judge(*arguments)

    monkeypatch.setattr(gate_link, "judge_policy", swap_then_judge)
    gate = build(own, GATE)
    assert own.artifacts.current(PPO.name) != before.identity
    assert gate.seal.inputs[PPO.name] == before.identity  # what was read is what is named
    with pytest.raises(TollgateError, match="must be made from the ppo_policy that is there"):
        deploy(own)


def test_the_table_in_the_docs_is_the_declaration() -> None:
    from rl_core.base.paths import PROJECT_ROOT
    from rl_core.steps.chain import chain_table

    assert chain_table() in (PROJECT_ROOT / "docs" / "chain.md").read_text()


def test_steps_are_declared_in_the_order_of_the_chain() -> None:
    names = [step.name for step in STEPS]
    assert names[:8] == [
        "bars", "backtest_history", "offline_dataset", "regime_dataset", "bc_policy", "ppo_policy",
        "prediction_validation", "deployed_model",
    ]  # fmt: skip
    for step in STEPS:
        assert all(names.index(need.name) < names.index(step.name) for need in step.needs)
        assert len({check.name for check in step.checks}) == len(step.checks)
        assert all(check.guards.endswith(".") for check in step.checks)


def test_a_step_reads_no_section_that_it_does_not_declare(
    own: DeskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an edit would go unnoticed: every access to a section is recorded while it builds."""
    read: set[str] = set()
    plain = DeskConfig.__getattribute__

    def recording(self: DeskConfig, name: str) -> Any:
        if name in type(self).model_fields:
            read.add(name)
        return plain(self, name)

    def recorded(call: Callable[[], object]) -> set[str]:
        read.clear()
        with monkeypatch.context() as patched:
            patched.setattr(DeskConfig, "__getattribute__", recording)
            call()
        return set(read)

    for step in SEALED:
        declared = {section.split(".")[0] for section in step.reads} | {"name"}
        inputs = own.inputs_of(step)
        with own.artifacts.draft(step.name) as draft:
            task = Task(own, step, inputs, draft.directory, OPTIONS, {})
            assert recorded(partial(step.build, task)) <= declared, step.name
        judging = recorded(partial(step.judge, own, own.open_artifact(step)))
        assert judging <= declared | {s.split(".")[0] for s in step.judged_by}, step.name


@pytest.mark.parametrize("name", ["btc_spot", "index_futures", "us_portfolio"])
def test_what_was_sealed_before_schema_3_is_of_the_same_settings(name: str, tmp_path: Path) -> None:
    """Settings that sources gained, and limits that steps ignore since, make nothing stale."""
    context = DeskContext.open(name, tmp_path)
    added = {
        "bars": ("timestamp_unit", "ambiguous", "stamped_at", "names", "delimiter", "decimal",
                 "price_scale", "volume", "known_moves", "drop_duplicates"),
        "quality": ("max_stale_share", "bad_print_moves", "severity"),
    }  # fmt: skip
    for step in SEALED:
        now = context.slice_of(step)
        before = {section: value for section, value in now.items() if section not in added}
        for section, names in added.items():
            if section in now:
                is_panel = section == "bars" and "layout" in now["bars"]
                kept = {"known_moves"} if is_panel else set()  # panels had it before
                before[section] = {
                    key: value for key, value in now[section].items()
                    if key not in names or key in kept
                }  # fmt: skip
        sealed = migrate_seal({"schema_number": 2, "settings": before}, step.name)["settings"]
        assert slice_settings(sealed, step.reads, step.ignores) == now, step.name


@pytest.mark.parametrize("name", ["btc_spot", "index_futures", "us_portfolio"])
def test_settings_of_schema_3_are_those_of_now(name: str) -> None:
    """Panels had two settings that are only those of single instruments since."""
    now = load_desk(name).resolved()
    bars = {
        key: value for key, value in now["bars"].items()
        if key not in ("url", "query", "download", "keep_history", "revisions")
    }  # fmt: skip
    quality = {key: value for key, value in now["quality"].items() if key != "max_bars_late"}
    of_3 = {**now, "bars": {**bars, "stamped_at": "open", "price_scale": 1.0}, "quality": quality}
    assert MIGRATIONS[3].settings(of_3) == now

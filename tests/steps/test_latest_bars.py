"""Bars that come in beside the chain: appended, corrected, refused, and never in its way."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.growth import joined
from rl_core.steps.backtest_history import HISTORY
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.latest_bars import LATEST, TABLE, Update, newest_source, update_bars
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.reading import read_bars
from rl_core.steps.runner import build, require_inputs_sound, run_chain, verdicts
from rl_core.store.retention import clean
from tests.chain import OPTIONS, edited
from tests.conftest import small_desk
from tests.crash import KILLED, run_stopped

ALL = simulate_bars(900, seed=11)


class Feed:
    """A file that others write, and a desk that reads it."""

    def __init__(self, folder: Path, **bars: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "feed.parquet"
        self.write(ALL)
        desk = small_desk(self.path).with_settings({f"bars.{k}": v for k, v in bars.items()})
        self.context = DeskContext.open(desk, folder / "data")

    def write(self, bars: pd.DataFrame) -> None:
        bars.to_parquet(self.path, index=False)

    def update(self, bars: pd.DataFrame) -> Update:
        self.write(bars)
        return update_bars(self.context)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 899), st.integers(1, 300)), max_size=5))
def test_bars_that_come_in_pieces_are_those_that_come_at_once(
    pieces: list[tuple[int, int]],
) -> None:
    known: set[int] = set()
    grown = ALL.iloc[:1]
    for start, length in pieces:
        rows = range(start, min(start + length, 900))
        grown = joined(grown, ALL.iloc[list(rows)].reset_index(drop=True))
        known |= set(rows)
    expected = ALL.iloc[sorted(known | {0})].reset_index(drop=True)
    pd.testing.assert_frame_equal(grown.reset_index(drop=True), expected)


def test_an_update_appends_says_how_many_and_is_the_same_as_one_at_once(tmp_path: Path) -> None:
    feed = Feed(tmp_path / "grown")
    assert feed.update(ALL.iloc[:600]).revisions is None
    found = feed.update(ALL)
    assert found.is_new
    assert found.revisions is not None
    assert (found.revisions.appended, found.revisions.is_unchanged) == (300, True)
    once = Feed(tmp_path / "once").update(ALL)
    assert found.latest.seal.files == once.latest.seal.files


def test_bars_that_are_what_they_were_move_nothing(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    first, second = feed.update(ALL), feed.update(ALL)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.latest.identity == second.latest.identity


def test_a_correction_is_reported_with_its_old_and_new_values(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.update(ALL)
    changed = ALL.copy()
    changed.loc[[5, 800], "volume"] += 1.0
    found = feed.update(changed).revisions
    assert found is not None
    assert found.changed["timestamp"].tolist() == [ALL["timestamp"][5], ALL["timestamp"][800]]
    assert (found.changed["after"] - found.changed["before"]).tolist() == pytest.approx([1, 1])
    check = next(c for c in verdicts(feed.context, LATEST) if c.name == "history_is_unchanged")
    assert (check.passed, check.is_blocking) == (False, False)
    assert "2 bars changed (2015-01-01 05:00 volume" in check.detail
    gone = feed.update(changed.drop(index=range(10, 15)).reset_index(drop=True)).revisions
    assert gone is not None
    assert gone.describe() == "5 bars are gone, the first of 2015-01-01 10:00"


def test_a_correction_is_refused_where_the_desk_says_so_and_taken_when_told(tmp_path: Path) -> None:
    feed = Feed(tmp_path, revisions="refuse")
    first = feed.update(ALL.iloc[:800])
    changed = ALL.copy()
    changed.loc[5, "volume"] = 7.0
    with pytest.raises(TollgateError, match=r"1 bars changed \(2015-01-01 05:00 volume .* -> 7\)"):
        feed.update(changed)
    with pytest.raises(TollgateError, match=r"bars.revisions: refuse"):
        build(feed.context, BARS)
    assert feed.context.open_artifact(LATEST).identity == first.latest.identity
    assert feed.update(ALL).revisions.appended == 100  # type: ignore[union-attr] - what is appended is no change
    feed.write(changed)
    accepting = feed.context.with_overrides({"bars.revisions": "accept"})
    assert update_bars(accepting).revisions.changed_bars == 1  # type: ignore[union-attr]
    build(feed.context, BARS)  # the next one finds what is there now


def test_a_source_that_forgets_takes_nothing_away_where_history_is_kept(tmp_path: Path) -> None:
    recent = ALL.iloc[500:].reset_index(drop=True)
    feed = Feed(tmp_path / "kept", keep_history=True)
    feed.update(ALL.iloc[:600])
    found = feed.update(recent)
    pd.testing.assert_frame_equal(found.latest.read_frame(TABLE), ALL)
    assert found.latest.seal.files == Feed(tmp_path / "once").update(ALL).latest.seal.files
    pd.testing.assert_frame_equal(newest_source(feed.context).checked(), ALL)
    file = Feed(tmp_path / "file")
    file.update(ALL.iloc[:600])
    lost = file.update(recent).revisions
    assert lost is not None
    assert lost.removed == 500


def test_another_instrument_is_no_continuation(tmp_path: Path) -> None:
    feed = Feed(tmp_path, keep_history=True)
    feed.update(ALL.iloc[:600])
    other = DeskContext.open(
        feed.context.desk.with_settings({"bars.symbol": "OTHER"}), feed.context.root
    )
    feed.write(ALL.iloc[500:].reset_index(drop=True))
    found = update_bars(other)
    assert (found.revisions, found.latest.facts.rows) == (None, 400)


def test_bars_that_mean_something_else_are_not_joined(tmp_path: Path) -> None:
    feed = Feed(tmp_path, keep_history=True)
    feed.update(ALL.iloc[:600])
    cents = DeskContext.open(
        feed.context.desk.with_settings({"bars.price_scale": 0.01}), feed.context.root
    )
    feed.write(ALL.iloc[500:].reset_index(drop=True))
    with pytest.raises(TollgateError, match="must have been brought in, were not"):
        newest_source(cents)
    assert update_bars(cents).latest.facts.rows == 400


def test_odd_bars_that_did_not_change_move_nothing_where_history_is_kept(tmp_path: Path) -> None:
    odd = ALL.copy()
    odd.loc[100:110, ["open", "high", "low", "close"]] = 100.0  # named in the quality report
    feed = Feed(tmp_path, keep_history=True)
    first, second = feed.update(odd), feed.update(odd)
    assert not second.is_new
    assert first.latest.identity == second.latest.identity
    assert (
        feed.update(odd.iloc[50:].reset_index(drop=True)).latest.identity == first.latest.identity
    )


def test_a_last_update_that_is_damaged_is_left_aside_where_the_file_has_all(tmp_path: Path) -> None:
    for keeps in (False, True):
        feed = Feed(tmp_path / str(keeps), keep_history=keeps)
        (feed.update(ALL.iloc[:600]).latest.path / "seal.json").write_text("{")
        feed.write(ALL)
        if keeps:
            with pytest.raises(TollgateError):
                update_bars(feed.context)
        else:
            assert update_bars(feed.context).latest.facts.rows == 900


def test_old_bars_begin_no_chain_where_the_desk_says_so(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    strict = edited(feed.context, {"quality.severity": {"bars_are_current": "block"}})
    with pytest.raises(TollgateError, match=r"must be current, was refused: .* of 1h have closed"):
        build(strict, BARS)


def test_an_update_makes_nothing_stale_until_the_chain_takes_it(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.write(ALL.iloc[:800])
    build(feed.context, BARS)
    build(feed.context, HISTORY)
    feed.update(ALL)
    require_inputs_sound(feed.context, HISTORY)
    feed.context.require_fresh(HISTORY)
    assert len(read_bars(feed.context.open_artifact(BARS))) == 800
    build(feed.context, BARS)
    with pytest.raises(TollgateError, match="build backtest_history again"):
        feed.context.require_fresh(HISTORY)


def test_bars_can_be_read_again_after_later_updates_corrections_and_a_clean(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.write(ALL.iloc[:700])
    old = build(feed.context, BARS)
    for rows in (750, 800, 850, 900):
        feed.update(ALL.iloc[:rows].assign(volume=float(rows)))
    context = feed.context
    clean(context.artifacts, context.models, 1, is_dry_run=False)
    assert len(context.artifacts.identities(LATEST.name)) == 1
    again = context.open_artifact(BARS, old.identity)
    again.artifact.folder.verify()
    pd.testing.assert_frame_equal(read_bars(again), ALL.iloc[:700])


@pytest.mark.parametrize(("hours_ago", "passes"), [(3, True), (4, False), (24 * 365, False)])
def test_bars_that_no_longer_come_in_are_a_failed_check(
    tmp_path: Path, hours_ago: int, passes: bool
) -> None:
    """The newest bar opened so many whole hours ago: all but one of them have closed since."""
    newest = pd.Timestamp.now("UTC").floor("h") - pd.Timedelta(hours=hours_ago)
    feed = Feed(tmp_path)
    feed.write(ALL.assign(timestamp=ALL["timestamp"] + (newest - ALL["timestamp"].iloc[-1])))
    build(feed.context, BARS)
    for step in (BARS, LATEST):
        check = next(c for c in verdicts(feed.context, step) if c.name == "bars_are_current")
        assert check.passed is passes
        assert not check.is_blocking
        assert f"{hours_ago - 1:,} bars of 1h have closed since the newest" in check.detail


@pytest.mark.parametrize("is_full", [False, True], ids=["killed", "full disk"])
def test_an_update_that_is_stopped_at_any_write_loses_nothing(
    tmp_path: Path, is_full: bool
) -> None:
    stopped = 0
    for stopped in range(60):
        feed = Feed(tmp_path / str(stopped))
        first = feed.update(ALL.iloc[:600])
        feed.write(ALL)
        code = run_stopped(lambda c=feed.context: update_bars(c), stopped, is_full=is_full)
        assert code in (0, KILLED), f"stopped at write {stopped}"
        feed.context.open_artifact(LATEST, first.latest.identity).artifact.folder.verify()
        assert len(feed.context.open_artifact(LATEST).read_frame(TABLE)) in {600, 900}
        assert len(update_bars(feed.context).latest.read_frame(TABLE)) == 900
        assert not list(feed.context.root.rglob(".writing.*"))
        if code == 0:
            break
    assert stopped > 5


@pytest.mark.slow
def test_a_desk_fed_week_by_week_and_retrained_ends_as_one_built_at_once(tmp_path: Path) -> None:
    """Every link of the last retrain, to the byte; models before it are still what they were."""
    bars = simulate_bars(3000, seed=7, signal_r2=0.05)
    weekly = Feed(tmp_path / "weekly", keep_history=True)
    weeks = range(3000 - 3 * 168, 3001, 168)
    kept: dict[str, str] = {}
    for end in weeks:
        recent = bars.iloc[max(end - 400, 0) : end] if kept else bars.iloc[:end]
        weekly.write(recent.reset_index(drop=True))  # a source that forgets
        run_chain(weekly.context, PPO, OPTIONS)
        kept[weekly.context.open_artifact(BARS).identity] = str(bars["timestamp"].iloc[end - 1])
    once = Feed(tmp_path / "once", keep_history=True)
    once.write(bars)
    run_chain(once.context, PPO, OPTIONS)
    for step in (*PPO.ancestors, PPO):
        grown, whole = (c.open_artifact(step) for c in (weekly.context, once.context))
        assert set(grown.seal.files) == set(whole.seal.files)
        for name, digest in grown.seal.files.items():
            if name.endswith((".parquet", ".safetensors", ".npz")):
                assert digest == whole.seal.files[name], f"{name} of {step.name}"
    assert len(kept) == len(weeks)
    for identity, end in kept.items():
        bars_of_then = weekly.context.open_artifact(BARS, identity)
        bars_of_then.artifact.folder.verify()
        assert bars_of_then.facts.end == end

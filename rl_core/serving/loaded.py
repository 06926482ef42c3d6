"""A prediction from the deployed model and the desk's latest bars."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch

from rl_core.base.errors import TollgateError, validated
from rl_core.desk import PROJECT_ROOT, DeskConfig, parse_desk
from rl_core.features.prepare import PreparedMarket
from rl_core.features.sentiment import read_sentiment
from rl_core.judging.report import ReturnInterval
from rl_core.kinds.registry import kind_of
from rl_core.learning.models.policy_file import Policy, load_policy
from rl_core.learning.policy_walk import decide
from rl_core.serving.answer import decide_state
from rl_core.steps.context import Workplace
from rl_core.steps.source import read_source
from rl_core.store.models import Stage, Version


def predict_latest(
    work: Workplace, account: Mapping[str, float], stage: str | None
) -> dict[str, Any]:
    """Decide at the close of the latest bar of the desk's source.

    Features are computed with the settings and thresholds that the model was trained with.

    Raises:
        TollgateError: no such stage or model, or a model that is not what was deployed.
    """
    chosen = stage or work.store.current_stage()
    if chosen not in get_args(Stage):
        raise TollgateError(f"stage must be one of {', '.join(get_args(Stage))}, was {chosen}")
    version = work.store.served(chosen)
    policy = load_policy(version.directory)
    trained = trained_desk(version)
    for setting in ("symbol", "interval"):
        then, now = getattr(trained.bars, setting), getattr(work.desk.bars, setting)
        if then != now:
            raise TollgateError(
                f"a model must be asked about the bars it was trained on, was trained on {setting} "
                f"{then} and the desk now has {now}"
            )
    now = pd.Timestamp.now(tz="UTC")
    source = read_source(work.desk).checked()
    sentiment = read_sentiment(work.desk.sentiment, PROJECT_ROOT)
    kind = kind_of(trained)
    market = kind.prepare(
        closed_bars(source, work.desk.bars.interval_ns, now), sentiment, policy.spec.thresholds
    )
    bars = market.bars
    if market.first_bar >= len(bars):
        raise TollgateError(f"bars must outlast the indicators' warm-up, was {len(bars)} bars")
    state = np.concatenate([market.features[-1], kind.account_state(market, account)])
    decision = decide_state(
        policy, state, recent_memory(policy, market, trained), half_widths(version, market)
    )
    opened = bars["timestamp"].iloc[-1]
    closed = opened + pd.Timedelta(work.desk.bars.interval_ns, "ns")
    return {
        "desk": work.desk.name,
        "symbol": work.desk.bars.symbol,
        "is_simulated": work.desk.bars.is_simulated,
        "version": version.manifest.version,
        "stage": chosen,
        "timestamp": str(opened),
        "hours_since_close": round((now - closed).total_seconds() / 3600, 2),
        kind.price_name: float(bars["close"].iloc[-1]),
        **decision,
        **kind.decision_details(market, account, decision["action"], decision["strength"] or 0.0),
    }


def half_widths(version: Version, market: PreparedMarket) -> dict[str, float]:
    """Half the width of each horizon's interval at the latest bar, as a fraction."""
    volatility = float(np.nan_to_num(market.indicators.volatility[-1]))
    where = f"intervals of {version.manifest.version}"
    intervals = {
        horizon: validated(ReturnInterval, each, where)
        for horizon, each in version.manifest.intervals.items()
    }
    return {
        horizon: each.half_width * max(volatility, each.volatility_floor)
        for horizon, each in intervals.items()
    }


def recent_memory(
    policy: Policy, market: PreparedMarket, trained: DeskConfig
) -> torch.Tensor | None:
    """What a recurrent policy remembers of the bars before the latest one.

    It trades the last bars, as many as it saw at a time in training, on an account of its own; None
    for a policy without memory.
    """
    last = len(market.bars) - 2
    if not policy.model.is_recurrent or last < market.first_bar:
        return None
    first = max(market.first_bar, last - trained.ppo.rollout_steps + 1)
    environment = kind_of(trained).environment(market, torch.device("cpu"), torch.float64)
    return decide(policy.model, environment, [(first, last)]).memory


def closed_bars(bars: pd.DataFrame, interval_ns: int, now: pd.Timestamp) -> pd.DataFrame:
    """Bars without those that are still open.

    Raises:
        TollgateError: none has closed.
    """
    closed = bars[bars["timestamp"] + pd.Timedelta(interval_ns, "ns") <= now]
    if closed.empty:
        raise TollgateError(f"bars must have closed, was none by {now:%Y-%m-%d %H:%M}")
    return closed


def trained_desk(version: Version) -> DeskConfig:
    """The settings that a version was trained with."""
    where = f"settings of {version.manifest.version}"
    return parse_desk(version.manifest.config, where)

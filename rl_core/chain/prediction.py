"""A prediction from the deployed model and the desk's latest bars."""

from typing import Any, get_args

import pandas as pd
import torch

from rl_core.backtest.preparation import PreparedMarket, prepare_market
from rl_core.chain.workplace import Workplace
from rl_core.desk import PROJECT_ROOT, DeskConfig
from rl_core.envs.spot import SpotMarket, SpotParams
from rl_core.errors import TollgateError, validated
from rl_core.evaluation.policy_walk import decide
from rl_core.features.sentiment import read_sentiment
from rl_core.market.readers import read_bars
from rl_core.models.policy_file import Policy, load_policy
from rl_core.registry.store import Stage, Version
from rl_core.serving.predict import AccountNow, decide_state, latest_state
from rl_core.trading.accounts import NEVER_TRADED_DAYS


def predict_latest(
    work: Workplace, position: float, days_since_trade: float | None, stage: str | None
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
    bars = closed_bars(read_bars(work.desk.bars, PROJECT_ROOT), work.desk.bars.interval_ns, now)
    sentiment = read_sentiment(work.desk.sentiment, PROJECT_ROOT)
    market = prepare_market(bars, sentiment, trained.preparation, policy.spec.thresholds)
    account = AccountNow(
        position, NEVER_TRADED_DAYS if days_since_trade is None else days_since_trade
    )
    opened = bars["timestamp"].iloc[-1]
    closed = opened + pd.Timedelta(work.desk.bars.interval_ns, "ns")
    return {
        "desk": work.desk.name,
        "version": version.manifest.version,
        "stage": chosen,
        "timestamp": str(opened),
        "hours_since_close": round((now - closed).total_seconds() / 3600, 2),
        "close": float(bars["close"].iloc[-1]),
        **decide_state(
            policy, latest_state(market, account), recent_memory(policy, market, trained)
        ),
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
    exact = SpotMarket.from_prepared(market, torch.device("cpu"), torch.float64)
    params = SpotParams(market.rates, trained.account, trained.environment)
    return decide(policy.model, exact, params, first, last).memory


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
    return validated(DeskConfig, version.manifest.config, where)

"""A prediction from the deployed model and the newest bars of the desk's source."""

import logging
from collections.abc import Mapping
from typing import Any, get_args

import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.base.paths import PROJECT_ROOT
from rl_core.features.sentiment import read_sentiment
from rl_core.serving.loaded import LoadedModel
from rl_core.steps.context import DeskContext
from rl_core.steps.latest_bars import currency, newest_source
from rl_core.store.models import Stage

log = logging.getLogger(__name__)


def predict_latest(
    context: DeskContext, account: Mapping[str, float], stage: str | None
) -> dict[str, Any]:
    """Decide at the close of the latest closed bar of the desk's source.

    Features are computed with the settings and thresholds that the model was trained with.

    Raises:
        TollgateError: no such stage or model, or a model that is not what was deployed.
    """
    chosen = stage or context.models.current_stage()
    if chosen not in get_args(Stage):
        raise TollgateError(f"stage must be one of {', '.join(get_args(Stage))}, was {chosen}")
    version = context.models.served(chosen)
    context.models.verify(version)
    model = LoadedModel.of_version(version)
    bars_config = context.desk.bars
    for setting in ("symbol", "interval"):
        then, now = getattr(model.desk.bars, setting), getattr(bars_config, setting)
        if then != now:
            raise TollgateError(
                f"a model must be asked about the bars it was trained on, was trained on {setting} "
                f"{then} and the desk now has {now}"
            )
    moment = pd.Timestamp.now(tz="UTC")
    source = newest_source(context).checked()
    sentiment = read_sentiment(context.desk.sentiment, PROJECT_ROOT)
    market = model.prepare(closed_bars(source, bars_config.interval_ns, moment), sentiment)
    opened = market.bars["timestamp"].iloc[-1]
    closed = opened + pd.Timedelta(bars_config.interval_ns, "ns")
    is_current, late, _ = currency(context, str(opened))
    warnings = [] if is_current else [f"this answer is of then: {late}"]
    for each in warnings:
        log.warning("predict: %s", each)
    return {
        "desk": context.desk.name,
        "symbol": bars_config.symbol,
        "is_simulated": bars_config.is_simulated,
        "version": version.manifest.version,
        "stage": chosen,
        "timestamp": str(opened),
        "hours_since_close": round((moment - closed).total_seconds() / 3600, 2),
        "warnings": warnings,
        model.kind.price_name: float(market.bars["close"].iloc[-1]),
        **model.answer(market, account),
    }


def closed_bars(bars: pd.DataFrame, interval_ns: int, now: pd.Timestamp) -> pd.DataFrame:
    """Bars without those that are still open.

    Raises:
        TollgateError: none has closed.
    """
    closed = bars[bars["timestamp"] + pd.Timedelta(interval_ns, "ns") <= now]
    if closed.empty:
        raise TollgateError(f"bars must have closed, was none by {now:%Y-%m-%d %H:%M}")
    return closed

"""A prediction from the deployed model and the desk's latest bars."""

from typing import Any, get_args

from rl_core.backtest.preparation import prepare_market
from rl_core.chain.workplace import Workplace
from rl_core.desk import PROJECT_ROOT, DeskConfig
from rl_core.errors import TollgateError
from rl_core.market.readers import read_bars
from rl_core.models.policy_file import load_policy
from rl_core.registry.store import Stage
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
    trained = DeskConfig.model_validate(version.manifest.config)
    bars = read_bars(work.desk.bars, PROJECT_ROOT)
    market = prepare_market(bars, trained.preparation, policy.spec.thresholds)
    account = AccountNow(
        position, NEVER_TRADED_DAYS if days_since_trade is None else days_since_trade
    )
    return {
        "desk": work.desk.name,
        "version": version.manifest.version,
        "stage": chosen,
        "timestamp": str(bars["timestamp"].iloc[-1]),
        "close": float(bars["close"].iloc[-1]),
        **decide_state(policy, latest_state(market, account)),
    }

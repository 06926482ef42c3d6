"""The simple contenders of a judged policy: fitted on its training span, chosen on validation.

Beside ridge and trees stands the policy's own forecast, traded by the same rule: what its actor
leaves on the table. Shapes: S bars of a span, H horizons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_core.judging.accounts import OWN_FORECASTS
from rl_core.judging.contenders import FITS, Rows, Rule, thresholds
from rl_core.kinds.base import AccountWalk
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.scoring import evaluate_policy, split_span

Array = NDArray[np.float64]
Span = tuple[int, int]  # first and last bar


@dataclass(frozen=True)
class Contender:
    """Forecasts of one horizon on any span of bars, and the rule that trades them."""

    forecast: Callable[[Span], Array]  # (S,)
    rule: Rule

    def walk(self, judged: JudgedPolicy, span: Span) -> AccountWalk:
        """Its account on a span, all costs paid."""
        action, strength = self.rule.decide(self.forecast(span))
        return judged.context.kind.walk(judged.market, span[0], action, strength)


def contenders(judged: JudgedPolicy, names: Sequence[str]) -> dict[str, Contender]:
    """Name -> contender, of those that the desk wants; none where an order has no strength.

    A portfolio desk chooses among portfolios: the best of them stands beside it already.
    """
    if not judged.context.kind.has_strength:
        return {}
    found: dict[str, Contender] = {}
    for name in (each for each in judged.desk.gate.contenders if each in names):
        forecasts = own_forecasts(judged) if name == OWN_FORECASTS else fitted(judged, name)
        best = best_on_validation(judged, forecasts)
        if best is not None:
            found[name] = best
    return found


def fitted(judged: JudgedPolicy, name: str) -> Mapping[int, Callable[[Span], Array]]:
    """Horizon -> what a model that never saw more than training and validation forecasts."""
    size = len(judged.context.kind.state.market_names)
    train, validation = (
        Rows(rows.states[:, :size].numpy(), rows.returns.double().numpy())
        for rows in (judged.demonstrations("train"), judged.demonstrations("validation"))
    )
    found: dict[int, Callable[[Span], Array]] = {}
    for horizon in range(len(judged.policy.spec.horizons)):
        forecast = FITS[name](train, validation, horizon)
        if forecast is not None:
            found[horizon] = lambda span, forecast=forecast: forecast(
                judged.market.features[span[0] : span[1] + 1]
            )
    return found


def own_forecasts(judged: JudgedPolicy) -> Mapping[int, Callable[[Span], Array]]:
    """Horizon -> what the policy itself forecasts on its way through a span."""
    if judged.predictions is None:
        return {}
    known = dict(zip(judged.spans, (decisions for decisions, _ in judged.walks), strict=True))

    def predicted(span: Span, horizon: int) -> Array:
        if span not in known:
            known[span], _ = evaluate_policy(
                judged.context.kind, judged.market, judged.policy.model, span,
                memory_bars=judged.policy.spec.memory_bars,
            )  # fmt: skip
        return known[span].predicted_returns[:, horizon]

    return {
        horizon: lambda span, horizon=horizon: predicted(span, horizon)
        for horizon in range(len(judged.policy.spec.horizons))
    }


def best_on_validation(
    judged: JudgedPolicy, forecasts: Mapping[int, Callable[[Span], Array]]
) -> Contender | None:
    """The horizon and threshold with the best Sharpe ratio on validation; None if none trades."""
    span = split_span(judged.dataset, "validation")
    best, best_sharpe = None, -np.inf
    for horizon, forecast in forecasts.items():
        for threshold in thresholds(forecast(span)):
            contender = Contender(forecast, Rule(horizon, threshold))
            sharpe = contender.walk(judged, span).performance.sharpe
            if sharpe is not None and sharpe > best_sharpe:
                best, best_sharpe = contender, sharpe
    return best

"""The gate's verdict in plain words."""

from collections.abc import Mapping
from typing import Any

# whom a policy must beat; the best single regime is not among them, since it was picked afterwards
RIVALS = {"teacher": "teacher", "buy_and_hold": "buy and hold", "equal_weight": "equal weight"}


def verdict(report: Mapping[str, Any]) -> str:
    """What a person should take from a report, given as JSON.

    Says whether the model may be served, and whether the test span shows an edge. An edge is not
    claimed unless the Sharpe ratio exceeds that of the teacher, of buy and hold, of equal weight
    where there is one, and zero, by two standard errors; even then skill stays unjudged until the
    gate has a test for it.
    """
    failed = [check["name"] for check in report["checks"] if not check["passed"]]
    served = (
        "Safe: it may be served as shadow, its vote weighing nothing."
        if report["is_safe"]
        else f"Refused by {', '.join(failed)}."
    )
    return f"{served} {_edge(report['performance'])} Skill checks come later: never champion yet."


def _edge(performance: Mapping[str, Mapping[str, Any]]) -> str:
    own = performance["policy"]
    if own["sharpe"] is None:
        return "On the test span it did not trade, so it shows no edge."
    others = {
        name: performance[key]["sharpe"] or 0.0
        for key, name in RIVALS.items()
        if key in performance
    }
    margin = 2 * own["sharpe_standard_error"]
    beaten = own["sharpe"] - max(0.0, *others.values())
    rivals = ", ".join(f"{name} {sharpe:.2f}" for name, sharpe in others.items())
    figures = f"Sharpe {own['sharpe']:.2f} ± {own['sharpe_standard_error']:.2f} ({rivals})"
    if beaten > margin:
        return f"The test span hints at an edge: {figures}."
    return f"The test span shows no edge that chance could not give: {figures}."

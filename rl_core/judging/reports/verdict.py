"""The gate's verdict in plain words."""

from collections.abc import Mapping
from typing import Any

from rl_core.judging.accounts import BENCHMARKS, CHAMPION, CONTENDERS, POLICY, TEACHER, TITLES

MEANINGS = {  # skill check -> what passing it means, what failing it means
    "forecast_ranks_returns": (
        "its forecasts rank returns better than chance",
        "its forecasts rank returns no better than chance",
    ),
    "forecast_beats_zero": (
        "its forecasts are better than zero",
        "its forecasts are no better than zero",
    ),
    "forecast_beats_train_mean": (
        "its forecasts are better than the training mean",
        "its forecasts are no better than the training mean",
    ),
    "forecast_is_calibrated": (
        "its forecasts are of the right size",
        "its forecasts are of the wrong size",
    ),
    "beats_the_teacher": ("it is better than its teacher", "it is no better than its teacher"),
    "beats_the_benchmarks": ("it is better than holding", "it is no better than holding"),
    "holds_against_the_champion": (
        "it is as good as the champion",
        "it does not hold against the champion",
    ),
    "sharpe_survives_deflation": (
        "its Sharpe ratio is above what luck gives",
        "luck alone could give its Sharpe ratio",
    ),
    "selection_is_not_overfit": (
        "it was not picked for its luck",
        "it may have been picked for its luck",
    ),
}


def verdict(report: Mapping[str, Any]) -> str:
    """What a person should take from a report, given as JSON: both tiers and the figures."""
    said = f"{_safety(report)} {_skill(report)} {_figures(report['performance'])}"
    return f"{_contenders(report['performance'])}{said}"


def _contenders(performance: Mapping[str, Mapping[str, Any]]) -> str:
    """The simple model that did best, if it did better than the policy; it comes first."""
    simple = {
        name: performance[name]["sharpe"]
        for name in CONTENDERS
        if name in performance and performance[name]["sharpe"] is not None
    }
    own = performance[POLICY]["sharpe"]
    if not simple or max(simple.values()) <= (own or 0.0):
        return ""
    best = max(simple, key=lambda name: simple[name])
    beside = "a policy that did not trade" if own is None else f"this policy's {own:.2f}"
    return (
        f"A simpler model did better on the test span: {TITLES[best]}, with a Sharpe ratio of "
        f"{simple[best]:.2f} beside {beside}. "
    )


def _safety(report: Mapping[str, Any]) -> str:
    failed = [c for c in report["checks"] if not c["passed"]]
    if not report["is_safe"]:
        blocking = ", ".join(c["name"] for c in failed if c["is_blocking"])
        return f"Refused by {blocking}: it may not be served."
    warned = f" (with a warning: {', '.join(c['name'] for c in failed)})" if failed else ""
    if report["is_skilled"]:
        return f"Safe and skilled{warned}: deployed it becomes champion, and its vote counts."
    return f"Safe{warned}: it may be served as shadow, its vote weighing nothing."


def _skill(report: Mapping[str, Any]) -> str:
    skill = report.get("skill")
    if skill is None:
        return "Skill was not judged."
    missed = [c["name"] for c in skill["checks"] if not c["passed"] and c["is_blocking"]]
    claims, denials = ([MEANINGS[name][k] for name in missed] for k in (0, 1))
    ignored = [c["name"] for c in skill["checks"] if not c["passed"] and not c["is_blocking"]]
    if skill["verdict"] == "skilled" and ignored:
        return (
            f"Skill: passed because the desk's settings let these fail: {', '.join(ignored)}; how "
            "often a model without skill passes so is not known."
        )
    if skill["verdict"] == "skilled":
        rate = f"{skill['significance']:.0%}"
        return f"Skill: every test passed; at most {rate} of models without skill pass."
    if skill["verdict"] == "not enough evidence":
        return f"Skill: not enough evidence to say whether {', '.join(claims)}: no champion."
    return f"Skill: not shown: {', '.join(denials)}; so it is no champion."


def _figures(performance: Mapping[str, Mapping[str, Any]]) -> str:
    own = performance[POLICY]
    if own["sharpe"] is None:
        return "On the test span it did not trade, so it shows no edge."
    rivals = ", ".join(
        f"{TITLES[name]} {performance[name]['sharpe'] or 0.0:.2f}"
        for name in (TEACHER, *BENCHMARKS, CHAMPION)
        if name in performance
    )
    return (
        f"On the test span its Sharpe ratio is {own['sharpe']:.2f} "
        f"(95%: {own['sharpe_low']:.2f} to {own['sharpe_high']:.2f}); {rivals}."
    )

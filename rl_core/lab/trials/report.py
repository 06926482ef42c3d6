"""What `gate-trial` found, as Markdown: for a terminal and for docs/."""

from rl_core.base.markdown import table
from rl_core.lab.trials.gate_trial import LevelResult, TrialReport
from rl_core.lab.trials.known_truths import CHEATS, Levels, Rate


def markdown(report: TrialReport) -> str:
    """Tables with exact binomial intervals, each figure beside its target."""
    parts = ["# How often the gate is wrong", "", *_markets(report)]
    if report.series:
        parts += ["", *_series(report)]
    if report.levels is not None:
        parts += ["", *_levels(report.levels)]
    return "\n".join(parts)


def _rate(rate: Rate) -> str:
    return f"{rate.rate:.1%} ({rate.low:.1%} to {rate.high:.1%})"


def _markets(report: TrialReport) -> list[str]:
    return [
        "## Whole chain: simulated market, dataset, training, gate",
        "",
        *table(
            (
                "planted signal, R² of a bar", "markets", "champion (95%)", "safe",
                "not enough evidence", "fails most often", "90% intervals hold", "leaks",
            ),
            [_market_row(level) for level in report.markets],
        ),
        "",
        "Without signal a champion is a false positive (at most 5%, upper end at most 8%); with "
        "one it is a hit (at least 80% at R² = 5%). Leaks are rows with a feature from the future "
        "or a target that reaches another split.",
    ]  # fmt: skip


def _market_row(level: LevelResult) -> tuple[object, ...]:
    often = sorted(level.failed.items(), key=lambda item: -item[1])[:3]
    return (
        f"{level.signal_r2:.1%}" if level.signal_r2 else "none (noise)",
        level.champion.rounds,
        _rate(level.champion),
        f"{level.safe.rate:.1%}",
        level.undecided,
        ", ".join(f"{check} {count}" for check, count in often) or None,
        ", ".join(f"{horizon} {share:.1%}" for horizon, share in level.coverage.items()) or None,
        level.leaks,
    )


def _series(report: TrialReport) -> list[str]:
    return [
        "## Statistics alone: forecasts of known worth, 2,000 bars",
        "",
        *table(
            (
                "forecast",
                "series",
                "forecast part passes (95%)",
                "whole tier passes (95%)",
                "target",
            ),
            [
                (
                    kind.kind,
                    kind.tier_passes.rounds,
                    _rate(kind.forecasts_pass),
                    _rate(kind.tier_passes),
                    _target(kind.kind, is_skilled=kind.is_skilled),
                )
                for kind in report.series
            ],
        ),
    ]


def _target(kind: str, *, is_skilled: bool) -> str:
    if is_skilled:
        return "forecast part at least 70%"
    return "below 1%" if kind in CHEATS else "at most 5%, upper end at most 8%"


def _levels(levels: Levels) -> list[str]:
    noise, planted = levels.overfitting_noise, levels.overfitting_planted
    return [
        "## Single statistics",
        "",
        *table(
            ("what", "found", "target"),
            [
                ("24h rank correlation, nominal 5%", _rate(levels.rank_ic_24h), "3% to 7%"),
                ("probability of overfitting, noise", f"{noise:.3f}", "0.35 to 0.65"),
                ("probability of overfitting, planted", f"{planted:.3f}", "at most 0.05"),
            ],
        ),
    ]

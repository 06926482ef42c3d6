"""The gate's report for people, as Markdown."""

from collections.abc import Sequence

from rl_core.base.checks import Check
from rl_core.base.figures import number, percent
from rl_core.base.markdown import escaped, table
from rl_core.judging.accounts import TITLES
from rl_core.judging.figures import SkillReport
from rl_core.judging.report import ChampionComparison, GateReport
from rl_core.judging.reports.verdict import verdict
from rl_core.trading.performance import Performance


def markdown(report: GateReport) -> str:
    """The report as Markdown, without its plots."""
    lines = [
        f"# Gate: {report.desk}",
        "",
        f"Policy `{report.policy[:12]}` on {escaped(report.data)}, test span "
        f"{report.test_start[:16]} to {report.test_end[:16]}, {report.test_bars} bars.",
        "",
        f"**{verdict(report.model_dump(mode='json'))}**",
        "",
        *sections(report),
    ]
    return "\n".join(lines)


def sections(report: GateReport) -> list[str]:
    """The sections of the report below its verdict."""
    return [
        "## Safety: may it be served?",
        "",
        *check_table(report.checks),
        "",
        *_skill(report.skill),
        "## On the test span, all costs paid",
        "",
        *performance_table(report.performance),
        "",
        *(line for caveat in report.caveats for line in (f"> {escaped(caveat)}", "")),
        *_champion(report.champion),
        "## Predicted against realised returns",
        "",
        *_prediction_table(report),
        "",
        *_interval_lines(report),
        "## By kind of market",
        "",
        *_regime_table(report),
        "",
    ]


def check_table(checks: Sequence[Check]) -> list[str]:
    """Every check with its verdict and figures."""
    return table(("check", "verdict", "detail"), [(c.name, _said(c), c.detail) for c in checks])


def _said(check: Check) -> str:
    verdict_ = check.verdict if check.passed else f"**{check.verdict}**"
    return verdict_ if check.is_blocking else f"{verdict_} (only warns)"


def _skill(skill: SkillReport | None) -> list[str]:
    if skill is None:
        return []
    return [
        "## Skill: has it earned a vote?",
        "",
        f"**{skill.verdict}**, after {skill.trials} trial{'s' * (skill.trials != 1)} on this desk.",
        "",
        *check_table(skill.checks),
        "",
        *table(
            (
                "horizon",
                "targets (apart)",
                "rank IC (p)",
                "R² against zero (p)",
                "against train mean (p)",
                "slope (95%)",
            ),
            [
                (
                    f.horizon,
                    f"{f.known_targets} ({f.independent_targets})",
                    f"{number(f.rank_ic, 3)} ({number(f.rank_ic_p, 4)})",
                    f"{number(f.gain_on_zero, 4)} ({number(f.gain_on_zero_p, 4)})",
                    f"{number(f.gain_on_mean, 4)} ({number(f.gain_on_mean_p, 4)})",
                    f"{number(f.slope)} ({number(f.slope_low)} to {number(f.slope_high)})",
                )
                for f in skill.forecasts
            ],
        ),
        "",
    ]


def _champion(champion: ChampionComparison | None) -> list[str]:
    if champion is None:
        return []
    if champion.is_same_policy:
        said = "The same weights: nothing was learned anew."
    elif champion.agreement is None:
        said = escaped(champion.reason)
    else:
        said = f"Both decide alike in {champion.agreement:.1%} of the test bars."
    settings = [f"- {escaped(each)}" for each in champion.settings] or ["- the same settings"]
    return [
        f"## What changed against the champion {champion.version}",
        "",
        f"{said} Its bars end {champion.last_bar[:16]}.",
        "",
        *settings,
        "",
    ]


def performance_table(performance: dict[str, Performance]) -> list[str]:
    """Accounts beside each other, as a Markdown table."""
    return table(
        (
            "", "total return", "annual Sharpe (95%)", "max drawdown", "round trips", "win rate",
            "costs paid",
        ),
        [
            (
                TITLES.get(name, name) + (f" ({p.note})" if p.note else ""),
                percent(p.total_return),
                f"{number(p.sharpe)} ({number(p.sharpe_low)} to {number(p.sharpe_high)})",
                percent(p.max_drawdown),
                p.round_trips,
                percent(p.win_rate),
                percent(p.costs_paid),
            )
            for name, p in performance.items()
        ],
    )  # fmt: skip


def _prediction_table(report: GateReport) -> list[str]:
    if not report.predictions:
        return ["The return heads were not trained: there are no predictions."]
    return table(
        (
            "horizon", "correlation", "rank correlation", "R² against zero", "sd predicted",
            "sd realised", "beyond 0.1%",
        ),
        [
            (
                horizon,
                number(m.correlation, 3),
                number(m.rank_correlation, 3),
                number(m.r2_against_zero, 4),
                percent(m.prediction_sd, 3),
                percent(m.target_sd, 3),
                percent(m.plain_threshold_share),
            )
            for horizon, m in report.predictions.items()
        ],
    )  # fmt: skip


def _interval_lines(report: GateReport) -> list[str]:
    return [
        *(
            f"- The {interval.coverage:.0%} interval beside a {horizon} prediction reaches "
            f"{interval.half_width:.2f} volatilities of a bar to each side; calibrated on "
            f"validation alone it held {percent(interval.test_coverage)} of the test returns."
            for horizon, interval in report.intervals.items()
        ),
        "",
    ]


def _regime_table(report: GateReport) -> list[str]:
    return table(
        ("market", "bars", "commonest action", "annual Sharpe (95%)"),
        [
            (name.replace("_", " "), r.bars, f"{r.action} {percent(r.action_share)}", r.sharpe)
            for name, r in report.regimes.items()
        ],
    )

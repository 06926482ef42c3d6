"""The asset checks: every link's own checks, wired once."""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from rl_core.chain import (
    backtest_history,
    bars,
    bc_policy,
    deployed_model,
    offline_dataset,
    ppo_policy,
    prediction_validation,
    regime_dataset,
)
from rl_core.chain.workplace import Workplace
from rl_core.checks import Check
from rl_core.desk import DeskConfig

LINKS = (
    bars,
    backtest_history,
    offline_dataset,
    regime_dataset,
    bc_policy,
    ppo_policy,
    prediction_validation,
    deployed_model,
)


def desk_checks(desk: DeskConfig) -> list[dg.AssetChecksDefinition]:
    """One definition a link, with a spec for each of its checks."""
    return [
        _link_checks(desk, link.__name__.rpartition(".")[-1], link.CHECKS, link.run_checks)
        for link in LINKS
    ]


def _link_checks(
    desk: DeskConfig, link: str, checks: Mapping[str, bool], run: Callable[[Workplace], list[Check]]
) -> dg.AssetChecksDefinition:
    key = dg.AssetKey([desk.name, link])
    specs = [
        dg.AssetCheckSpec(name, asset=key, blocking=blocking) for name, blocking in checks.items()
    ]

    @dg.multi_asset_check(specs=specs, name=f"{desk.name}_{link}_checks")
    def link_checks() -> Iterator[dg.AssetCheckResult]:
        for check in run(Workplace.open(desk.name)):
            severity = (
                dg.AssetCheckSeverity.ERROR if check.is_blocking else dg.AssetCheckSeverity.WARN
            )
            figures = {name: value for name, value in check.figures.items() if value is not None}
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=check.name,
                passed=check.passed,
                severity=severity,
                description=check.detail,
                metadata=figures,
            )

    return link_checks

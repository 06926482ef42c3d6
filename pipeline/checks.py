"""The asset checks: every link's own checks, wired once."""

from collections.abc import Iterator, Mapping
from importlib import import_module

import dagster as dg

from rl_core.desk import DeskConfig
from rl_core.steps import BESIDE, CHAIN
from rl_core.steps.context import Workplace


def desk_checks(desk: DeskConfig) -> list[dg.AssetChecksDefinition]:
    """One definition a link, with a spec for each of its checks."""
    return [_link_checks(desk, link, checks) for link, checks in {**CHAIN, **BESIDE}.items()]


def _link_checks(
    desk: DeskConfig, link: str, checks: Mapping[str, bool]
) -> dg.AssetChecksDefinition:
    key = dg.AssetKey([desk.name, link])
    specs = [
        dg.AssetCheckSpec(name, asset=key, blocking=blocking) for name, blocking in checks.items()
    ]

    @dg.multi_asset_check(specs=specs, name=f"{desk.name}_{link}_checks")
    def link_checks() -> Iterator[dg.AssetCheckResult]:
        # imported by the run: torch takes a second and should not hold up the UI
        module = import_module(f"rl_core.steps.{link}")
        for check in module.run_checks(Workplace.open(desk.name)):
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

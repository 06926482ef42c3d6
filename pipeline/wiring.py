"""How a function becomes an asset of a desk."""

from collections.abc import Callable, Sequence
from inspect import getdoc
from typing import Any

import dagster as dg

from rl_core.desk import DeskConfig


def desk_asset(
    desk: DeskConfig,
    compute: Callable[..., dg.MaterializeResult],
    *,
    kinds: set[str],
    deps: Sequence[str] = (),
    group: str | None = None,
    **options: Any,
) -> dg.AssetsDefinition:
    """An asset `[desk, name of the function]` in the desk's group, or in one of its own.

    Described by its docstring and by the market, so that simulated bars are called so here as well.
    """
    return dg.asset(
        key=dg.AssetKey([desk.name, compute.__name__]),
        group_name=group or desk.name,
        owners=list(desk.owners),
        description=f"{getdoc(compute)}\n\nMarket: {desk.bars.market_name}.",
        kinds=kinds,
        deps=[dg.AssetKey([desk.name, dependency]) for dependency in deps],
        **options,
    )(compute)

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
    **options: Any,
) -> dg.AssetsDefinition:
    """An asset `[desk, name of the function]` in the desk's group, described by its docstring."""
    return dg.asset(
        key=dg.AssetKey([desk.name, compute.__name__]),
        group_name=desk.name,
        owners=list(desk.owners),
        description=getdoc(compute),
        kinds=kinds,
        deps=[dg.AssetKey([desk.name, dependency]) for dependency in deps],
        **options,
    )(compute)

"""Return targets, looked up by timestamp and never by row shift. Shapes: B bars."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_core.base.units import length_ns


def forward_returns(
    ns: NDArray[np.int64],
    close: NDArray[np.float64],
    horizon: str,
    contract: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """close(bar at t + horizon) / close(t) - 1, (B,); NaN where no bar has that timestamp.

    A horizon that ends while the market is closed is therefore unknown, and so is one that ends
    in another contract.

    Args:
        ns: (B,) strictly increasing timestamps.
        close: (B,) prices > 0.
        horizon: for example `1h`.
        contract: (B,) of a future.
    """
    wanted = ns + length_ns(horizon)
    later = np.minimum(np.searchsorted(ns, wanted), len(ns) - 1)
    is_known = ns[later] == wanted
    if contract is not None:
        is_known &= contract[later] == contract
    return np.where(is_known, close[later] / close - 1, np.nan)

"""Return targets, looked up by timestamp and never by row shift. Shapes: B bars."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def horizon_ns(horizon: str) -> int:
    """Length of a horizon such as `24h` in nanoseconds."""
    return pd.Timedelta(horizon).value


def forward_returns(
    ns: NDArray[np.int64], close: NDArray[np.float64], horizon: str
) -> NDArray[np.float64]:
    """close(bar at t + horizon) / close(t) - 1, (B,); NaN where no bar has that timestamp.

    Args:
        ns: (B,) strictly increasing timestamps.
        close: (B,) prices > 0.
        horizon: for example `1h`.
    """
    wanted = ns + horizon_ns(horizon)
    later = np.minimum(np.searchsorted(ns, wanted), len(ns) - 1)
    return np.where(ns[later] == wanted, close[later] / close - 1, np.nan)

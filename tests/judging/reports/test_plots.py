"""Plots show what there is, however many bars there are."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.image import imread

from rl_core.judging.reports.plots import MOST_POINTS, extremes, plot_equity


def test_a_long_curve_keeps_its_ends_and_every_extreme() -> None:
    curve = np.cumsum(np.random.default_rng(0).normal(size=50_000))
    curve[31_234] = 1e3  # one bar that a sample would miss
    rows = extremes(curve)
    assert len(rows) <= MOST_POINTS
    assert (rows[0], rows[-1]) == (0, len(curve) - 1)
    assert {int(curve.argmin()), 31_234} <= set(rows.tolist())
    assert (np.diff(rows) > 0).all()


def test_a_short_curve_is_drawn_whole() -> None:
    assert extremes(np.array([1.0, 3.0, 2.0])).tolist() == [0, 1, 2]
    assert extremes(np.array([1.0])).tolist() == [0]


def test_a_plot_of_many_bars_is_written(tmp_path: Path) -> None:
    times = pd.Series(pd.date_range("2024-01-01", periods=20_000, freq="1min", tz="UTC"))
    curve = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, 20_000)))
    plot_equity(tmp_path / "equity.png", "XYZ", times, {"policy": curve, "buy_and_hold": curve})
    pixels = imread(tmp_path / "equity.png")
    assert pixels.shape[:2] == (605, 825)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50

"""A PPO training at a glance."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rl_core.learning.ppo.history import PPOIteration

PANELS: tuple[tuple[str, Callable[[PPOIteration], float | None]], ...] = (
    ("mean return of a rollout", lambda each: each.mean_return),
    ("validation Sharpe", lambda each: each.validation_score),
    ("explained variance (target > 0.5)", lambda each: each.explained_variance),
    ("entropy, nats (warning below 0.05)", lambda each: each.entropy),
    ("KL of an update, nats", lambda each: each.approx_kl),
    ("clipped share", lambda each: each.clip_fraction),
)


def plot_learning(path: Path, history: Sequence[PPOIteration]) -> None:
    """Curves over the iterations; warm-up is shaded.

    A reward of several parts and a curriculum have a panel each besides the six of every training.
    """
    named = {
        "parts of the reward, per step": [each.reward_terms for each in history],
        "curriculum, share of the largest value": in_shares([each.curriculum for each in history]),
    }
    named = {title: rows for title, rows in named.items() if rows and len(rows[0]) > 1}
    columns = 3 + bool(named)
    figure = Figure(figsize=(10 / 3 * columns, 5.5), dpi=110, layout="constrained")
    grid: NDArray[Any] = figure.subplots(2, columns)
    own = [axes for row in grid for axes in row[:3]]
    for axes, (title, figure_of) in zip(own, PANELS, strict=True):
        draw(axes, title, history, {"": [figure_of(each) for each in history]})
    for axes, (title, rows) in zip(grid[:, 3:].flat, named.items(), strict=False):
        draw(axes, title, history, {name: [row[name] for row in rows] for name in rows[0]})
        axes.legend(fontsize=7)
    figure.supxlabel("iteration (grey: the critic warms up)", fontsize=9)
    figure.savefig(path)


def draw(
    axes: Axes,
    title: str,
    history: Sequence[PPOIteration],
    curves: Mapping[str, Sequence[float | None]],
) -> None:
    """Curves over the iterations; what is unknown is left out."""
    for name, values in curves.items():
        points = zip((each.iteration for each in history), values, strict=True)
        known = [(x, y) for x, y in points if y is not None]
        axes.plot(
            [x for x, _ in known], [y for _, y in known], marker=".", linewidth=1.2, label=name
        )
    if history and history[0].iteration <= 0:
        axes.axvspan(history[0].iteration - 0.5, 0.5, color="grey", alpha=0.15, linewidth=0)
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.25)


def in_shares(rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Each figure as a share of its largest, so that dollars and bars fit one axis."""
    largest = {name: max(abs(row[name]) for row in rows) or 1.0 for name in (rows or [{}])[0]}
    return [{name: value / largest[name] for name, value in row.items()} for row in rows]

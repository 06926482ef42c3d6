"""A PPO training at a glance."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from rl_core.training.ppo_figures import PPOIteration

PANELS: tuple[tuple[str, Callable[[PPOIteration], float | None]], ...] = (
    ("mean return of a rollout", lambda each: each.mean_return),
    ("validation Sharpe", lambda each: each.validation_score),
    ("explained variance (target > 0.5)", lambda each: each.explained_variance),
    ("entropy, nats (warning below 0.05)", lambda each: each.entropy),
    ("KL of an update, nats", lambda each: each.approx_kl),
    ("clipped share", lambda each: each.clip_fraction),
)


def plot_learning(path: Path, history: Sequence[PPOIteration]) -> None:
    """Six curves over the iterations; warm-up is shaded."""
    figure = Figure(figsize=(10, 5.5), dpi=110, layout="constrained")
    for axes, (title, figure_of) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
        points = [(each.iteration, figure_of(each)) for each in history]
        known = [(x, y) for x, y in points if y is not None]
        axes.plot([x for x, _ in known], [y for _, y in known], marker=".", linewidth=1.2)
        if history and history[0].iteration <= 0:
            axes.axvspan(history[0].iteration - 0.5, 0.5, color="grey", alpha=0.15, linewidth=0)
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.25)
    figure.supxlabel("iteration (grey: the critic warms up)", fontsize=9)
    figure.savefig(path)

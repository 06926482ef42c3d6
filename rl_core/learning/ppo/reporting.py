"""Where the figures of a PPO training go: terminal, Dagster, TensorBoard and a JSON file."""

import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from torch.utils.tensorboard.writer import SummaryWriter

from rl_core.base import logs
from rl_core.base.figures import flat, number, percent
from rl_core.base.files import write_json_atomically
from rl_core.learning.hardware.memory import memory_in_use
from rl_core.learning.ppo.history import MIN_ENTROPY, PPOIteration
from rl_core.learning.ppo.score import CompositeScore, composite_score
from rl_core.learning.ppo.tracker import TradeSummary
from rl_core.learning.settings import PPOConfig, Verbosity

log = logging.getLogger(__name__)


class RateColumn(ProgressColumn):
    """A column of a progress bar: steps or minibatches a second."""

    def render(self, task: Task) -> Text:
        """A dash until there is one."""
        return Text("–/s" if task.speed is None else f"{task.speed:,.0f}/s")


class TrainingLog:
    """Tells people and tools of a training; a `Watcher`.

    Args:
        config: of the training.
        num_actions: categories.
        device: of the training, for the memory in use.
        folder: of `metrics.json` and the TensorBoard events; None writes neither and says nothing.
        verbosity: how much.
    """

    def __init__(
        self,
        config: PPOConfig,
        num_actions: int,
        device: Any,
        folder: Path | None,
        verbosity: Verbosity = Verbosity.NORMAL,
    ) -> None:
        self.config = config
        self.summaries: list[dict[str, Any]] = []
        self._num_actions, self._device, self._folder = num_actions, device, folder
        self._verbosity = verbosity
        self._seconds: list[float] = []
        self._last: PPOIteration | None = None
        self._skipped = 0
        self._board = None if folder is None else SummaryWriter(str(folder / "tensorboard"))
        self._bars = self._new_bars()
        self._task: TaskID | None = None

    def _new_bars(self) -> Progress | None:
        is_mute = self._folder is None or self._verbosity == Verbosity.QUIET
        if is_mute or not logs.is_a_person_reading():
            return None
        return Progress(
            TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), RateColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        if self._board is not None:
            self._board.close()

    def line(self, text: str, style: str | None = None) -> None:
        """One line, above the bars if there are any, where it may have a colour."""
        if self._bars is not None:
            self._bars.console.print(
                text, soft_wrap=True, highlight=False, markup=False, style=style
            )
        elif self._folder is not None:
            log.info(text)

    def warning(self, text: str) -> None:
        """A line that a person should act upon."""
        if self._bars is not None or self._folder is None:
            self.line(f"ppo: warning: {text}", style="yellow")
        else:
            log.warning("ppo: %s", text)

    def phase(self, name: str, done: int, total: int) -> None:
        """Move the bar of a phase."""
        if self._bars is None:
            return
        if done == 1 and self._task is not None:  # the last phase was cut short by its target KL
            self._bars.remove_task(self._task)
            self._task = None
        if self._task is None:
            self._task = self._bars.add_task(name, total=total)
        self._bars.update(self._task, completed=done)
        if done == total:
            self._bars.remove_task(self._task)
            self._task = None

    def iteration(self, figures: PPOIteration) -> None:
        """Print, warn, and hand on to TensorBoard."""
        self._last = figures
        seconds = figures.rollout_seconds + figures.policy_seconds + figures.critic_seconds
        self._seconds.append(seconds)
        left = self.config.num_iterations - figures.iteration
        line = iteration_line(figures, self.config.num_iterations, self._time_left(left))
        found = warnings(figures, self._skipped, self.config)
        self._skipped = figures.skipped_updates
        if self._verbosity == Verbosity.QUIET:
            self.line(" | ".join([line, *(f"warning: {each}" for each in found)]))
        else:
            self.line(line)
            if self._verbosity == Verbosity.VERBOSE:
                self.line(verbose_line(figures, memory_in_use(self._device)))
            for warning in found:
                self.warning(warning)
        if self._board is not None:
            for name, value in flat(figures.model_dump(exclude={"iteration"})).items():
                self._board.add_scalar(name, value, figures.iteration)

    def _time_left(self, iterations: int) -> float:
        recent = self._seconds[-5:]
        return iterations * sum(recent) / len(recent)

    def summary(self, iteration: int, trades: TradeSummary) -> None:
        """Print the trades with the composite score, and write them to `metrics.json`."""
        score = self._score(trades)
        self.summaries.append(
            {"iteration": iteration, "trades": trades.model_dump(), "score": score.model_dump()}
        )
        if self._verbosity != Verbosity.QUIET:
            before = self.summaries[-2]["iteration"] if len(self.summaries) > 1 else None
            self.line(trade_line(before, iteration, trades))
            said = f"ppo: composite score {score.score:+.1f} (for people; the gate never reads it)"
            self.line(said, style=score.colour)
        if self._folder is not None:
            write_json_atomically(self._folder / "metrics.json", self.summaries)
        if self._board is not None:
            named = {"trades": trades.model_dump(), "score": score.model_dump()}
            for name, value in flat(named).items():
                self._board.add_scalar(name, value, iteration)

    def _score(self, trades: TradeSummary) -> CompositeScore:
        last = self._last
        return composite_score(
            average_return=trades.average_return,
            win_rate=trades.win_rate,
            reward_mean=last.reward_mean if last else None,
            reward_sd=last.reward_sd if last else None,
            explained_variance=last.explained_variance if last else None,
            entropy=last.entropy if last else None,
            num_actions=self._num_actions,
            approx_kl=last.approx_kl if last else None,
            clip_fraction=last.clip_fraction if last else None,
        )


def warnings(figures: PPOIteration, skipped_before: int, config: PPOConfig) -> list[str]:
    """What a person should change, or look at because it is new."""
    found: list[str] = []
    if figures.entropy is not None and figures.entropy < MIN_ENTROPY:
        found.append(
            f"entropy {figures.entropy:.3f} is below {MIN_ENTROPY}: the policy hardly explores; "
            f"raise --ent-coef (now {config.entropy_coefficient:g}) or lower --initial-lr "
            f"(now {config.actor_learning_rate:g})"
        )
    if figures.skipped_updates > skipped_before:
        causes = ", ".join(f"{name} {count}" for name, count in figures.skipped_by_cause.items())
        found.append(f"{figures.skipped_updates} updates skipped so far for: {causes}")
    return found


def iteration_line(figures: PPOIteration, iterations: int, seconds_left: float) -> str:
    """The figures of one iteration as a line for people."""
    if figures.iteration <= 0:
        stage = f"ppo: critic warm-up {figures.iteration}"
    else:
        stage = f"ppo: iteration {figures.iteration}/{iterations}"
    parts = [
        f"{stage} return {number(figures.mean_return, 3)}",
        f"value loss {number(figures.value_loss, 3)}",
        f"explained variance {number(figures.explained_variance, 2)}",
    ]
    if figures.entropy is not None:
        parts.append(
            f"entropy {figures.entropy:.3f} KL {number(figures.approx_kl, 4)} "
            f"clipped {number(figures.clip_fraction, 3)}"
        )
    parts += [f"return head {h} {loss:.4f}" for h, loss in figures.auxiliary_losses.items()]
    parts.append(
        f"rollout {figures.rollout_seconds:.1f} s, policy {figures.policy_seconds:.1f} s, "
        f"critic {figures.critic_seconds:.1f} s: {figures.steps_per_second:,.0f} steps/s"
    )
    parts += [f"{name} {value:.4g}" for name, value in figures.curriculum.items()]
    if seconds_left > 0:
        parts.append(f"{int(seconds_left // 60)}:{int(seconds_left % 60):02d} left")
    if figures.validation_score is not None:
        parts.append(f"validation Sharpe {figures.validation_score:.2f}")
    return " | ".join(parts)


def verbose_line(figures: PPOIteration, memory_bytes: int) -> str:
    """Statistics of the rollout and of its advantages."""
    norms = ", ".join(f"{part} {norm:.3f}" for part, norm in figures.gradient_norms.items())
    terms = ", ".join(f"{name} {number(mean, 5)}" for name, mean in figures.reward_terms.items())
    return (
        f"ppo:   rewards {number(figures.reward_mean, 4)} ± {number(figures.reward_sd, 4)} "
        f"[{terms}], values "
        f"{number(figures.value_mean, 3)}, advantages {number(figures.advantage_mean, 4)} ± "
        f"{number(figures.advantage_sd, 4)} before normalisation, orders "
        f"{figures.order_share:.1%}, rules broken {figures.terminated_share:.2%}, gradients "
        f"[{norms or 'none'}], rate {figures.learning_rate:.2e}, memory {memory_bytes / 1e9:.2f} GB"
    )


def trade_line(before: int | None, iteration: int, trades: TradeSummary) -> str:
    """The trades of the exploring accounts since the last summary, for people."""
    since = "" if before is None else f" after iteration {before}"
    figures = {
        "equity change": number(trades.pnl, 0),
        "per trade": number(trades.pnl_per_trade, 2),
        "profit": number(trades.gross_profit, 0),
        "loss": number(trades.gross_loss, 0),
        "win rate": number(trades.win_rate, 3),
        "profit factor": number(trades.profit_factor, 2),
        "drawdown": percent(trades.max_trailing_drawdown),
    }
    said = ", ".join(f"{name} {figure}" for name, figure in figures.items())
    rules = ", ".join(f"{rule} {count:,}" for rule, count in trades.violations_by_rule.items())
    return (
        f"ppo: trades{since} to iteration {iteration}: {trades.trades:,}, {said}, rules broken "
        f"{trades.rule_violations:,} ({rules})"
    )

"""The commands that train: `tollgate bc`, `tollgate ppo` and `tollgate walk-forward`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rl_core.base.errors import TollgateError
from rl_core.cli.options import HARDWARE, LEARNING, RUN, option, with_settings
from rl_core.cli.output import AsJson, Desk
from rl_core.judging.settings import WalkForwardConfig
from rl_core.learning.settings import PRESETS, CloningConfig, ModelConfig, PPOConfig

Device = Annotated[
    str, option("cpu, cuda, cuda:1 ... or auto: CUDA if there is one.", HARDWARE, "--device")
]


@with_settings(bc=CloningConfig, model=ModelConfig)
def bc(
    desk: Desk,
    settings: dict[str, Any],
    seed: Annotated[int | None, option("Of weights and minibatches; one clone.", RUN)] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Clone the teacher's behaviour into a network and seal it as `bc_policy`.

    Options that are left out come from the desk. Several seeds make several clones; the one with
    the best validation loss goes on, and the report has the accuracy of their majority vote. Ends
    with a report on overfitting and what to do about it.

    Example: `tollgate bc --desk btc_spot --epochs 5 --class-balance weighted`
    """
    from rl_core.cli.child import train

    if seed is not None and "bc.seeds" in settings:
        raise TollgateError("--seed and --seeds must not both be given")
    if seed is not None:
        settings["bc.seeds"] = [seed]
    train("bc_policy", desk, settings, device=device, as_json=as_json)


@with_settings(ppo=PPOConfig, model=ModelConfig)
def ppo(
    desk: Desk,
    settings: dict[str, Any],
    resume: Annotated[
        bool, option("Go on from the newest valid checkpoint of this training.", RUN, "--resume")
    ] = False,
    checkpoint: Annotated[Path | None, option("Go on from this checkpoint.", RUN)] = None,
    allow_fresh: Annotated[
        bool,
        option(
            "Start anew where there is nothing fitting to go on from: no checkpoint, or another "
            "network.",
            RUN,
            "--allow-fresh",
        ),
    ] = False,
    verbose: Annotated[
        bool, option("Statistics of rollouts and advantages too.", RUN, "--verbose", "-v")
    ] = False,
    quiet: Annotated[
        bool, option("One line an iteration at most.", RUN, "--quiet", "-q")
    ] = False,
    aux_1h_coef: Annotated[
        float | None, option("Weight of the 1h return head's loss.", LEARNING)
    ] = None,
    aux_24h_coef: Annotated[
        float | None, option("Weight of the 24h return head's loss.", LEARNING)
    ] = None,
    high_vram: Annotated[
        bool, option("65,536 accounts x 512 bars, or what fits.", HARDWARE, "--high-vram")
    ] = False,
    low_vram: Annotated[
        bool, option("2,048 accounts x 128 bars, or what fits.", HARDWARE, "--low-vram")
    ] = False,
    max_vram_gpu0: Annotated[
        float, option("GB of the first GPU that may be used.", HARDWARE)
    ] = 45.0,
    max_vram_gpu1: Annotated[
        float, option("GB of each other GPU that may be used.", HARDWARE)
    ] = 20.0,
    multi_gpu: Annotated[
        bool, option("One process a GPU, or join those of torchrun.", HARDWARE, "--multi-gpu")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Improve the clone with PPO on the training span and seal it as `ppo_policy`.

    The critic learns first, then both; the iteration that scores best on the validation span is
    kept. Options that are left out come from the desk. The first Ctrl-C or SIGTERM ends after the
    iteration and saves; `--resume` goes on from there to the same weights. The second quits at
    once.
    """
    from rl_core.cli.child import train

    if verbose and quiet:
        raise TollgateError("--verbose and --quiet must not both be given")
    if high_vram and low_vram:
        raise TollgateError("--high-vram and --low-vram must not both be given")
    preset = PRESETS["high"] if high_vram else PRESETS["low"] if low_vram else {}
    coefficients = {"1h": aux_1h_coef, "24h": aux_24h_coef}
    settings = {
        **{f"ppo.{name}": value for name, value in preset.items()},
        **settings,
        **{f"ppo.auxiliary_coefficients.{h}": c for h, c in coefficients.items() if c is not None},
    }
    # a flag beats the desk, also the desk's own stronger ways to say how long
    stronger = {"ppo.iterations": ("ppo.timesteps", "ppo.episodes"),
                "ppo.episodes": ("ppo.timesteps",)}  # fmt: skip
    cleared = [path for given, paths in stronger.items() if given in settings for path in paths]
    train(
        "ppo_policy", desk, settings, cleared=[p for p in cleared if p not in settings],
        device=device, verbosity="verbose" if verbose else "quiet" if quiet else "normal",
        resume=resume, checkpoint=checkpoint, allow_fresh=allow_fresh,
        max_gpu_gb=(max_vram_gpu0, max_vram_gpu1), multi_gpu=multi_gpu, as_json=as_json,
    )  # fmt: skip


@with_settings(walk_forward=WalkForwardConfig)
def walk_forward(
    desk: Desk, settings: dict[str, Any], device: Device = "auto", as_json: AsJson = False
) -> None:
    """Train and test on one fold after the other: what the procedure earns out of sample.

    Every fold sees only the bars up to its test span, purged and embargoed at the borders, and is
    trained from nothing. What was done before is not done again, so an interrupted walk goes on
    and new bars add folds. The folds' test spans are stitched together; with three seeds or more
    the result is an interquartile mean.

    Example: `tollgate walk-forward --desk btc_spot --folds 2`
    """
    from rl_core.cli.child import train

    train("walk_forward", desk, settings, device=device, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the commands of the learners to an application."""
    for command in (bc, ppo, walk_forward):
        app.command()(command)

"""The two commands that train: `tollgate bc` and `tollgate ppo`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rl_core.base.errors import TollgateError
from rl_core.cli.output import AsJson, Desk

NETWORK, LEARNING, DURATION = "Network", "Learning", "Duration"
HARDWARE, RUN = "Hardware", "Run"


def option(text: str, panel: str, *names: str) -> Any:
    """An option in one of the panels of `--help`."""
    return typer.Option(*names, help=text, rich_help_panel=panel)


Device = Annotated[
    str, option("cpu, cuda, cuda:1 ... or auto: CUDA if there is one.", HARDWARE, "--device")
]
HiddenDim = Annotated[int | None, option("Width of the encoder.", NETWORK)]
NumLayers = Annotated[int | None, option("Layers of the encoder.", NETWORK)]
GruLayers = Annotated[
    int | None, option("GRU layers after the encoder; 0: no memory.", NETWORK, "--n-gru-layers")
]
AttentionDim = Annotated[
    int | None, option("Width of self-attention over the features; 0: none.", NETWORK)
]


class ClassBalance(StrEnum):
    """What `tollgate bc` does about rare actions."""

    NONE = "none"
    WEIGHTED = "weighted"
    SAMPLER = "sampler"
    FOCAL = "focal"


class DataFilter(StrEnum):
    """Where `tollgate ppo` lets accounts start."""

    ALL = "all"
    HIGH_VOLATILITY = "high_volatility"
    TRENDING = "trending"
    RANGING = "ranging"


class Mode(StrEnum):
    """What `tollgate ppo` starts from."""

    FULL = "full"
    INCREMENTAL = "incremental"


def bc(
    desk: Desk,
    epochs: Annotated[
        int | None, option("Most epochs; it stops early by itself.", LEARNING)
    ] = None,
    batch_size: Annotated[int | None, option("Rows of a minibatch.", LEARNING)] = None,
    lr: Annotated[float | None, option("Learning rate of AdamW.", LEARNING)] = None,
    weight_decay: Annotated[float | None, option("Of AdamW.", LEARNING)] = None,
    class_balance: Annotated[
        ClassBalance | None,
        option("For rare actions: weighted loss, weighted sampler or focal loss.", LEARNING),
    ] = None,
    focal_gamma: Annotated[
        float | None, option("How little easy rows count with --class-balance focal.", LEARNING)
    ] = None,
    label_smoothing: Annotated[
        float | None,
        option(
            "Share of each row's label spread over the actions, so that PPO can explore.", LEARNING
        ),
    ] = None,
    noise: Annotated[
        float | None, option("Noise on the market features, in their sd; 0.1 is mild.", LEARNING)
    ] = None,
    return_weight: Annotated[
        float | None, option("Weight of each expected-return head's loss.", LEARNING)
    ] = None,
    risk_head: Annotated[
        bool | None,
        option("Learn the volatility regime to come as well: low, normal or high.", LEARNING),
    ] = None,
    hidden_dim: HiddenDim = None,
    num_layers: NumLayers = None,
    n_gru_layers: GruLayers = None,
    attention_dim: AttentionDim = None,
    dropout: Annotated[float | None, option("After the encoder, 0 to below 1.", NETWORK)] = None,
    seed: Annotated[int | None, option("Of weights and minibatches.", RUN)] = None,
    seeds: Annotated[
        str | None,
        option("Several at once, 42,123,456: an ensemble by majority vote; the best goes on.", RUN),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Clone the ensemble's behaviour into a network and seal it as `bc_policy`.

    Options that are left out come from the desk. Ends with a report on overfitting and what to do
    about it. Example: `tollgate bc --desk btc_spot --epochs 5 --class-balance weighted`
    """
    from rl_core.cli.links import train_clone

    settings = {
        "bc.epochs": epochs, "bc.batch_size": batch_size, "bc.learning_rate": lr,
        "bc.weight_decay": weight_decay, "bc.class_balance": class_balance,
        "bc.focal_gamma": focal_gamma, "bc.label_smoothing": label_smoothing,
        "bc.noise": noise, "bc.return_weight": return_weight,
        "bc.seeds": parse_seeds(seed, seeds), "model.risk_head": risk_head,
        "model.hidden_dim": hidden_dim, "model.encoder_layers": num_layers,
        "model.gru_layers": n_gru_layers, "model.attention_dim": attention_dim,
        "model.dropout": dropout,
    }  # fmt: skip
    train_clone(desk, settings, device, as_json)


def parse_seeds(seed: int | None, seeds: str | None) -> list[int] | None:
    """Seeds from `--seed` or `--seeds`; None when neither is given.

    Raises:
        TollgateError: both are given, or not whole numbers.
    """
    if seeds is None:
        return None if seed is None else [seed]
    if seed is not None:
        raise TollgateError("--seed and --seeds must not both be given")
    try:
        return [int(each) for each in seeds.split(",")]
    except ValueError:
        raise TollgateError(f"--seeds must be whole numbers, 42,123,456, was {seeds}") from None


def ppo(
    desk: Desk,
    timesteps: Annotated[
        int | None, option("Environment steps in all; beats --episodes.", DURATION)
    ] = None,
    episodes: Annotated[
        int | None, option("Windows in all, each a rollout long; beats --iterations.", DURATION)
    ] = None,
    iterations: Annotated[int | None, option("Rollouts to learn from.", DURATION)] = None,
    mode: Annotated[
        Mode | None, option("Start from the clone (full) or the champion (incremental).", RUN)
    ] = None,
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
    train_heads_only: Annotated[
        bool | None,
        option(
            "Train the return heads of the present ppo_policy alone; it decides as before.",
            RUN,
            "--train-heads-only",
        ),
    ] = None,
    data_filter: Annotated[
        DataFilter | None,
        option("Start accounts in one kind of market only; the default is the desk's.", LEARNING),
    ] = None,
    verbose: Annotated[
        bool, option("Statistics of rollouts and advantages too.", RUN, "--verbose", "-v")
    ] = False,
    quiet: Annotated[
        bool, option("One line an iteration at most.", RUN, "--quiet", "-q")
    ] = False,
    seed: Annotated[int | None, option("Of rollouts and minibatches.", RUN)] = None,
    initial_lr: Annotated[float | None, option("Actor's learning rate.", LEARNING)] = None,
    critic_lr: Annotated[float | None, option("Value head's learning rate.", LEARNING)] = None,
    lr_annealing: Annotated[
        bool | None, option("Let both rates fall linearly to --final-lr.", LEARNING)
    ] = None,
    final_lr: Annotated[float | None, option("Of the actor, when annealed.", LEARNING)] = None,
    epochs: Annotated[int | None, option("Passes over each rollout.", LEARNING)] = None,
    critic_epochs: Annotated[
        int | None, option("Extra passes for the value head alone.", LEARNING)
    ] = None,
    gae_lambda: Annotated[
        float | None, option("0: little variance, 1: no bias.", LEARNING, "--gae-lambda")
    ] = None,
    ent_coef: Annotated[float | None, option("Bonus for exploring.", LEARNING)] = None,
    target_kl: Annotated[
        float | None, option("Stop an update's epochs once its KL is 1.5 times this.", LEARNING)
    ] = None,
    value_clip: Annotated[
        float | None, option("How far a value may move in one update.", LEARNING)
    ] = None,
    clone_kl: Annotated[
        float | None, option("Tie to the starting policy, annealed to 0.", LEARNING)
    ] = None,
    enable_auxiliary_losses: Annotated[
        bool | None,
        option("Train the return heads too; without, predictions are null.", LEARNING),
    ] = None,
    aux_1h_coef: Annotated[
        float | None, option("Weight of the 1h return head's loss.", LEARNING)
    ] = None,
    aux_24h_coef: Annotated[
        float | None, option("Weight of the 24h return head's loss.", LEARNING)
    ] = None,
    hidden_dim: HiddenDim = None,
    num_layers: NumLayers = None,
    n_gru_layers: GruLayers = None,
    attention_dim: AttentionDim = None,
    dropout: Annotated[
        float | None, option("For a later clone; PPO itself trains without.", NETWORK)
    ] = None,
    num_envs: Annotated[int | None, option("Accounts that trade at once.", HARDWARE)] = None,
    rollout_steps: Annotated[int | None, option("Bars of a rollout.", HARDWARE)] = None,
    num_minibatches: Annotated[int | None, option("Updates of an epoch.", HARDWARE)] = None,
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
    amp: Annotated[
        bool | None, option("bfloat16 networks, float16 where there is none.", HARDWARE)
    ] = None,
    compile_: Annotated[
        bool | None,
        option(
            "Fuse rollout and loss with torch.compile; half a minute more, then faster.",
            HARDWARE,
            "--compile/--no-compile",
        ),
    ] = None,
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
    from rl_core.cli.links import train_policy
    from rl_core.learning.ppo.sizing import PRESETS

    if verbose and quiet:
        raise TollgateError("--verbose and --quiet must not both be given")
    if high_vram and low_vram:
        raise TollgateError("--high-vram and --low-vram must not both be given")
    preset = PRESETS["high"] if high_vram else PRESETS["low"] if low_vram else {}
    settings = {
        **{f"ppo.{name}": value for name, value in preset.items()},
        **given(
            {
                "ppo.timesteps": timesteps, "ppo.episodes": episodes, "ppo.iterations": iterations,
                "ppo.mode": mode, "ppo.data_filter": data_filter,
                "ppo.train_heads_only": train_heads_only, "ppo.seed": seed,
                "ppo.actor_learning_rate": initial_lr, "ppo.critic_learning_rate": critic_lr,
                "ppo.lr_annealing": lr_annealing, "ppo.final_learning_rate": final_lr,
                "ppo.epochs": epochs, "ppo.critic_epochs": critic_epochs,
                "ppo.gae_lambda": gae_lambda, "ppo.entropy_coefficient": ent_coef,
                "ppo.target_kl": target_kl, "ppo.value_clip": value_clip,
                "ppo.clone_kl_coefficient": clone_kl,
                "ppo.auxiliary_losses": enable_auxiliary_losses,
                "ppo.auxiliary_coefficients.1h": aux_1h_coef,
                "ppo.auxiliary_coefficients.24h": aux_24h_coef,
                "model.hidden_dim": hidden_dim, "model.encoder_layers": num_layers,
                "model.gru_layers": n_gru_layers, "model.attention_dim": attention_dim,
                "model.dropout": dropout, "ppo.num_envs": num_envs,
                "ppo.rollout_steps": rollout_steps, "ppo.num_minibatches": num_minibatches,
                "ppo.amp": amp, "ppo.compile": compile_,
            }
        ),
    }  # fmt: skip
    # a flag beats the desk, also the desk's own stronger ways to say how long
    cleared = ["ppo.timesteps", "ppo.episodes"] if iterations is not None else []
    cleared += ["ppo.timesteps"] if episodes is not None else []
    train_policy(
        desk, settings, cleared=cleared, device=device,
        verbosity="verbose" if verbose else "quiet" if quiet else "normal", resume=resume,
        checkpoint=checkpoint, allow_fresh=allow_fresh, max_gpu_gb=(max_vram_gpu0, max_vram_gpu1),
        multi_gpu=multi_gpu, as_json=as_json,
    )  # fmt: skip


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Those that were set."""
    return {path: value for path, value in settings.items() if value is not None}

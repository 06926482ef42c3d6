"""Options of a command, made from the settings that they replace.

Names, types, bounds and help come from the pydantic models; `ALIASES` names the options whose
customary name is another, and `PANELS` those that `--help` shows elsewhere.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rl_core.base.errors import TollgateError

NETWORK, LEARNING, DURATION = "Network", "Learning", "Duration"
HARDWARE, RUN = "Hardware", "Run"

ALIASES: Mapping[str, str] = {
    "bc.learning_rate": "--lr",
    "model.encoder_layers": "--num-layers",
    "model.gru_layers": "--n-gru-layers",
    "ppo.actor_learning_rate": "--initial-lr",
    "ppo.critic_learning_rate": "--critic-lr",
    "ppo.final_learning_rate": "--final-lr",
    "ppo.entropy_coefficient": "--ent-coef",
    "ppo.clone_kl_coefficient": "--clone-kl",
    "ppo.auxiliary_losses": "--enable-auxiliary-losses",
}
PANELS: Mapping[str, str] = {
    **dict.fromkeys(("ppo.timesteps", "ppo.episodes", "ppo.iterations"), DURATION),
    **dict.fromkeys(
        ("ppo.mode", "ppo.train_heads_only", "ppo.seed", "bc.seeds", "walk_forward.seeds"), RUN
    ),
    **dict.fromkeys(
        ("ppo.num_envs", "ppo.rollout_steps", "ppo.num_minibatches", "ppo.amp", "ppo.compile"),
        HARDWARE,
    ),
}
SWITCHES = {"ppo.train_heads_only"}  # can only be turned on
SECTION_PANELS: Mapping[str, str] = {"model": NETWORK, "walk_forward": "Folds"}

Command = Callable[..., None]


def option(text: str, panel: str, *names: str) -> Any:
    """An option in one of the panels of `--help`."""
    return typer.Option(*names, help=text, rich_help_panel=panel)


def with_settings(**sections: type[BaseModel]) -> Callable[[Command], Command]:
    """Give a command an option for every setting of some sections of a desk.

    The command takes `settings`, dotted path -> value, of those options that were given.

    Args:
        **sections: section of the desk -> its model.
    """
    fields = _fields(sections)

    def decorate(command: Command) -> Command:
        own = inspect.signature(command).parameters
        places = {path.replace(".", "__"): path for path in fields}

        @wraps(command)
        def run(**values: Any) -> None:
            settings = {
                path: _parsed(fields[path], values.pop(place), path)
                for place, path in places.items()
            }
            given = {path: value for path, value in settings.items() if value is not None}
            command(**values, settings=given)

        made = list(parameters_of(sections).values())
        kept = [p for name, p in own.items() if name != "settings"]
        run.__signature__ = inspect.Signature([*kept, *made])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*kept, *made]}
        return run

    return decorate


def parameters_of(sections: Mapping[str, type[BaseModel]]) -> dict[str, inspect.Parameter]:
    """Dotted path -> option, for every setting of some sections that an option can give."""
    return {
        path: _parameter(path.replace(".", "__"), path, field)
        for path, field in _fields(sections).items()
    }


def _fields(sections: Mapping[str, type[BaseModel]]) -> dict[str, FieldInfo]:
    return {
        f"{section}.{name}": field
        for section, model in sections.items()
        for name, field in model.model_fields.items()
        if get_origin(_plain(field)) is not dict
    }


def _parameter(place: str, path: str, field: FieldInfo) -> inspect.Parameter:
    section, name = path.split(".")
    kind = _plain(field)
    flag = ALIASES.get(path, "--" + name.replace("_", "-"))
    is_pair = kind is bool and path not in SWITCHES
    names = f"{flag}/--no-{flag.removeprefix('--')}" if is_pair else flag
    shown: Any = str if get_origin(kind) is tuple else kind
    panel = PANELS.get(path, SECTION_PANELS.get(section, LEARNING))
    annotation = Annotated[shown | None, option(_help(field), panel, names)]
    return inspect.Parameter(
        place, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _plain(field: FieldInfo) -> Any:
    """The type of a setting, without None and without its bounds."""
    kind: Any = field.annotation
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = next(each for each in get_args(kind) if each is not NoneType)
    return kind


def _help(field: FieldInfo) -> str:
    """What the setting says of itself, and its bounds."""
    parts = [field.description or ""]
    kind = _plain(field)
    if get_origin(kind) is tuple:
        parts.append("several, 42,123,456")
    if get_origin(kind) is not Literal and (bounds := _bounds(field)):
        parts.append(bounds)
    text = "; ".join(part for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}."


def _bounds(field: FieldInfo) -> str:
    metadata = [*field.metadata, *_nested(field.annotation)]
    words = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
    limits = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt"}
    said = [
        f"{word} {getattr(each, limits[kind]):g}"
        for each in metadata
        for kind, word in words.items()
        if isinstance(each, kind) and abs(float(getattr(each, limits[kind]))) < 1e6
    ]
    return ", ".join(dict.fromkeys(said))


def _nested(kind: Any) -> list[Any]:
    """Bounds that stand inside a type such as `PositiveInt | None`."""
    found = list(getattr(kind, "__metadata__", ()))
    for each in get_args(kind):
        found += _nested(each) if get_origin(each) in (Annotated, Union, UnionType) else []
    return found


def _parsed(field: FieldInfo, value: Any, path: str) -> Any:
    if value is None or get_origin(_plain(field)) is not tuple:
        return value
    flag = ALIASES.get(path, "--" + path.split(".")[1].replace("_", "-"))
    try:
        return [int(each) for each in value.split(",")]
    except ValueError:
        raise TollgateError(f"{flag} must be whole numbers, 42,123,456, was {value}") from None

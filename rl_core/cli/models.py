"""`tollgate models`: the deployed versions of a desk."""

import sys
from typing import Annotated, Any

import typer

from rl_core.base.errors import TollgateError
from rl_core.cli.output import AsJson, Desk, emit
from rl_core.store.models import STAGES, ModelStore

models = typer.Typer(no_args_is_help=True, help="Deployed versions, and the trials behind them.")


@models.command("list")
def list_models(desk: Desk, as_json: AsJson = False) -> None:
    """List a desk's versions, oldest first, and what the pointers serve."""
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext

    store = DeskContext.open(desk).models
    serving: dict[str, str] = {}
    for stage, name in pointers_of(store).items():
        serving[name] = f"{serving[name]}, {stage}" if name in serving else stage
    rows: list[dict[str, Any]] = []
    for name in store.versions():
        try:
            row = show.version_row(store.version(name)) | {"problem": ""}
        except TollgateError as error:
            row = dict.fromkeys(show.VERSION_COLUMNS) | {"version": name, "problem": str(error)}
        rows.append(row | {"serving": serving.get(name, "")})
    if not any(row["problem"] for row in rows):
        rows = [{k: v for k, v in row.items() if k != "problem"} for row in rows]
    emit(rows, as_json, show.rows)


def pointers_of(store: ModelStore) -> dict[str, str]:
    """Stage -> version; a pointer that is broken is warned of and left out."""
    found: dict[str, str] = {}
    for stage in STAGES:
        try:
            found |= {stage: name} if (name := store.pointed(stage)) else {}
        except TollgateError as error:
            print(f"tollgate: warning: {error}", file=sys.stderr)
    return found


@models.command("show")
def show_model(version: str, desk: Desk, as_json: AsJson = False) -> None:
    """Verify a version's hashes and print its model card, or with --json its manifest."""
    from rl_core.steps.context import DeskContext

    store = DeskContext.open(desk).models
    found = store.version(version)
    store.verify(found)
    card = found.folder.read("model_card.md").decode()
    for each in found.manifest.promotions:
        card += f"\nPromoted to champion by {each.by}, {each.promoted_at}: {each.reason}\n"
    emit(found.manifest.model_dump(mode="json") if as_json else card, as_json, print)


@models.command()
def trials(desk: Desk, as_json: AsJson = False) -> None:
    """List every policy that was ever trained for a desk: what a Sharpe ratio is deflated by."""
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext

    hidden = {"candidates", "dataset"}
    found = [each.model_dump(exclude=hidden) for each in DeskContext.open(desk).trials.trials()]
    found.sort(key=lambda each: each["made_at"])
    emit(found, as_json, show.trials)


StageOption = Annotated[str, typer.Option(help="Which pointer moves: shadow or champion.")]


@models.command()
def rollback(
    version: str, desk: Desk, stage: StageOption = "shadow", as_json: AsJson = False
) -> None:
    """Serve an earlier version again, after its hashes were verified.

    As champion only a version that was champion before can be served: by the gate's verdict, or by
    `promote`.
    """
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.store.promotion import roll_back

    roll_back(DeskContext.open(desk).models, version, stage)
    emit({"desk": desk, stage: version}, as_json, show.settings)


@models.command()
def promote(
    version: str,
    desk: Desk,
    reason: Annotated[str, typer.Option(help="Why; it stays beside the manifest for good.")],
    as_json: AsJson = False,
) -> None:
    """Make a version champion by hand, with a reason that is kept beside its manifest for good.

    The gate makes champions of what proves itself; this is for a person who knows better and says
    so. The checks that the version did not pass are recorded with the reason. Example: `tollgate
    models promote VERSION --desk btc_spot --reason "paper trading since May, approved by risk"`
    """
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.store.promotion import promote as promote_version

    promotion = promote_version(DeskContext.open(desk).models, version, reason)
    emit({"desk": desk, "champion": version, **promotion.model_dump()}, as_json, show.settings)

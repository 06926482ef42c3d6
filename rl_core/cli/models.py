"""`tollgate models`: the deployed versions of a desk."""

from typing import Annotated

import typer

from rl_core.cli.output import AsJson, Desk, emit

models = typer.Typer(no_args_is_help=True, help="Deployed versions, and the trials behind them.")


@models.command("list")
def list_models(desk: Desk, as_json: AsJson = False) -> None:
    """List a desk's versions, oldest first, and what the pointers serve."""
    from rl_core.cli import show
    from rl_core.steps.context import Workplace

    store = Workplace.open(desk).store
    serving: dict[str, str] = {}
    for stage, name in store.pointers().items():
        serving[name] = f"{serving[name]}, {stage}" if name in serving else stage
    rows = [
        show.version_row(store.version(name)) | {"serving": serving.get(name, "")}
        for name in store.versions()
    ]
    emit(rows, as_json, show.rows)


@models.command("show")
def show_model(version: str, desk: Desk, as_json: AsJson = False) -> None:
    """Verify a version's hashes and print its model card, or with --json its manifest."""
    from rl_core.steps.context import Workplace

    found = Workplace.open(desk).store.version(version)
    card = (found.directory / "model_card.md").read_text()
    for each in found.manifest.promotions:
        card += f"\nPromoted to champion by {each.by}, {each.promoted_at}: {each.reason}\n"
    emit(found.manifest.model_dump(mode="json") if as_json else card, as_json, print)


@models.command()
def trials(desk: Desk, as_json: AsJson = False) -> None:
    """List every policy that was ever trained for a desk: what a Sharpe ratio is deflated by."""
    from rl_core.cli import show
    from rl_core.steps.context import Workplace

    hidden = {"candidates", "dataset"}
    found = [each.model_dump(exclude=hidden) for each in Workplace.open(desk).trials.trials()]
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
    from rl_core.steps.context import Workplace
    from rl_core.store.promotion import roll_back

    roll_back(Workplace.open(desk).store, version, stage)
    emit({"desk": desk, stage: version}, as_json, show.settings)


@models.command()
def promote(
    version: str,
    desk: Desk,
    reason: Annotated[str, typer.Option(help="Why; it stays in the manifest for good.")],
    as_json: AsJson = False,
) -> None:
    """Make a version champion by hand, with a reason that its manifest keeps for good.

    The gate makes champions of what proves itself; this is for a person who knows better and says
    so. The checks that the version did not pass are recorded with the reason. Example: `tollgate
    models promote VERSION --desk btc_spot --reason "paper trading since May, approved by risk"`
    """
    from rl_core.cli import show
    from rl_core.steps.context import Workplace
    from rl_core.store.promotion import promote as promote_version

    promotion = promote_version(Workplace.open(desk).store, version, reason)
    emit({"desk": desk, "champion": version, **promotion.model_dump()}, as_json, show.settings)

"""`tollgate models`: the deployed versions of a desk."""

import typer

from rl_core.cli.output import AsJson, Desk, emit

models = typer.Typer(no_args_is_help=True, help="Deployed versions: list, show, roll back.")


@models.command("list")
def list_models(desk: Desk, as_json: AsJson = False) -> None:
    """List a desk's versions, oldest first, and what the pointers serve."""
    from rl_core.chain.workplace import Workplace
    from rl_core.cli import show

    store = Workplace.open(desk).store
    serving = {version: stage for stage, version in store.pointers().items()}
    rows = [
        show.version_row(store.version(name)) | {"serving": serving.get(name, "")}
        for name in store.versions()
    ]
    emit(rows, as_json, show.rows)


@models.command("show")
def show_model(version: str, desk: Desk, as_json: AsJson = False) -> None:
    """Verify a version's hashes and print its model card, or with --json its manifest."""
    from rl_core.chain.workplace import Workplace

    found = Workplace.open(desk).store.version(version)
    card = (found.directory / "model_card.md").read_text()
    emit(found.manifest.model_dump(mode="json") if as_json else card, as_json, print)


@models.command()
def rollback(version: str, desk: Desk, as_json: AsJson = False) -> None:
    """Serve an earlier version as `shadow` again, after its hashes were verified."""
    from rl_core.chain.workplace import Workplace
    from rl_core.cli import show

    store = Workplace.open(desk).store
    store.point("shadow", version)
    emit({"desk": desk, "shadow": version}, as_json, show.settings)

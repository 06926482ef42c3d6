"""Flip bits anywhere in what is kept: none goes unnoticed, and none is a traceback."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rl_core.base.errors import TollgateError
from rl_core.serving.loaded import LoadedModel
from rl_core.steps.context import DeskContext
from rl_core.steps.latest_bars import LATEST
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.runner import verdicts
from rl_core.store.documents import read_document
from rl_core.store.promotion import promote
from tests.chain import bars_file, deploy, run_chain
from tests.conftest import small_desk

TRIES = 2_400
KEPT = (LATEST, *GATE.ancestors, GATE)


def read_everything(context: DeskContext) -> None:
    """What commands and a service read, one after the other."""
    for step in KEPT:
        opened = context.open_artifact(step)
        opened.artifact.folder.verify()
        read_document(context.artifacts.verdicts_path(opened.artifact))
    context.artifacts.lineage(context.open_artifact(GATE).artifact)
    pointers = context.models.pointers()
    for name in context.models.versions():
        context.models.verify(context.models.version(name))
    for stage in pointers:
        LoadedModel.of_version(context.models.served(stage))
    context.trials.trials()


def kept_files(root: Path) -> list[Path]:
    found = [p for part in ("lake", "models", "trials") for p in (root / part).rglob("*")]
    return sorted(p for p in found if p.is_file() and not p.name.endswith("lock"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    folder = tmp_path_factory.mktemp("flips")
    desk = small_desk(bars_file(folder)).with_settings(
        {"bc.epochs": 1, "ppo.iterations": 1, "model.hidden_dim": 8}
    )
    context = run_chain(desk, folder)
    version = deploy(context).manifest.version
    promote(context.models, version, "for the sake of the test")
    for step in KEPT:
        verdicts(context, step)
    return context


def damaged(file: Path, damage: Callable[[bytearray], None], read: Callable[[], None]) -> str:
    """What reading says of a damaged file, which is brought back afterwards."""
    intact = file.read_bytes()
    content = bytearray(intact)
    damage(content)
    file.write_bytes(content)
    try:
        read()
    except TollgateError as error:
        return str(error)
    finally:
        file.write_bytes(intact)
    return ""


def flip_in_every_file(context: DeskContext, tries: int, seed: int) -> None:
    """Small files get as many flips as large ones: pointers, seals and manifests count most."""
    draw = random.Random(seed)
    files = kept_files(context.root)
    read_everything(context)
    unnoticed: list[str] = []
    for number in range(tries):
        file = files[number % len(files)]
        bit = draw.randrange(8 * file.stat().st_size)

        def flip(content: bytearray, bit: int = bit) -> None:
            content[bit // 8] ^= 1 << bit % 8

        if not damaged(file, flip, lambda: read_everything(context)):
            unnoticed.append(f"bit {bit} of {file}")
    assert unnoticed == []


def test_a_bit_that_is_flipped_in_any_file_is_noticed(whole: DeskContext) -> None:
    flip_in_every_file(whole, len(kept_files(whole.root)), seed=0)


@pytest.mark.slow
def test_of_thousands_of_flipped_bits_none_goes_unnoticed(whole: DeskContext) -> None:
    flip_in_every_file(whole, TRIES, seed=1)


def test_a_file_that_is_cut_emptied_or_replaced_is_noticed(whole: DeskContext) -> None:
    cuts: tuple[Callable[[bytearray], None], ...] = (
        lambda content: content.clear(),
        lambda content: content.__delitem__(slice(len(content) // 2, None)),
        lambda content: content.__setitem__(slice(None), b"[" * 100_000),
        lambda content: content.__setitem__(slice(None), b"null"),
    )
    for file in kept_files(whole.root):
        for number, cut in enumerate(cuts):
            assert damaged(file, cut, lambda: read_everything(whole)), f"cut {number} of {file}"


def test_what_is_served_does_not_depend_on_the_lake(whole: DeskContext, tmp_path: Path) -> None:
    shutil.copytree(whole.root / "models", tmp_path / "models")
    alone = DeskContext.open(whole.desk, tmp_path)
    LoadedModel.of_version(alone.models.served("champion"))

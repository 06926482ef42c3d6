"""What the house promises of itself: how much a module leans on, and what is light to load."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_PACKAGES = 12
MOST_MODULES = 17  # of the widest: where a kind of desk is put together


def imported(path: Path) -> set[str]:
    """Modules of the library that a module imports when it is loaded."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rl_core"):
            found.add(str(node.module))
    return found


def packages(modules: set[str]) -> set[str]:
    """Their packages: what a reader has to know of."""
    return {".".join(module.split(".")[:2]) for module in modules}


def test_no_module_leans_on_more_than_twelve_packages() -> None:
    heavy = {
        str(path.relative_to(ROOT)): len(packages(imported(path)))
        for path in ROOT.glob("rl_core/**/*.py")
        if len(packages(imported(path))) > MOST_PACKAGES
    }
    assert heavy == {}


def test_no_module_leans_on_more_modules_than_the_widest_now_does() -> None:
    heavy = {
        str(path.relative_to(ROOT)): len(imported(path))
        for path in ROOT.glob("rl_core/**/*.py")
        if len(imported(path)) > MOST_MODULES
    }
    assert heavy == {}


HEAVY = ("numpy", "pandas", "torch", "numba", "scipy", "talib", "duckdb", "pyarrow", "matplotlib")
WITHOUT = {
    "rl_core.desk": HEAVY,
    "rl_core.cli.app": HEAVY,
    "rl_core.steps.context": HEAVY,
    "rl_core.store.models": HEAVY,
    "rl_core.serving.loaded": (
        "matplotlib", "statsmodels", "arch", "duckdb", "tensorboard", "dagster_pipes",
        "scipy.stats", "rl_core.judging.skill", "rl_core.judging.statistics",
        "rl_core.judging.safety", "rl_core.lab", "rl_core.steps", "rl_core.learning.ppo",
        "rl_core.learning.cloning",
    ),
    "rl_core.steps.chain": ("torch", "matplotlib", "statsmodels", "arch", "dagster_pipes"),
    "rl_core.cli.show": ("pandas", "torch"),
    "pipeline.definitions": ("torch", "matplotlib"),
}  # fmt: skip


@pytest.mark.parametrize("module", WITHOUT)
def test_a_module_is_loaded_without_what_it_does_not_need(module: str) -> None:
    script = f"import {module}, sys; print([m for m in {WITHOUT[module]!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"


def test_reading_every_desk_takes_less_than_sixty_megabytes() -> None:
    script = (
        "from rl_core.desk import read_desks; read_desks();"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(result.stdout) < 60_000


FEWEST_WORDS = 6


def test_no_docstring_is_a_filler() -> None:
    """What implements a protocol says `@override` instead of a word or two."""
    fillers = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for folder in ("rl_core", "pipeline")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and len((ast.get_docstring(node) or "x " * FEWEST_WORDS).split()) < FEWEST_WORDS
    ]
    assert fillers == []


def test_every_path_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:[a-z_*]+/)+[\w.*]*)`", text)) - {"data/"}
    assert len(named) > 60
    missing = [
        name
        for name in sorted(named)
        if not any([*ROOT.glob(name.rstrip("/")), *(ROOT / "rl_core").glob(name.rstrip("/"))])
    ]
    assert missing == []

"""The tutorial of docs/data.md, run as it stands there: a CSV to a served model."""

import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    """The lines of the block that the document says is run here."""
    text = (ROOT / "docs" / "data.md").read_text()
    block = text.split("<!-- run by tests/cli/test_tutorial.py -->")[1]
    return re.findall(r"^    (\S.*)$", block.split("\n\n`TOLLGATE_DESKS`")[0], re.MULTILINE)


@pytest.mark.slow
def test_a_csv_becomes_a_served_model_in_three_commands(tmp_path: Path) -> None:
    assert len(commands()) == 3
    (tmp_path / "desks").mkdir()
    sample = pd.read_parquet(ROOT / "data/sample/BTC-USD_1h_2017-07_2019-10.parquet")
    sample.to_csv(tmp_path / "my_coin_1h.csv", index=False, sep=";")
    environment = {
        **os.environ,
        "TOLLGATE_DESKS": str(tmp_path / "desks"),
        "TOLLGATE_DATA": str(tmp_path / "data"),
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    said: list[str] = []
    for command in commands():
        told = command.replace("my_coin_1h.csv", str(tmp_path / "my_coin_1h.csv"))
        result = subprocess.run(
            told.split(), env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{command}: {result.stdout[-2000:]} {result.stderr[-2000:]}"
        said.append(result.stdout + result.stderr)
    assert "wrote" in said[0]
    assert "from bars to a deployed model" in said[1]
    assert "predicted_return_24h" in said[2]
    assert "bars of 1h have closed since the newest" in said[2]  # of years ago, and said

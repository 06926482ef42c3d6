"""A new desk begins as a copy of another, and is a desk at once."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rl_core.base.errors import TollgateError
from rl_core.cli.app import app
from rl_core.desk import load_desk


@pytest.mark.parametrize("like", ["btc_spot", "index_futures", "us_portfolio"])
def test_a_copy_is_a_desk_with_the_settings_and_comments_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, like: str
) -> None:
    monkeypatch.setenv("TOLLGATE_DESKS", str(tmp_path))
    result = CliRunner().invoke(app, ["new-desk", "mine", "--like", like], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"wrote {tmp_path}/mine.yaml" in result.stdout
    text = (tmp_path / "mine.yaml").read_text()
    assert f"# Began as a copy of {like}." in text
    assert load_desk("mine").resolved() | {"name": like} == load_desk(like).resolved()
    with pytest.raises(TollgateError, match="the name of a desk must be new, was mine"):
        CliRunner().invoke(app, ["new-desk", "mine", "--like", like], catch_exceptions=False)


def test_what_cannot_be_copied_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLGATE_DESKS", str(tmp_path))
    for words, said in (
        (["My-Desk", "--like", "btc_spot"], "name"),
        (["mine", "--like", "nosuch"], "desk must be one of btc_spot"),
    ):
        with pytest.raises(TollgateError, match=said):
            CliRunner().invoke(app, ["new-desk", *words], catch_exceptions=False)
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("TOLLGATE_DESKS")
    with pytest.raises(TollgateError, match="must name the folder of your desks"):
        CliRunner().invoke(app, ["new-desk", "mine", "--like", "btc_spot"], catch_exceptions=False)


def test_a_file_of_many_desks_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLLGATE_DESKS", str(tmp_path))
    many = "desks: {template: {bars: {path: x.csv}}, symbols: [A, B]}\n"
    (tmp_path / "majors.yml").write_text(many)
    with pytest.raises(TollgateError, match="name of a desk must be new, was majors"):
        CliRunner().invoke(
            app, ["new-desk", "majors", "--like", "btc_spot"], catch_exceptions=False
        )
    assert (tmp_path / "majors.yml").read_text() == many

"""Checkpoints are found by step and hash; a broken one is passed over and said."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.store.checkpoints import (
    FACTS,
    STATE,
    checkpoints,
    interrupted_name,
    load_checkpoint,
    newest_checkpoint,
    periodic_name,
    remove_old,
    save_checkpoint,
)
from rl_core.store.documents import read_document, write_document


def save(folder: Path, name: str, step: int) -> Path:
    tensors = {"weight": torch.full((3,), float(step)), "count": torch.tensor(step)}
    return save_checkpoint(folder, name, step, tensors, {"iteration": step // 10})


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = save(tmp_path, periodic_name(30), 30)
    checkpoint, tensors = load_checkpoint(path)
    assert (checkpoint.step, checkpoint.facts) == (30, {"iteration": 3})
    assert tensors["weight"].tolist() == [30.0] * 3
    assert tensors["count"].item() == 30


def test_the_newest_is_the_one_with_most_steps_whatever_its_file_time(tmp_path: Path) -> None:
    late = save(tmp_path, interrupted_name(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), 90)
    save(tmp_path, periodic_name(80), 80)
    os.utime(late, (0, 0))
    assert late.name == "model_interrupted_20260102_030405"
    assert newest_checkpoint(tmp_path) == (late, [])


@pytest.mark.parametrize("file", [STATE, FACTS])
def test_one_flipped_bit_passes_it_over_and_says_so(tmp_path: Path, file: str) -> None:
    good, bad = save(tmp_path, periodic_name(10), 10), save(tmp_path, periodic_name(20), 20)
    content = bytearray((bad / file).read_bytes())
    place = content.index(b'"iteration"') + 3 if file == FACTS else len(content) - 1
    content[place] ^= 1
    (bad / file).write_bytes(content)
    found, refused = newest_checkpoint(tmp_path)
    assert found == good
    assert len(refused) == 1
    assert str(bad) in refused[0]
    with pytest.raises(TollgateError):
        load_checkpoint(bad)


def test_a_half_written_one_is_passed_over(tmp_path: Path) -> None:
    bad = save(tmp_path, periodic_name(20), 20)
    (bad / STATE).unlink()
    found, refused = newest_checkpoint(tmp_path)
    assert found is None
    assert "was missing" in refused[0]
    assert newest_checkpoint(tmp_path / "none") == (None, [])


def test_the_last_due_ones_are_kept(tmp_path: Path) -> None:
    for step in range(10, 60, 10):
        save(tmp_path, periodic_name(step), step)
    stopped = save(tmp_path, "model_interrupted_20260102_030405", 55)
    remove_old(tmp_path)
    assert [load_checkpoint(p)[0].step for p in checkpoints(tmp_path)] == [30, 40, 50, 55]
    assert stopped.is_dir()


def test_a_step_that_was_reached_before_is_written_again(tmp_path: Path) -> None:
    save(tmp_path, periodic_name(10), 10)
    assert load_checkpoint(save(tmp_path, periodic_name(10), 11))[0].step == 11


def test_a_checkpoint_that_does_not_say_its_step_is_none(tmp_path: Path) -> None:
    path = save(tmp_path, periodic_name(20), 20)
    body = read_document(path / FACTS)
    del body["step"]
    write_document(path / FACTS, body)
    assert newest_checkpoint(tmp_path)[0] is None

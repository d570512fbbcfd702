"""A state taken back from a file is the one that was saved: nothing computed after it differs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import restored_logits
from restored_logits import QUESTION, Reader, document, loaded

from m1desk.llama_worker.native import Native

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m1desk.llama_worker.model import Model

DOCUMENT = document(300)
SETTINGS = (
    {"kv_type": "f16", "flash_attention": True},
    {"kv_type": "f16", "flash_attention": False},
    {"kv_type": "f32", "flash_attention": True},
)


@pytest.fixture(scope="module")
def native() -> Native:
    return Native()


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_minimax"])
def path(request: pytest.FixtureRequest) -> Path:
    model: Path = request.getfixturevalue(request.param)
    return model


@pytest.fixture(scope="module")
def model(native: Native, path: Path) -> Iterator[Model]:
    with loaded(native, path) as model:
        yield model


def save(reader: Reader, sequence: int, tokens: list[int], path: Path) -> None:
    written = reader.context.save_file(sequence, path, np.asarray(tokens, dtype=np.int32))
    assert written == path.stat().st_size > 0


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_logits_after_a_restore_equal_those_after_a_full_prefill(
    native: Native, model: Model, tmp_path: Path, settings: dict[str, object]
) -> None:
    first = Reader(native, model, **settings)
    first.read(0, DOCUMENT)
    save(first, 0, DOCUMENT, tmp_path / "state")
    expected = first.read(0, QUESTION, len(DOCUMENT))
    # neither the number of sequences nor the context's length is part of a state
    for sizes in ({}, {"parallel": 2, "context_tokens": 2048}, {"parallel": 1}):
        again = Reader(native, model, **settings, **sizes)
        assert again.context.load_file(0, tmp_path / "state", len(DOCUMENT))
        assert np.abs(again.read(0, QUESTION, len(DOCUMENT)) - expected).max() == 0.0
        again.context.close()
    first.context.close()


def test_logits_tell_what_was_read_before_them(native: Native, model: Model) -> None:
    reader = Reader(native, model)
    reader.read(0, DOCUMENT)
    reader.read(1, [DOCUMENT[0] + 1, *DOCUMENT[1:]])
    one, other = (reader.read(number, QUESTION, len(DOCUMENT)) for number in (0, 1))
    assert np.abs(one - other).max() > 0.0
    reader.context.close()


def test_logits_are_the_same_in_a_fresh_process(
    native: Native, model: Model, path: Path, tmp_path: Path
) -> None:
    reader = Reader(native, model)
    reader.read(0, DOCUMENT)
    save(reader, 0, DOCUMENT, tmp_path / "state")
    expected = reader.read(0, QUESTION, len(DOCUMENT))
    output = tmp_path / "logits.npy"
    words = [path, tmp_path / "state", len(DOCUMENT), output]
    script = [sys.executable, restored_logits.__file__, *map(str, words)]
    subprocess.run(script, check=True, capture_output=True)
    assert np.abs(np.load(output) - expected).max() == 0.0
    reader.context.close()


def test_logits_are_the_same_while_other_sequences_are_written(
    native: Native, model: Model, tmp_path: Path
) -> None:
    others = {1: 200, 3: 90}

    def busy() -> Reader:
        reader = Reader(native, model)
        for sequence, length in others.items():
            reader.read(sequence, document(length, seed=sequence))
        return reader

    first, again = busy(), busy()
    first.read(0, DOCUMENT)
    save(first, 0, DOCUMENT, tmp_path / "state")
    assert again.context.load_file(0, tmp_path / "state", len(DOCUMENT))
    expected = first.ask_beside(0, len(DOCUMENT), others)
    found = again.ask_beside(0, len(DOCUMENT), others)
    for one, other in zip(expected, found, strict=True):
        assert np.abs(one - other).max() == 0.0
    first.context.close()
    again.context.close()


def test_a_state_taken_back_elsewhere_is_saved_as_the_same_bytes(
    native: Native, model: Model, tmp_path: Path
) -> None:
    first = Reader(native, model)
    first.read(0, DOCUMENT)
    save(first, 0, DOCUMENT, tmp_path / "state")
    again = Reader(native, model)
    # gaps between the cells in use: the state does not find one free stretch
    for sequence in (1, 2, 3):
        again.read(sequence, document(200, seed=sequence))
    again.context.forget(2)
    assert again.context.load_file(2, tmp_path / "state", len(DOCUMENT))
    save(again, 2, DOCUMENT, tmp_path / "again")
    # the number of the sequence is written too; all else is the same
    left, right = (np.fromfile(tmp_path / one, np.uint8) for one in ("state", "again"))
    differing = np.flatnonzero(left != right)
    assert len(left) == len(right)
    assert set(right[differing]) <= {2}
    first.context.close()
    again.context.close()


def test_a_context_with_other_settings_refuses_the_file_and_stays_empty(
    native: Native, model: Model, tmp_path: Path
) -> None:
    first = Reader(native, model)
    first.read(0, DOCUMENT)
    save(first, 0, DOCUMENT, tmp_path / "state")
    for other in ({"flash_attention": False}, {"kv_type": "f32"}, {"context_tokens": 256}):
        again = Reader(native, model, **other)
        assert not again.context.load_file(0, tmp_path / "state", len(DOCUMENT))
        assert again.context.last_position(0) == -1
        again.context.close()
    first.context.close()

"""The panel of saved states: what there is, what goes first, and files that are not ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from m1desk.documents import PreparedStates, state_name

TEXT = "ab" * 32
MODEL = Path("/m/a.gguf")


def _save(folder: Path, name: str, *, size: int, used: float, **changes: object) -> None:
    (folder / f"prepared-{name}.1.ab.state").write_bytes(b"x" * size)
    fields = {
        "tokens": 12,
        "size": size,
        "created": 5.0,
        "complete": True,
        "key": {"model_name": "m"},
        **changes,
    }
    path = folder / f"prepared-{name}.json"
    path.write_text(json.dumps(fields))
    os.utime(path, (used, used))


@pytest.fixture
def names() -> list[str]:
    return [state_name(number, TEXT, MODEL, "f16") for number in (1, 2, 3)]


def test_each_set_text_and_model_has_a_state_of_its_own() -> None:
    name = state_name(7, TEXT, MODEL, "f16")
    assert name == state_name(7, TEXT, MODEL, "f16")
    others = {
        state_name(8, TEXT, MODEL, "f16"),
        state_name(7, "cd" * 32, MODEL, "f16"),
        state_name(7, TEXT, Path("/m/b.gguf"), "f16"),
        state_name(7, TEXT, MODEL, "q8_0"),
    }
    assert len(others | {name}) == 5


def test_states_are_listed_by_last_use(tmp_path: Path, names: list[str]) -> None:
    states = PreparedStates(tmp_path)
    for used, name in zip((100.0, 300.0, 200.0), names, strict=True):
        _save(tmp_path, name, size=10, used=used)
    assert [one.name for one in states.entries()] == [names[1], names[2], names[0]]
    first = states.entries()[0]
    assert (first.set_id, first.tokens, first.size_bytes, first.model) == (2, 12, 10, "m")
    assert first.is_complete
    states.touch(names[0])
    assert states.entries()[0].name == names[0]


def test_the_budget_removes_those_unused_longest_but_none_in_use(
    tmp_path: Path, names: list[str]
) -> None:
    states = PreparedStates(tmp_path)
    for used, name in zip((100.0, 200.0, 300.0), names, strict=True):
        _save(tmp_path, name, size=1000, used=used)
    assert states.make_room(3000) == ()
    removed = states.make_room(1500, keep=frozenset({names[0]}))
    assert [one.name for one in removed] == [names[1], names[2]]
    assert [one.name for one in states.entries()] == [names[0]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"prepared-{names[0]}.1.ab.state",
        f"prepared-{names[0]}.json",
    ]


def test_deleting_says_what_it_frees_and_may_be_repeated(tmp_path: Path, names: list[str]) -> None:
    states = PreparedStates(tmp_path)
    _save(tmp_path, names[0], size=1000, used=1.0)
    assert states.delete(names[0]) > 1000
    assert states.delete(names[0]) == 0


def test_what_is_not_ours_or_broken_is_left_alone(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "prepared-of-another-program.json").write_text("{}")
    (tmp_path / f"prepared-{names[0]}.json").write_text("[1, 2]")
    (tmp_path / f"prepared-{names[1]}.json").write_bytes(b"\xff" * 20)
    states = PreparedStates(tmp_path)
    assert states.entries() == ()
    assert states.make_room(0) == ()
    assert len(list(tmp_path.iterdir())) == 3
    assert PreparedStates(tmp_path / "missing").entries() == ()


def test_with_a_set_go_all_its_states_also_those_being_made(
    tmp_path: Path, names: list[str]
) -> None:
    states = PreparedStates(tmp_path)
    for name in names:
        _save(tmp_path, name, size=10, used=1.0)
    unfinished = tmp_path / f"prepared-{state_name(1, 'ef' * 32, MODEL, 'f16')}.77.cd.state"
    unfinished.write_bytes(b"x")
    states.delete_set(1)
    assert not unfinished.exists()
    assert {one.set_id for one in states.entries()} == {2, 3}
    states.sweep({3})
    assert {one.set_id for one in states.entries()} == {3}
    assert len(list(tmp_path.iterdir())) == 2

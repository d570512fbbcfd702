"""Saved states on disk: what is refused, what a crash leaves, what is removed and what never is."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m1desk.llama_worker import states, states_manifest
from m1desk.llama_worker.states import Draft, SavedState, StateStore
from m1desk.llama_worker.states_digest import Abandoned, file_digest, model_parts, sampled_digest
from m1desk.llama_worker.states_manifest import StateKey, StateRefused, is_name

KEY = StateKey("tiny", "m" * 64, "engine 1", "e" * 64, "f16", flash_attention=True, long_rope=False)
TOKENS = np.arange(1000, dtype=np.int32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "prepared"


@pytest.fixture
def store(folder: Path) -> StateStore:
    return StateStore(folder, KEY)


def draft(store: StateStore, name: str = "book", tokens: np.ndarray = TOKENS) -> Draft:
    """A written file as the engine leaves it: three numbers, the tokens, the state."""
    path = store.new_file(name)
    head = np.array([1, 3, len(tokens)], dtype=np.uint32).tobytes()
    path.write_bytes(head + tokens.tobytes() + random.Random(1).randbytes(50_000))
    return Draft(name, path, tokens, complete=True)


def save(store: StateStore, name: str = "book", tokens: np.ndarray = TOKENS) -> None:
    store.commit(draft(store, name, tokens))


def take(store: StateStore, name: str = "book") -> SavedState:
    """As a request does: all checks, the whole file included."""
    state = store.open(name)
    store.verify(state)
    return state


def refusal(store: StateStore, name: str = "book") -> str:
    with pytest.raises(StateRefused) as caught:
        take(store, name)
    assert caught.value.message.endswith(".")
    return caught.value.reason


def state_files(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.suffix == ".state")


def fresh(folder: Path, key: StateKey = KEY) -> StateStore:
    """The store of another worker, which has verified nothing yet."""
    return StateStore(folder, key)


def flip_a_bit(path: Path, chance: random.Random, start: int = 0, end: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(start, end or len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def test_what_was_saved_is_found_by_another_worker(store: StateStore, folder: Path) -> None:
    save(store)
    state = take(fresh(folder))
    assert (state.name, state.count, state.manifest.complete) == ("book", 1000, True)
    assert np.array_equal(state.tokens, TOKENS)
    (entry,) = fresh(folder).entries()
    assert (entry["name"], entry["tokens"], entry["refused"]) == ("book", 1000, None)
    assert entry["bytes"] == state.path.stat().st_size


def test_nobody_else_may_read_them(store: StateStore, folder: Path) -> None:
    save(store)
    if os.name != "nt":
        assert folder.stat().st_mode & 0o077 == 0
        assert take(store).path.stat().st_mode & 0o077 == 0


def test_any_flipped_bit_of_the_manifest_is_noticed(store: StateStore, folder: Path) -> None:
    save(store)
    manifest, chance = folder / "prepared-book.json", random.Random(1)
    good = manifest.read_bytes()
    for _ in range(300):
        flip_a_bit(manifest, chance)
        assert refusal(fresh(folder)) in {"damaged", "outdated"}
        manifest.write_bytes(good)
    take(fresh(folder))


@pytest.mark.parametrize("region", [(0, 12), (12, 4012), (4012, None)], ids=str)
def test_any_flipped_bit_of_the_state_is_noticed(
    store: StateStore, folder: Path, region: tuple[int, int | None]
) -> None:
    save(store)
    path, chance = folder / state_files(folder)[0], random.Random(1)
    good = path.read_bytes()
    for _ in range(30):
        flip_a_bit(path, chance, *region)
        assert refusal(fresh(folder)) == "damaged"
        path.write_bytes(good)
    take(store)
    flip_a_bit(path, chance, *region)
    assert refusal(store) == "damaged"  # also by a worker that had found it good before


@pytest.mark.parametrize("length", [0, 1, 12, 500, 4012, 54_011])
def test_a_cut_file_is_refused(store: StateStore, folder: Path, length: int) -> None:
    save(store)
    os.truncate(folder / state_files(folder)[0], length)
    assert refusal(fresh(folder)) == "truncated"


def test_a_file_that_is_gone_is_refused(store: StateStore, folder: Path) -> None:
    save(store)
    (folder / state_files(folder)[0]).unlink()
    assert refusal(store) == "unreadable"
    assert refusal(store, "other") == "not_found"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "x"}, "other_model"),
        ({"engine": "x"}, "other_engine"),
        ({"kv_type": "q8_0"}, "other_settings"),
        ({"flash_attention": False}, "other_settings"),
        ({"long_rope": True}, "other_settings"),
    ],
)
def test_what_was_made_with_something_else_is_refused_and_listed(
    store: StateStore, folder: Path, changes: dict[str, object], reason: str
) -> None:
    save(store)
    other = fresh(folder, replace(KEY, **changes))  # type: ignore[arg-type]
    assert refusal(other) == reason
    (entry,) = other.entries()
    assert entry["refused"] is not None
    assert entry["refused"]["reason"] == reason
    assert entry["tokens"] == 1000  # what it is can still be shown


@pytest.mark.parametrize("version", [0, 2])
def test_another_format_is_refused_as_outdated(
    store: StateStore, folder: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(states_manifest, "FORMAT", version)
        save(store)
    assert refusal(fresh(folder)) == "outdated"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 60_000])
def test_a_manifest_that_is_none_is_refused_listed_and_deleted(
    store: StateStore, folder: Path, content: bytes
) -> None:
    save(store)
    (folder / "prepared-book.json").write_bytes(content)
    assert refusal(store) == "damaged"
    assert [entry["name"] for entry in store.entries()] == ["book"]
    assert store.delete("book")
    assert list(folder.iterdir()) == []


def test_a_manifest_can_not_name_files_elsewhere(store: StateStore, folder: Path) -> None:
    outside = folder.parent / "outside.state"
    save(store)
    for path in (str(outside), "../outside.state", "prepared-other.1.0123456789abcdef.state"):
        forged = replace(store.open("book").manifest, file=path)
        (folder / "prepared-book.json").write_bytes(forged.encode())
        outside.write_bytes(b"not ours")
        assert refusal(fresh(folder)) == "damaged"
        store.delete("book")
        assert outside.read_bytes() == b"not ours"
        save(store)


@pytest.mark.skipif(os.name == "nt", reason="making links needs a privilege there")
def test_links_are_not_followed(store: StateStore, folder: Path) -> None:
    save(store)
    outside = folder.parent / "outside"
    for name in ("prepared-book.json", state_files(folder)[0]):
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)
        assert refusal(fresh(folder)) == "unreadable"
        (folder / name).unlink()
        outside.rename(folder / name)
    take(fresh(folder))


def test_a_new_state_takes_the_place_of_the_old_one(store: StateStore, folder: Path) -> None:
    save(store)
    save(store, tokens=TOKENS[:10])
    assert take(fresh(folder)).count == 10
    assert len(state_files(folder)) == 1


def test_what_a_request_is_about_to_read_is_not_removed_under_it(
    store: StateStore, folder: Path
) -> None:
    save(store)
    waiting = take(store)
    save(store, tokens=TOKENS[:10])
    assert waiting.path.exists()
    assert store.delete("book")
    assert waiting.path.exists()
    del waiting
    gc.collect()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("step", ["flush", "file_digest", "_replace_manifest"])
def test_a_save_that_fails_leaves_the_old_state_whole(
    store: StateStore, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    save(store)
    new = draft(store, tokens=TOKENS[:10])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(StateStore if step.startswith("_") else states, step, full)
        with pytest.raises(OSError, match="No space left"):
            store.commit(new)
    assert take(fresh(folder)).count == 1000
    assert len(state_files(folder)) == 1


def test_a_save_that_is_given_up_leaves_the_old_state_whole(
    store: StateStore, folder: Path
) -> None:
    save(store)
    new = draft(store, tokens=TOKENS[:10])
    new.abandoned.set()
    with pytest.raises(Abandoned):
        store.commit(new)
    assert take(fresh(folder)).count == 1000
    assert len(state_files(folder)) == 1


def test_a_deletion_gives_up_what_is_being_saved_under_the_name(
    store: StateStore, folder: Path
) -> None:
    running, other = draft(store), draft(store, "other")
    assert not store.delete("book")
    with pytest.raises(Abandoned):
        store.commit(running)
    store.commit(other)
    assert [entry["name"] for entry in store.entries()] == ["other"]
    assert len(state_files(folder)) == 1
    save(store)  # the name is free again
    assert take(store).count == 1000


def test_a_deletion_at_the_last_moment_gives_a_save_up(
    store: StateStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest_and_delete(path: Path, **more: Any) -> str:
        digest = file_digest(path, **more)
        store.delete("book")
        return digest

    save(store)
    monkeypatch.setattr(states, "file_digest", digest_and_delete)
    with pytest.raises(Abandoned):
        store.commit(draft(store))
    assert list(folder.iterdir()) == []


def test_a_state_knows_when_its_file_is_another(store: StateStore) -> None:
    save(store)
    state = take(store)
    assert state.is_unchanged()
    content = state.path.read_bytes()
    state.path.unlink()
    assert not state.is_unchanged()
    state.path.write_bytes(content)
    os.utime(state.path, ns=(0, 0))
    assert not state.is_unchanged()


def test_what_a_crash_left_is_removed_and_nothing_else(store: StateStore, folder: Path) -> None:
    save(store)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftovers = [f"prepared-{name}.{dead.pid}.{'0' * 16}" for name in ("book", "other")]
    foreign = ["notes.txt", "prepared-book.state", "prepared-book.json.bak", "book.1.state"]
    for name in [*(f"{one}.state" for one in leftovers), f"{leftovers[0]}.manifest", *foreign]:
        (folder / name).write_bytes(b"")
    kept = {*foreign, "prepared-book.json", store.open("book").path.name}
    fresh(folder).sweep()
    assert {one.name for one in folder.iterdir()} == kept


def test_what_is_being_written_is_not_swept(store: StateStore, folder: Path) -> None:
    running = draft(store)
    living = folder / f"prepared-other.{os.getppid()}.{'0' * 16}.state"
    living.write_bytes(b"")
    store.sweep()
    assert running.path.exists()
    assert living.exists()


def test_an_empty_or_missing_folder_holds_nothing(store: StateStore, folder: Path) -> None:
    assert store.entries() == []
    assert not store.delete("book")
    store.sweep()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True), ("0-9", True), ("a" * 64, True), ("con", True),
        ("", False), ("-a", False), ("A", False), ("a.b", False), ("a/b", False), ("..", False),
        ("a" * 65, False), ("a\n", False), ("ä", False), ("a b", False),
    ],
)  # fmt: skip
def test_names(name: str, good: bool) -> None:
    assert is_name(name) is good


def test_the_manifest_is_readable_json(store: StateStore, folder: Path) -> None:
    save(store)
    fields = json.loads((folder / "prepared-book.json").read_bytes())
    assert (fields["format"], fields["tokens"], fields["key"]["kv_type"]) == (1, 1000, "f16")


def test_a_digest_is_the_same_with_any_number_of_threads(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(random.Random(1).randbytes(40 << 20))
    whole = file_digest(path, threads=1)
    assert file_digest(path, threads=4) == whole
    flip_a_bit(path, random.Random(2))
    assert file_digest(path, threads=4) != whole


def test_a_sampled_digest_tells_models_of_one_shape_apart(
    tiny_llama: Path, tiny_minimax: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny_llama.read_bytes())
    assert sampled_digest([copy]) == sampled_digest([tiny_llama])
    assert sampled_digest([copy]) != sampled_digest([tiny_minimax])
    flip_a_bit(copy, random.Random(1))
    assert sampled_digest([copy]) != sampled_digest([tiny_llama])


def test_all_parts_of_a_split_model_count() -> None:
    names = [one.name for one in model_parts(Path("x-00001-of-00003.gguf"))]
    assert names == [f"x-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert model_parts(Path("x.gguf")) == (Path("x.gguf"),)

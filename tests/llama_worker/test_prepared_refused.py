"""What can't be used or can't be kept, as the app sees it: refused with a reason, and made anew."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from support.worker import KEY, PROGRAM, running_worker

from m1desk.engines import (
    CheckpointPlan,
    Endpoint,
    EngineClient,
    PrepareEvent,
    PrepareFinished,
    StateRefusal,
)
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    PreparedUse,
    SamplingParameters,
    TextDelta,
    TurnFinished,
)
from m1desk.errors import EngineRefused
from m1desk.llama_worker.states_manifest import Manifest, decode_manifest
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BOOK = "The cat sat on the mat and looked at 12 dogs. " * 40
LETTERS = "A man reads 7 letters in the dark, and burns them all. " * 20
ONLY_AT_THE_END = CheckpointPlan(first_tokens=100_000)
PAGE = 4096  # bytes; of a file system in memory


@dataclass(frozen=True)
class Told:
    """An answer: its text, what became of the state it was to begin with, what was reused."""

    text: str
    prepared: PreparedUse
    reused_tokens: int


@asynccontextmanager
async def engine(model: Path, folder: Path, **options: Any) -> AsyncIterator[EngineClient]:
    """A client of a fresh worker that keeps its states in `folder`."""
    options = {"context": 4096, "parallel": 2, "states": folder, **options}
    with running_worker(model, **options) as running:
        client = EngineClient(Endpoint(str(running.client.base_url), "tiny", KEY))
        try:
            yield client
        finally:
            await client.aclose()


async def prepare(client: EngineClient, text: str, name: str = "book") -> list[PrepareEvent]:
    message = (ChatMessage("user", text),)
    async with aclosing(client.prepare(name, message, ONLY_AT_THE_END)) as events:
        return [event async for event in events]


async def ask(client: EngineClient, text: str) -> Told:
    request = ChatRequest(
        (ChatMessage("user", f"{text}\n\nWho sat there?"),),
        SamplingParameters(temperature=0.0, max_tokens=12),
        prepared="book",
    )
    async with aclosing(client.stream_turn(request)) as stream:
        events = [event async for event in stream]
    end = events[-1]
    assert isinstance(end, TurnFinished)
    assert end.prepared is not None
    written = "".join(event.text for event in events if isinstance(event, TextDelta))
    return Told(written, end.prepared, end.reused_tokens)


def finished(events: list[PrepareEvent]) -> PrepareFinished:
    end = events[-1]
    assert isinstance(end, PrepareFinished)
    return end


# Files that can't be used


def manifest_file(folder: Path) -> Path:
    return folder / "prepared-book.json"


def state_file(folder: Path) -> Path:
    return folder / decode_manifest(manifest_file(folder).read_bytes()).file


def flip_a_bit(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 8
    path.write_bytes(content)


def rewrite_manifest(folder: Path, change: Callable[[Manifest], Manifest]) -> None:
    path = manifest_file(folder)
    path.write_bytes(change(decode_manifest(path.read_bytes())).encode())


def use_other_build(manifest: Manifest) -> Manifest:
    return replace(manifest, key=replace(manifest.key, engine="0" * 64))


def take_manifest_of_letters(folder: Path) -> None:
    shutil.copy(folder / "prepared-letters.json", manifest_file(folder))


def take_state_of_letters(folder: Path) -> None:
    letters = next(folder.glob("prepared-letters.*.state"))
    shutil.copy(letters, state_file(folder))


def cut(folder: Path) -> None:
    content = state_file(folder).read_bytes()
    state_file(folder).write_bytes(content[: len(content) // 2])


def age(folder: Path) -> None:
    fields = json.loads(manifest_file(folder).read_bytes())
    manifest_file(folder).write_text(json.dumps({**fields, "format": 0}))


@dataclass(frozen=True)
class Fault:
    """What is wrong, and how it is to be called."""

    reason: str
    spoil: Callable[[Path], object] = lambda _folder: None
    options: dict[str, Any] = field(default_factory=dict)
    text: str = BOOK
    other_model: bool = False


FAULTS = {
    "corrupt manifest": Fault("damaged", lambda folder: flip_a_bit(manifest_file(folder), 100)),
    "corrupt tokens": Fault("damaged", lambda folder: flip_a_bit(state_file(folder), 200)),
    "corrupt state": Fault("damaged", lambda folder: flip_a_bit(state_file(folder), -2000)),
    "another name's manifest": Fault("damaged", take_manifest_of_letters),
    "another document's state": Fault("truncated", take_state_of_letters),
    "truncated state": Fault("truncated", cut),
    "missing state": Fault("unreadable", lambda folder: state_file(folder).unlink()),
    "outdated format": Fault("outdated", age),
    "another build": Fault("other_engine", lambda one: rewrite_manifest(one, use_other_build)),
    "another KV cache": Fault("other_settings", options={"kv_type": "f32"}),
    "another text": Fault("other_tokens", text=f"Once more: {BOOK}"),
    "another model": Fault("other_model", other_model=True),
}


@pytest.fixture(scope="module")
def twin(tiny_models: Path) -> Path:
    """The header and the size of `tiny_minimax`, and other weights."""
    spec = TinyModelSpec(architecture="minimax-01", name="tiny minimax", seed=2)
    return write_tiny_model(tiny_models / "twin-minimax-F32.gguf", spec)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, tiny_minimax: Path) -> Path:
    """A folder with the states of two documents, never to be written to."""
    folder = tmp_path_factory.mktemp("states") / "prepared"

    async def prepare_both() -> None:
        async with engine(tiny_minimax, folder) as client:
            await prepare(client, BOOK)
            await prepare(client, LETTERS, "letters")

    asyncio.run(prepare_both())
    return folder


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_what_can_not_be_used_is_refused_with_its_reason_and_made_anew(
    prepared: Path, tmp_path: Path, tiny_minimax: Path, twin: Path, fault: Fault
) -> None:
    folder = tmp_path / "prepared"
    shutil.copytree(prepared, folder)
    fault.spoil(folder)
    model = twin if fault.other_model else tiny_minimax
    async with engine(model, folder, **fault.options) as client:
        whole = await ask(client, fault.text)
        assert (whole.prepared.used, whole.prepared.reason) == (False, fault.reason)
        assert whole.prepared.message.endswith(".")
        assert whole.reused_tokens == 0
        events = await prepare(client, fault.text)
        refusals = [event for event in events if isinstance(event, StateRefusal)]
        assert refusals == [StateRefusal(fault.reason, whole.prepared.message)]
    async with engine(model, folder, **fault.options) as client:
        again = await ask(client, fault.text)
        assert again.prepared == PreparedUse("book", used=True, reason="restored")
        assert again.reused_tokens == finished(events).tokens
        assert again.text == whole.text


async def test_without_a_fault_nothing_is_refused(prepared: Path, tiny_minimax: Path) -> None:
    async with engine(tiny_minimax, prepared) as client:
        assert (await ask(client, BOOK)).prepared.reason == "restored"
        events = await prepare(client, BOOK)
        assert not any(isinstance(event, StateRefusal) for event in events)
        assert finished(events).read_tokens == 0


# A disk without room

IN_SMALL_DISK = 'mount -t tmpfs -o size="$0" none "$1" && shift && exec "$@"'
"""Runs a program whose folder, given before it, is a disk of its own; nobody else sees it."""


def small_disk(folder: Path, size: int, *program: str) -> tuple[str, ...]:
    """The command that runs `program` with a file system of `size` bytes in `folder`."""
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", IN_SMALL_DISK, str(size),
            str(folder), *program)  # fmt: skip


@pytest.fixture(scope="session")
def _can_mount(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where this user may not make a file system of his own."""
    folder = tmp_path_factory.mktemp("disk")
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("needs Linux and its unshare command")
    tried = subprocess.run(small_disk(folder, PAGE, "true"), capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"no file system can be mounted: {tried.stderr.decode()}")


@dataclass(frozen=True)
class SmallDisk:
    """A worker's own disk, seen from outside.

    Attributes:
        folder: its folder of states.
    """

    folder: Path

    def leave_room(self, pages: int) -> None:
        """Fill it up, but for so many pages."""
        filler = self.folder / "filler"
        free = psutil.disk_usage(str(self.folder)).free
        filler.write_bytes(bytes(free - pages * PAGE))
        assert psutil.disk_usage(str(self.folder)).free == pages * PAGE


@asynccontextmanager
async def engine_on_small_disk(
    model: Path, folder: Path
) -> AsyncIterator[tuple[EngineClient, SmallDisk]]:
    folder.mkdir()
    program = small_disk(folder, 64 << 20, *PROGRAM)
    options = {"context": 4096, "parallel": 2, "states": folder}
    with running_worker(model, program=program, **options) as running:
        client = EngineClient(Endpoint(str(running.client.base_url), "tiny", KEY))
        try:
            yield client, SmallDisk(Path(f"/proc/{running.process.pid}/root{folder}"))
        finally:
            await client.aclose()


@pytest.mark.usefixtures("_can_mount")
@pytest.mark.parametrize("room", ["none", "half of it", "all but the manifest"])
async def test_a_full_disk_leaves_the_old_state_whole(
    tiny_minimax: Path, tmp_path: Path, prepared: Path, room: str
) -> None:
    size = state_file(prepared).stat().st_size
    whole = -(-size // PAGE)
    pages = {"none": 0, "half of it": whole // 2, "all but the manifest": whole}[room]
    async with engine_on_small_disk(tiny_minimax, tmp_path / "disk") as (client, disk):
        old = finished(await prepare(client, LETTERS))
        disk.leave_room(pages)
        with pytest.raises(EngineRefused) as caught:
            await prepare(client, BOOK)
        assert caught.value.code == "disk_full"
        shutil.copytree(disk.folder, tmp_path / "saved")
        (disk.folder / "filler").unlink()
        assert finished(await prepare(client, BOOK)).tokens > old.tokens
    assert len(list((tmp_path / "saved").glob("prepared-*"))) == 2
    async with engine(tiny_minimax, tmp_path / "saved") as client:
        answer = await ask(client, LETTERS)
        assert answer.prepared == PreparedUse("book", used=True, reason="restored")
        assert answer.reused_tokens == old.tokens

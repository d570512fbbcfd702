"""A queue with the real engine, small models that quote, and files to be asked about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.job_queue import Outside, Queue, SafeSettings
from support.quoting import QUOTE, SCRIPT

from m1desk.documents import DocumentSets, PreparedStates
from m1desk.engines import EngineStatus, LocalEngine, ProfileStore
from m1desk.fit import load_machine
from m1desk.jobs.local_desk import LocalDesk
from m1desk.jobs.person import Person
from m1desk.jobs.servers import JobServers
from m1desk.jobs.states import JobStates
from m1desk.jobs.store import JobStore
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.store import Database, FileLock, Folders

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def quoting_jobs_model(tiny_models: Path) -> Path:
    """A dense model that quotes a sentence of `contracts` whatever it is asked."""
    spec = TinyModelSpec(name="quoting", script=SCRIPT)
    return write_tiny_model(tiny_models / "quoting-jobs-F32.gguf", spec)


@pytest.fixture
def contracts(tmp_path: Path) -> list[Path]:
    """Three short contracts; one sentence in all of them."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    files = []
    for name in ("a", "b", "c"):
        files.append(folder / f"{name}.txt")
        files[-1].write_text(f"Contract {name}. {'It is short. ' * 9}\n\n{QUOTE}\n")
    return files


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    with Database(Folders.under(home).database) as opened:
        yield opened


@pytest.fixture
async def queue(home: Path, database: Database, quoting_jobs_model: Path) -> AsyncIterator[Queue]:
    folders = Folders.under(home)

    def on_status(status: EngineStatus) -> None:
        made.on_status(status)

    engine = LocalEngine(folders, SafeSettings(), lambda: load_machine("laptop-16"), on_status)
    person = Person(lambda: made.is_person_asking)
    made = Queue(
        store=JobStore(database),
        sets=DocumentSets(database),
        engine=engine,
        desk=LocalDesk(
            engine,
            person,
            lambda: None,
            lambda _settings: None,
            JobServers(ProfileStore(database), folders),
        ),
        outside=Outside(),
        lock=FileLock(folders.data / "jobs.lock"),
        model=quoting_jobs_model,
        states=JobStates(PreparedStates(folders.data / "prepared"), lambda: 1 << 40),
    )
    yield made
    await engine.unload()

"""An engine that quotes, and a set of documents to be asked about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.quoting import QUOTE, SCRIPT

from m1desk.documents import Document, DocumentSets, ExtractionReport, Page, ReadResult
from m1desk.engines import EngineCalibration, LlamaEngine, LlamaSettings
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.store import Database, Folders

if TYPE_CHECKING:
    from collections.abc import Iterator


class SafeSettings:
    """A calibration that does no harm on any machine."""

    def get(self, key: str) -> dict[str, object]:
        return EngineCalibration(threads=2, self_test="safe_only").to_dict()

    def put(self, key: str, value: object) -> None:
        raise AssertionError("loading measures nothing")


@pytest.fixture(scope="session")
def quoting_model(tiny_models: Path) -> Path:
    """M1's architecture; it quotes a sentence of `documents` whatever it is asked."""
    spec = TinyModelSpec(architecture="minimax-01", name="quoting", script=SCRIPT)
    return write_tiny_model(tiny_models / "quoting-minimax-F32.gguf", spec)


@pytest.fixture
async def engine(home: Path, quoting_model: Path) -> AsyncIterator[LlamaEngine]:
    engine = LlamaEngine(Folders.under(home), SafeSettings(), lambda _status: None)
    await engine.load(LlamaSettings(quoting_model, context_tokens=2048, parallel=2))
    yield engine
    await engine.unload()


@pytest.fixture
def sets(tmp_path: Path) -> Iterator[DocumentSets]:
    with Database(tmp_path / "m1desk.sqlite3") as database:
        yield DocumentSets(database)


@pytest.fixture
def set_id(sets: DocumentSets) -> int:
    made = sets.create("Case")
    path = Path("/docs/contract.pdf")
    pages = (Page(1, "page", "This contract is short. " * 20), Page(2, "page", QUOTE))
    document = Document("contract.pdf", path, "pdf", pages, "ab" * 32, 100, 1.0)
    report = ExtractionReport(path, "contract.pdf", "pdf", "read", pages_total=2, pages_read=2)
    sets.add(made, [ReadResult(document, report)])
    return made

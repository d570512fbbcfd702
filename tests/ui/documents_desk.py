"""A Documents page over a real database, and what is done with it in tests."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QAbstractButton, QWidget

from m1desk.app_asking import DocumentAsking
from m1desk.app_watch import AnswerWatch
from m1desk.documents import (
    AnswerDetails,
    CitationChecker,
    ReadReceipt,
    read_documents,
)
from m1desk.engines import (
    Endpoint,
    EngineState,
    EngineStatus,
    LlamaSettings,
)
from m1desk.store import Database, SettingsStore
from m1desk.ui.pages.documents_page import DocumentsPage
from m1desk.ui.viewmodels.document_times import PredictedTimes, Reading
from m1desk.ui.viewmodels.documents import DocumentsViewModel
from m1desk.ui.viewmodels.settings import SettingsViewModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytestqt.qtbot import QtBot

    from m1desk.documents import AskedQuestion
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

WAIT = 60_000
SENTENCE = "Either party may end it with 45 days of notice."


class RoughCounter:
    """An engine's client that counts four characters as a token; the real one is in the app."""

    async def count_text(self, text: str) -> int:
        return len(text) // 4

    async def count_tokens(self, messages: Sequence[Any]) -> int:
        return sum(len(message.content) // 4 for message in messages) + 10


class Desk:
    """The page with its view models over a real database."""

    def __init__(self, theme: Theme, bridge: Bridge, folder: Path, read: Any) -> None:
        self.bridge = bridge
        self.database = Database(folder / "m1desk.sqlite3")
        engine = SimpleNamespace(client=RoughCounter)
        watch = AnswerWatch(lambda *_heard: None)
        self.core = DocumentAsking(self.database, folder / "prepared", engine, bridge.post, watch)  # type: ignore[arg-type]
        settings = SettingsViewModel(SettingsStore(self.database))
        self.model = DocumentsViewModel(bridge, self.core, settings, read)
        self.predicted: list[Reading] = []
        self.refusal: str | None = ""
        self.page = DocumentsPage(theme, self.model, self)
        self.failures: list[Exception] = []
        self.model.failed.connect(self.failures.append)
        self.page.resize(1100, 760)
        self.page.show()

    def predict(self, reading: Reading, answer_tokens: int) -> PredictedTimes | None:
        self.predicted.append(reading)
        low = reading.read_tokens / 100
        return PredictedTimes((low, 2 * low), (low + answer_tokens, 2 * (low + answer_tokens)))

    def refuse_context(self, _tokens: int) -> str | None:
        return self.refusal

    @property
    def view(self) -> Any:
        return self.page.set_view

    def cell(self, row: int, column: int) -> str:
        model = self.view.table.model()
        return str(model.data(model.index(row, column)))

    def load(
        self, context_tokens: int, settings: LlamaSettings | None = None, name: str = "counting"
    ) -> None:
        endpoint = Endpoint("http://127.0.0.1", f"model-{context_tokens}", "key")
        self.model.set_engine(
            EngineStatus(
                EngineState.READY,
                model_name=name,
                endpoint=endpoint,
                context_tokens=context_tokens,
            ),
            settings,
        )


def write_files(folder: Path) -> tuple[Path, ...]:
    """A contract, notes, an empty file and one that is none."""
    folder.mkdir()
    (folder / "contract.txt").write_text(f"This contract is short.\n{SENTENCE}\n" * 40)
    (folder / "notes.md").write_text("# Notes\n\nThe board met in May.\n" * 30)
    (folder / "empty.txt").write_text("")
    (folder / "noise.bin").write_bytes(bytes(range(256)) * 40)
    return tuple(sorted(folder.iterdir()))


@contextmanager
def open_desks(theme: Theme, bridge: Bridge, folder: Path, qtbot: QtBot) -> Iterator[Any]:
    """Give what makes pages, and close them at the end."""
    desks: list[Desk] = []

    def begin(read: Any = read_documents) -> Desk:
        desk = Desk(theme, bridge, folder, read)
        qtbot.addWidget(desk.page)
        desks.append(desk)
        return desk

    yield begin
    for desk in desks:
        desk.model.files.cancel_reading()
        desk.page.release()
        desk.database.close()


def with_files(desk: Desk, files: Sequence[Path], qtbot: QtBot) -> Desk:
    """Read files into a set of the page."""
    desk.model.add_to_new(files, "Case 12")
    qtbot.waitUntil(lambda: len(desk.model.files.files) == len(files), timeout=WAIT)
    return desk


def press(widget: QWidget, text: str) -> None:
    button = next(b for b in widget.findChildren(QAbstractButton) if text in b.text())
    button.click()


def answered(desk: Desk, qtbot: QtBot, text: str, **details: Any) -> AskedQuestion:
    """Put a finished answer into the set, checked against its text."""
    model, sets = desk.model, desk.core.sets
    checked = CitationChecker(model.files.text).check(text)
    known = AnswerDetails(
        checked.citations, checked.unquoted, ReadReceipt(400, 20, 380), ("contract.txt",), **details
    )
    set_id = model.files.set_id
    assert set_id is not None
    asked = sets.begin(set_id, "How long is the notice?", "tiny", model.files.text_sha256)
    ended = sets.end(replace(asked, state="complete", answer=text, details=known))
    model.questions.open(set_id)
    qtbot.waitUntil(lambda: ended.id in {q.id for q in model.questions.questions}, timeout=WAIT)
    return ended

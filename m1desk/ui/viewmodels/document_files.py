"""The open set of documents: its files, their text as it is sent, and files being read."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.documents import DocumentsText, ReadProgress, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from pathlib import Path
    from typing import Any, Protocol

    from m1desk.documents import DocumentSet, DocumentSets, ReadResult, SetFile
    from m1desk.ui.bridge import Bridge, Submission

    class ReadFiles(Protocol):
        """Reads files and folders; `m1desk.documents.read_documents` is one."""

        def __call__(
            self, paths: Sequence[Path], *, on_progress: Callable[[ReadProgress], None]
        ) -> Coroutine[Any, Any, tuple[ReadResult, ...]]:
            """Read all; `on_progress` is called on the loop."""


_SETTLE_MS: Final = 300
"""How long to wait for another click before the text is laid out anew."""

EMPTY_TEXT: Final = DocumentsText("", ())


@dataclass(frozen=True, slots=True)
class FilesBeingRead:
    """How far the reading of files into a set is; `progress` is None before anything is known."""

    set_id: int
    paths: tuple[Path, ...]
    progress: ReadProgress | None = None


@dataclass(frozen=True, slots=True)
class _LaidOut:
    """The text of the included files, with its fingerprint, which takes a while to make."""

    text: DocumentsText
    sha256: str


@dataclass(frozen=True, slots=True)
class _Opened:
    info: DocumentSet
    files: tuple[SetFile, ...]
    laid_out: _LaidOut


class DocumentFilesViewModel(QObject):
    """Shows one set and hands what is asked of its files to the core.

    Signals:
        opened: the DocumentSet now open, None for none; its files come with it.
        files_changed: the files, or which of them are included, have changed.
        text_changed: the DocumentsText of the included files has been laid out anew.
        reading_changed: the FilesBeingRead, None when no more files are read.
        sets_stale: the list of sets should be read anew.
        failed: the exception of something that did not work.
    """

    opened = Signal(object)
    files_changed = Signal()
    text_changed = Signal(object)
    reading_changed = Signal(object)
    sets_stale = Signal()
    failed = Signal(object)

    def __init__(
        self, bridge: Bridge, sets: DocumentSets, read: ReadFiles, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._sets = sets
        self._read = read
        self._info: DocumentSet | None = None
        self._files: tuple[SetFile, ...] = ()
        self._laid_out = _LaidOut(EMPTY_TEXT, "")
        self._opening = 0
        self._reading: FilesBeingRead | None = None
        self._work: Submission | None = None
        self._waiting: deque[FilesBeingRead] = deque()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._lay_out)
        bridge.events.connect(self._on_events)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def info(self) -> DocumentSet | None:
        """The open set, None for none."""
        return self._info

    @property
    def set_id(self) -> int | None:
        """Id of the open set, None for none."""
        return None if self._info is None else self._info.id

    @property
    def files(self) -> tuple[SetFile, ...]:
        """All files of the open set, in their order."""
        return self._files

    @property
    def used_files(self) -> tuple[SetFile, ...]:
        """The files whose text is in the prompt."""
        return tuple(one for one in self._files if one.is_used)

    @property
    def text(self) -> DocumentsText:
        """The included documents as they are sent; a moment behind what was just clicked."""
        return self._laid_out.text

    @property
    def text_sha256(self) -> str:
        """Fingerprint of `text`, in hex."""
        return self._laid_out.sha256

    @property
    def is_settled(self) -> bool:
        """Whether `text` is that of the files included now."""
        return not self._settle.isActive()

    @property
    def reading(self) -> FilesBeingRead | None:
        """The files being read, for whatever set."""
        return self._reading

    # -- what is asked -----------------------------------------------------------------------------

    def open(self, set_id: int | None) -> None:
        """Show a set, or none."""
        self._opening += 1
        if set_id is None:
            self._show(None)
            return
        opening = self._opening

        def on_done(opened: _Opened) -> None:
            if opening == self._opening:
                self._show(opened)

        self._bridge.submit(asyncio.to_thread(self._load, set_id), on_done, self.failed.emit)

    def reload(self) -> None:
        """Read the open set again."""
        if self._info is not None:
            self.open(self._info.id)

    def take_sets(self, sets: Iterable[DocumentSet]) -> None:
        """Take the open set's name and figures from the list of all sets."""
        for one in sets:
            if self._info is not None and one.id == self._info.id and one != self._info:
                self._info = one
                self.files_changed.emit()

    def add(self, set_id: int, paths: Sequence[Path]) -> None:
        """Read files and folders into a set; one reading follows the other."""
        self._waiting.append(FilesBeingRead(set_id, tuple(paths)))
        if self._reading is None:
            self._read_next()

    def cancel_reading(self) -> None:
        """End the reading of files; nothing of it is added, and what waits is dropped."""
        if self._work is not None:
            self._work.cancel()
        self._waiting.clear()
        self._read_next()

    def forget_set(self, set_id: int) -> None:
        """Drop what is read or shown of a set that is gone."""
        self._waiting = deque(one for one in self._waiting if one.set_id != set_id)
        if self._reading is not None and self._reading.set_id == set_id:
            if self._work is not None:
                self._work.cancel()
            self._read_next()
        if self.set_id == set_id:
            self.open(None)

    def include(self, file_ids: Iterable[int], *, included: bool) -> None:
        """Put files into the prompt or leave them out."""
        ids = frozenset(file_ids)
        self._files = tuple(
            replace(one, included=included) if one.id in ids else one for one in self._files
        )
        self.files_changed.emit()
        self._settle.start()
        work = asyncio.to_thread(self._include, ids, included)
        self._bridge.submit(work, on_error=self._on_not_stored)

    def remove(self, file_ids: Iterable[int]) -> None:
        """Take files out of the open set; the files on disk stay."""
        ids = frozenset(file_ids)
        work = asyncio.to_thread(self._remove, ids)
        self._bridge.submit(work, lambda _: self._on_stored(), self._on_not_stored)

    # -- on other threads --------------------------------------------------------------------------

    def _load(self, set_id: int) -> _Opened:
        files = self._sets.files(set_id)
        return _Opened(self._sets.get(set_id), files, _lay_out(files))

    def _include(self, ids: frozenset[int], included: bool) -> None:  # noqa: FBT001 - to_thread
        for file_id in ids:
            self._sets.include(file_id, included=included)

    def _remove(self, ids: frozenset[int]) -> None:
        for file_id in ids:
            self._sets.remove_file(file_id)

    async def _read_into(self, wished: FilesBeingRead) -> None:
        def on_progress(progress: ReadProgress) -> None:
            self._bridge.post(replace(wished, progress=progress))

        results = await self._read(wished.paths, on_progress=on_progress)
        await asyncio.to_thread(self._sets.add, wished.set_id, results)

    # -- what comes back ---------------------------------------------------------------------------

    def _show(self, opened: _Opened | None) -> None:
        self._settle.stop()
        before = self.set_id
        self._info = opened.info if opened else None
        self._files = opened.files if opened else ()
        self._laid_out = opened.laid_out if opened else _LaidOut(EMPTY_TEXT, "")
        if self.set_id != before or opened is None:
            self.opened.emit(self._info)
        self.files_changed.emit()
        self.text_changed.emit(self.text)

    def _lay_out(self) -> None:
        opening, files = self._opening, self._files

        def on_done(laid_out: _LaidOut) -> None:
            if opening == self._opening and files is self._files:
                self._laid_out = laid_out
                self.text_changed.emit(laid_out.text)

        self._bridge.submit(asyncio.to_thread(_lay_out, files), on_done, self.failed.emit)

    def _read_next(self) -> None:
        self._work = None
        self._reading = self._waiting.popleft() if self._waiting else None
        self.reading_changed.emit(self._reading)
        if self._reading is not None:
            self._work = self._bridge.submit(
                self._read_into(self._reading), self._on_read, self._on_not_read
            )

    def _on_events(self, events: tuple[object, ...]) -> None:
        """Take the newest progress of the reading that runs."""
        now = self._reading
        for event in reversed(events):
            if isinstance(event, FilesBeingRead) and now is not None:
                if (event.set_id, event.paths) == (now.set_id, now.paths):
                    self._reading = event
                    self.reading_changed.emit(event)
                return

    def _on_read(self, _: None) -> None:
        if self._reading is not None and self._reading.set_id == self.set_id:
            self.reload()
        self.sets_stale.emit()
        self._read_next()

    def _on_not_read(self, error: Exception) -> None:
        self._read_next()
        self.failed.emit(error)

    def _on_stored(self) -> None:
        self.reload()
        self.sets_stale.emit()

    def _on_not_stored(self, error: Exception) -> None:
        self.reload()
        self.failed.emit(error)


def _lay_out(files: Iterable[SetFile]) -> _LaidOut:
    text = lay_out([one.document for one in files if one.included and one.document])
    return _LaidOut(text, text.sha256)

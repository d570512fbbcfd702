"""The downloads: what each is in words, what can be done with it, and doing it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.errors import BadInput, M1DeskError
from m1desk.models import Download, DownloadState
from m1desk.models.downloads.values import part_path
from m1desk.ui.viewmodels.download_items import (
    DownloadItem,
    Start,
    item_of_download,
    item_of_start,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from m1desk.models import DownloadManager
    from m1desk.ui.bridge import Bridge, Submission

_CALM_MS: Final = 250
"""Progress is shown four times a second: more is not read, and costs the window its time."""

_SPACE_MS: Final = 5000


class Transfers(Protocol):
    """What fetches; used on the loop."""

    @property
    def manager(self) -> DownloadManager:
        """The queue."""

    async def fetch(self, repository: str, variant_name: str) -> Download:
        """Look a variant up on the hub and queue it."""

    async def resume(self, number: int) -> None:
        """Go on with a paused or failed download."""

    async def free_space(self) -> tuple[Path, int]:
        """The folder models are fetched to, and the bytes free there."""


class DownloadsViewModel(QObject):
    """Hears of every download from the bridge, and asks `transfers` on the loop.

    Signals:
        changed: `items` are new.
        count_changed: how many (int) are active now.
        finished: the Download that has just arrived whole.
        space_changed: the folder (Path) models are fetched to, and the bytes free (object).
        failed: an M1DeskError that belongs to no download.
    """

    changed = Signal()
    count_changed = Signal(int)
    finished = Signal(object)
    space_changed = Signal(object, object)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, transfers: Transfers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._transfers = transfers
        self._downloads: dict[int, Download] = {}
        self._starts: dict[int, Start] = {}
        self._asked: dict[int, Submission] = {}
        self._numbers = itertools.count(-1, -1)
        self._count = 0
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CALM_MS)
        self._calm.timeout.connect(self.changed)
        self._space = QTimer(self)
        self._space.setInterval(_SPACE_MS)
        self._space.timeout.connect(self._ask_for_space)
        bridge.events.connect(self._on_events)

    @property
    def items(self) -> tuple[DownloadItem, ...]:
        """All that is listed, the newest first."""
        starts = [item_of_start(start) for start in reversed(self._starts.values())]
        newest = sorted(self._downloads.values(), key=lambda each: each.id, reverse=True)
        return (*starts, *(item_of_download(download) for download in newest))

    @property
    def active_count(self) -> int:
        """How many are on their way or wait for their turn."""
        return self._count

    def on_their_way(self) -> frozenset[Path]:
        """The files, finished or begun, of all downloads that are not done."""
        return frozenset(
            path
            for download in self._downloads.values()
            if download.state is not DownloadState.DONE
            for file in download.files
            for path in (download.target(file), part_path(download.target(file)))
        )

    def item_of(self, repository: str, variant_name: str) -> DownloadItem | None:
        """What is listed of a variant, None when nothing is."""
        wanted = f"{repository} · {variant_name}".casefold()
        return next((item for item in self.items if item.title.casefold() == wanted), None)

    # -- what a person asks for --------------------------------------------------------------------

    def start(self, repository: str, variant_name: str) -> None:
        """Look a variant up on the hub and fetch it; what goes wrong is told in the list."""
        start = Start(next(self._numbers), repository, variant_name)
        for key, other in tuple(self._starts.items()):
            if other.title.casefold() == start.title.casefold():
                if other.failure is None:
                    return
                del self._starts[key]
        self._starts[start.key] = start
        self._asked[start.key] = self._bridge.submit(
            self._transfers.fetch(repository, variant_name),
            on_done=lambda download: self._on_begun(start, download),
            on_error=lambda error: self._on_refused(start, error),
        )
        self._tell()

    def pause(self, key: int) -> None:
        """Stop a download; what has arrived stays."""
        self._do(self._transfers.manager.pause(key))

    def resume(self, key: int) -> None:
        """Go on with a paused or failed download, or ask the hub again."""
        if key in self._starts:
            start = self._starts.pop(key)
            self.start(start.repository, start.variant_name)
        else:
            self._do(self._transfers.resume(key))

    def remove(self, key: int) -> None:
        """Take an item off the list: what an unfinished one has fetched goes, other files stay."""
        if key in self._starts:
            self._give_up(key)
            self._tell()
            return
        self._do(self._transfers.manager.cancel(key), then=lambda: self._forget(key))

    def clear_finished(self) -> None:
        """Take all finished ones off the list; their files stay."""
        for download in tuple(self._downloads.values()):
            if download.state is DownloadState.DONE:
                self.remove(download.id)

    def forget_file(self, path: Path) -> None:
        """Take the finished download of a file off the list, because the file was deleted."""
        for download in tuple(self._downloads.values()):
            if download.state is DownloadState.DONE and download.main_path == path:
                self.remove(download.id)

    def watch_space(self, *, on: bool) -> None:
        """Ask for the free space now and every five seconds, or no more."""
        if on:
            self._ask_for_space()
            self._space.start()
        else:
            self._space.stop()

    # -- what happens ------------------------------------------------------------------------------

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, Download):
                self._take(event)

    def _take(self, download: Download) -> None:
        before = self._downloads.get(download.id)
        self._downloads[download.id] = download
        if before is not None and (before.state, before.note) == (download.state, download.note):
            if not self._calm.isActive():
                self._calm.start()
            return
        self._tell()
        if download.state is DownloadState.DONE and before is not None:
            self.finished.emit(download)

    def _forget(self, key: int) -> None:
        self._downloads.pop(key, None)
        self._tell()

    def _on_begun(self, start: Start, download: Download) -> None:
        self._asked.pop(start.key, None)
        self._starts.pop(start.key, None)
        self._downloads.setdefault(download.id, download)
        self._tell()

    def _on_refused(self, start: Start, error: Exception) -> None:
        self._asked.pop(start.key, None)
        self._starts[start.key] = replace(start, failure=_ours(error))
        self._tell()

    def _give_up(self, key: int) -> None:
        del self._starts[key]
        asked = self._asked.pop(key, None)
        if asked is not None:
            asked.cancel()

    def _tell(self) -> None:
        count = sum(download.state.is_unfinished for download in self._downloads.values())
        count += sum(start.failure is None for start in self._starts.values())
        if count != self._count:
            self._count = count
            self.count_changed.emit(count)
        self.changed.emit()

    def _ask_for_space(self) -> None:
        self._bridge.submit(
            self._transfers.free_space(),
            on_done=lambda found: self.space_changed.emit(*found),
            on_error=self._on_error,
        )

    def _do(
        self, work: Coroutine[Any, Any, object], then: Callable[[], None] | None = None
    ) -> None:
        self._bridge.submit(
            work,
            on_done=lambda _: then() if then is not None else None,
            on_error=self._on_error,
        )

    def _on_error(self, error: Exception) -> None:
        self.failed.emit(_ours(error))


def _ours(error: Exception) -> M1DeskError:
    if isinstance(error, OSError):
        return BadInput("The disk can't be asked.", str(error), "Check the folder for models.")
    if not isinstance(error, M1DeskError):
        raise error
    return error

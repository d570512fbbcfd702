"""Reading files and folders: the queue, the readers, the files found inside others, the results."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from m1desk.documents.reading import faults
from m1desk.documents.reading.gathering import Gathering
from m1desk.documents.reading.messages import Order
from m1desk.documents.reading.names import distinct_names, unique_name
from m1desk.documents.reading.process import ReaderProcess
from m1desk.documents.reading.work_folder import WorkFolder, sweep_work_folders
from m1desk.documents.values import ReadingError, ReadOptions, ReadProgress, ReadResult

_MOST_READERS: Final = 4
_PROGRESS_SECONDS: Final = 0.1
_MIB: Final = 1 << 20

OnProgress = Callable[[ReadProgress], None]


async def read_documents(
    paths: Sequence[Path],
    options: ReadOptions | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[ReadResult, ...]:
    """Read files and folders in processes of their own; cancelling the task ends those at once.

    Args:
        paths: files and folders, on any drive.
        options: limits and wishes; `ReadOptions()` if None.
        on_progress: called on the event loop's thread.

    Returns:
        A result for each path, in their order (a path given twice counts once); after a folder,
        an archive or a mail come those of the files in it. Whatever is wrong with a file is said
        in its report.

    Raises:
        StorageError: there is no place for temporary files.
    """
    options = options or ReadOptions()
    folder = WorkFolder()
    try:
        await asyncio.to_thread(sweep_work_folders)
        reading = _Reading(options, folder.path, on_progress or (lambda _: None))
        return await reading.run(list(dict.fromkeys(_absolute(path) for path in paths)))
    finally:
        await asyncio.to_thread(folder.remove)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


@dataclass(slots=True, eq=False)
class _Item:
    """A file to read, and what came of it.

    Attributes:
        path: where its bytes lie; a temporary file for a member of an archive or a mail.
        shown: the file on disk that the person knows.
        taken: names of its members.
    """

    path: Path
    shown: Path
    name: str
    size: int
    is_member: bool = False
    is_temporary: bool = False
    depth: int = 0
    result: ReadResult | None = None
    members: list[_Item] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)


class _Reading:
    """One call of `read_documents`."""

    def __init__(self, options: ReadOptions, folder: Path, on_progress: OnProgress) -> None:
        self._options = options
        self._folder = folder
        self._progress = _Progress(on_progress)
        # The last one found is read first, so that few unpacked files lie about at once.
        self._queue: asyncio.LifoQueue[_Item] = asyncio.LifoQueue()
        self._files_left = options.limits.files
        self._bytes_left = options.limits.unpacked_bytes
        self._orders = 0

    async def run(self, paths: Sequence[Path]) -> tuple[ReadResult, ...]:
        """Read all; see `read_documents`."""
        items = [
            _Item(path, path, name, await asyncio.to_thread(_size_of, path))
            for path, name in zip(paths, distinct_names(paths), strict=True)
        ]
        for item in reversed(items):
            self._put(item)
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work()) for _ in range(self._readers())]
            await self._queue.join()
            for worker in workers:
                worker.cancel()
        self._progress.report(at_once=True)
        return tuple(result for item in items for result in _results(item))

    def _readers(self) -> int:
        return self._options.readers or max(1, min(_MOST_READERS, (os.cpu_count() or 2) - 1))

    def _put(self, item: _Item) -> None:
        self._progress.found(item)
        self._queue.put_nowait(item)

    async def _work(self) -> None:
        """Read one item after the other with a reader, and take a new reader when it is lost."""
        reader: ReaderProcess | None = None
        try:
            while True:
                item = await self._queue.get()
                try:
                    if reader is None or not reader.is_alive:
                        reader = await self._start(item)
                    if reader is not None:
                        await self._read(item, reader)
                finally:
                    self._queue.task_done()
        finally:
            if reader is not None:
                await reader.end()

    async def _start(self, item: _Item) -> ReaderProcess | None:
        try:
            return await ReaderProcess.start(self._options.limits.memory_bytes)
        except OSError as error:
            gathering = Gathering(item.shown, item.name)
            gathering.fail(faults.crashed(f"No reader could be started: {error}"))
            self._finish(item, gathering)
            return None

    async def _read(self, item: _Item, reader: ReaderProcess) -> None:
        modified = await asyncio.to_thread(_modified, item.shown) if item.is_temporary else None
        gathering = Gathering(item.shown, item.name, modified)
        self._progress.begin(item, gathering)
        self._orders += 1
        unpack_to = self._folder / str(self._orders)
        unpack_to.mkdir(mode=0o700)

        def on_message(message: Mapping[str, Any]) -> None:
            gathering.take(message)
            if message["is"] == "member":
                self._add_member(item, gathering, unpack_to, message)
            elif message["is"] == "refused":
                self._refuse_member(item, message)
            self._progress.report()

        try:
            await reader.read(self._order(item, unpack_to), on_message)
        except ReadingError as error:
            gathering.fail(error)
        self._finish(item, gathering)

    def _order(self, item: _Item, unpack_to: Path) -> Order:
        limits = self._options.limits
        return Order(
            path=str(item.path),
            name=item.name,
            unpack_to=str(unpack_to),
            is_member=item.is_member,
            depth=item.depth,
            max_depth=limits.depth,
            memory_bytes=limits.memory_bytes,
            file_bytes=limits.file_bytes,
            pages=limits.pages,
            characters=limits.characters,
            unpack_bytes=self._bytes_left,
            files=self._files_left,
            ratio=limits.ratio,
            ocr=self._options.ocr,
            ocr_languages=self._options.ocr_languages,
            stall_seconds=limits.stall_seconds + item.size / _MIB,
        )

    def _add_member(
        self, item: _Item, gathering: Gathering, unpack_to: Path, message: Mapping[str, Any]
    ) -> None:
        """Queue a file that was found in `item`; raises ValueError when it lies elsewhere."""
        is_folder = gathering.kind == "folder"
        path, root = Path(str(message["path"])), item.path if is_folder else unpack_to
        if ".." in path.parts or not path.is_relative_to(root):
            raise ValueError(f"a member at {path}")
        size = max(0, int(message["size"]))
        self._files_left = max(0, self._files_left - 1)
        if not is_folder:
            self._bytes_left = max(0, self._bytes_left - size)
        member = _Item(
            path,
            path if is_folder else item.shown,
            unique_name(f"{item.name}/{message['name']}", item.taken),
            size,
            is_member=True,
            is_temporary=not is_folder,
            depth=item.depth + (not is_folder),
        )
        item.members.append(member)
        self._put(member)

    @staticmethod
    def _refuse_member(item: _Item, message: Mapping[str, Any]) -> None:
        name = unique_name(f"{item.name}/{message['name']}", item.taken)
        gathering = Gathering(item.shown, name)
        gathering.take({"is": "end", "error": message["error"]})
        item.members.append(_Item(item.path, item.shown, name, 0, result=gathering.result()))

    def _finish(self, item: _Item, gathering: Gathering) -> None:
        if item.is_temporary:
            with contextlib.suppress(OSError):
                item.path.unlink()
        item.result = gathering.result()
        self._progress.end(item)


def _size_of(path: Path) -> int:
    """Bytes of a file, 0 for what is not one; what is wrong with it the reader finds out."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size


def _modified(path: Path) -> float:
    """When a file was changed last, in seconds since the epoch; 0 when it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _results(item: _Item) -> Iterator[ReadResult]:
    """An item's result, then those of its members, in the order in which they lie in it."""
    assert item.result is not None  # noqa: S101 - the queue was worked off
    yield item.result
    for member in item.members:
        yield from _results(member)


class _Progress:
    """Counts for `ReadProgress`, told ten times a second at most."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._last = 0.0
        self._total = self._done = self._bytes_total = self._bytes_done = 0
        self._pages = self._characters = 0
        self._current: dict[_Item, Gathering] = {}

    def found(self, item: _Item) -> None:
        self._total += 1
        self._bytes_total += item.size

    def begin(self, item: _Item, gathering: Gathering) -> None:
        self._current[item] = gathering
        self.report()

    def end(self, item: _Item) -> None:
        gathering = self._current.pop(item, None)
        self._done += 1
        self._bytes_done += item.size
        if gathering is not None:  # None when no reader could be started
            self._pages += gathering.pages_read
            self._characters += gathering.characters
        self.report()

    def report(self, *, at_once: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        if not at_once and now - self._last < _PROGRESS_SECONDS:
            return
        self._last = now
        current = self._current.values()
        begun = sum(int(item.size * one.share) for item, one in self._current.items())
        progress = ReadProgress(
            files_done=self._done,
            files_total=self._total,
            current=tuple(item.name for item in self._current),
            pages_done=self._pages + sum(one.pages_read for one in current),
            bytes_done=self._bytes_done + begun,
            bytes_total=self._bytes_total,
            characters=self._characters + sum(one.characters for one in current),
        )
        self._on_progress(progress)

"""One download from its first process to its end: events become values, faults are tried again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from m1desk.models.downloads import order as words
from m1desk.models.downloads.child import TransferProcess
from m1desk.models.downloads.values import Download, DownloadFailure, DownloadState
from m1desk.models.hub_errors import TRANSIENT

if TYPE_CHECKING:
    from m1desk.models.downloads.order import TransferOrder
    from m1desk.models.downloads.records import DownloadRecords

_SPEED_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before each new try without progress (seconds); after the last it fails."""

    delays: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 60.0)


class Speedometer:
    """Bytes per second over the last ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque()

    def mark(self, done: int) -> float | None:
        """Take note of `done` bytes and give the speed; None until it can be told."""
        now = self._clock()
        if self._marks and done < self._marks[-1][1]:
            self._marks.clear()
        self._marks.append((now, done))
        while now - self._marks[0][0] > _SPEED_SECONDS:
            self._marks.popleft()
        since, first = self._marks[0]
        return (done - first) / (now - since) if now > since else None


class DownloadRunner:
    """Runs transfer processes for one download until it is done or can't go on."""

    def __init__(
        self,
        download: Download,
        order: TransferOrder,
        *,
        records: DownloadRecords,
        put: Callable[[Download], None],
        retries: RetryPolicy,
        command: Sequence[str] | None = None,
    ) -> None:
        self._download = download
        self._order = order
        self._records = records
        self._put = put
        self._retries = retries
        self._command = command
        self._speed = Speedometer()

    async def run(self) -> None:
        """Work until the download is done or failed; cancelling ends the process at once."""
        tries = 0
        while True:
            before = self._download.bytes_done
            self._change(state=DownloadState.DOWNLOADING, failure=None, note="")
            failure = await self._attempt()
            if failure is None:
                total = self._download.bytes_total
                self._change(state=DownloadState.DONE, bytes_done=total, bytes_verified=total)
                return
            if self._download.bytes_done > before:
                tries = 0
            wait = self._wait_before_next(failure, tries)
            if wait is None:
                self._change(state=DownloadState.FAILED, failure=failure)
                return
            tries += 1
            self._change(note=f"{failure.what} Trying again in {wait:.0f} s.")
            await asyncio.sleep(wait)

    def _wait_before_next(self, failure: DownloadFailure, tries: int) -> float | None:
        """Seconds to wait before trying again; None when that is no use."""
        if failure.kind not in {*TRANSIENT, "ended"} or tries >= len(self._retries.delays):
            return None
        asked = failure.retry_after or 0.0
        return None if asked > _PATIENCE_SECONDS else max(self._retries.delays[tries], asked)

    async def _attempt(self) -> DownloadFailure | None:
        """Run one process to its end; None when everything is there."""
        order = replace(self._order, files=self._download.files)
        try:
            process = await TransferProcess.start(order, self._command)
        except OSError as error:
            return DownloadFailure("disk", "No transfer could be started.", str(error))
        ended: DownloadFailure | None = None
        try:
            async with aclosing(process.events()) as events:
                async for event in events:
                    match event.pop("event", ""):
                        case words.PROGRESS:
                            self._on_progress(event)
                        case words.FILE_DONE:
                            self._on_file_done(event)
                        case words.DONE:
                            return None
                        case words.FAILED:
                            ended = DownloadFailure(**event)
        finally:
            await process.end()
        return ended or DownloadFailure(
            "ended", "The transfer ended without a word.", process.error_text.strip()[-300:]
        )

    def _on_progress(self, event: dict[str, Any]) -> None:
        done, verifying = int(event["bytes_done"]), bool(event["verifying"])
        speed = None if verifying else self._speed.mark(done)
        left = self._download.bytes_total - done
        self._change(
            state=DownloadState.VERIFYING if verifying else DownloadState.DOWNLOADING,
            bytes_done=done,
            bytes_verified=int(event["bytes_verified"]),
            bytes_per_second=speed,
            seconds_left=left / speed if speed else None,
        )

    def _on_file_done(self, event: dict[str, Any]) -> None:
        path, fetched = str(event["path"]), bool(event["fetched"])
        self._records.set_file_done(self._download.id, path, fetched=fetched)
        files = tuple(
            replace(file, is_done=True, was_fetched=fetched) if file.path == path else file
            for file in self._download.files
        )
        self._change(files=files)

    def _change(self, **values: Any) -> None:  # noqa: ANN401 - fields of Download
        before = self._download
        self._download = replace(before, **values)
        if not self._download.state.is_active or self._download.note:
            self._download = replace(self._download, bytes_per_second=None, seconds_left=None)
        if (before.state, before.failure) != (self._download.state, self._download.failure):
            self._records.set_state(before.id, self._download.state, self._download.failure)
        self._put(self._download)

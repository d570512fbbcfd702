"""The queue of downloads: a few at once, paused and resumed, alive across kills and reboots."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput, M1DeskError
from m1desk.models.downloads.failures import failure_of
from m1desk.models.downloads.order import TransferOrder
from m1desk.models.downloads.records import DownloadRecords
from m1desk.models.downloads.runner import DownloadRunner, RetryPolicy
from m1desk.models.downloads.values import (
    Download,
    DownloadFailure,
    DownloadFile,
    DownloadState,
    remove_quietly,
    side_paths,
)
from m1desk.models.hub_errors import offline
from m1desk.models.hub_values import missing_parts

if TYPE_CHECKING:
    from m1desk.models.hub import HubSettings
    from m1desk.models.hub_values import HubRepository, HubVariant
    from m1desk.store import Database

RESERVE_BYTES: Final = 1024 * 1024 * 1024
"""What downloads leave free on a disk, for the system and for everything else."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What a manager keeps to.

    Attributes:
        at_once: downloads running at the same time.
        reserve_bytes: to leave free on the disk.
    """

    at_once: int = 2
    reserve_bytes: int = RESERVE_BYTES


def free_bytes(folder: Path) -> int:
    """Bytes free for this user on the disk that `folder` is or will be on."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


class DownloadManager:
    """Fetches models in processes of their own; use it on one asyncio loop.

    `on_change` gets a `Download` at each change, `on_removed` the number of one that was forgotten.
    `hub` is asked for the address, the token and offline mode whenever a download starts. `close`
    ends the processes, and leaves everything to be continued by the next manager.
    """

    def __init__(
        self,
        database: Database,
        hub: Callable[[], HubSettings],
        on_change: Callable[[Download], None] | None = None,
        on_removed: Callable[[int], None] | None = None,
        *,
        limits: DownloadLimits | None = None,
        retries: RetryPolicy | None = None,
        space: Callable[[Path], int] = free_bytes,
        command: Sequence[str] | None = None,
    ) -> None:
        self._records = DownloadRecords(database)
        self._hub = hub
        self._on_change = on_change
        self._on_removed = on_removed
        self._limits = limits or DownloadLimits()
        self._retries = retries or RetryPolicy()
        self._space = space
        self._command = command
        self._downloads: dict[int, Download] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._moved = asyncio.Condition()
        self._closing = False

    @property
    def downloads(self) -> tuple[Download, ...]:
        """All downloads this manager knows, oldest first."""
        return tuple(self._downloads[number] for number in sorted(self._downloads))

    def set_limits(self, limits: DownloadLimits) -> None:
        """Keep to other limits from now on; what runs beyond them goes on to its end."""
        self._limits = limits
        self._pump()

    async def recover(self) -> tuple[Download, ...]:
        """Take over what an earlier run left; what was under way goes on. Raises StorageError.

        Downloads that another living process works on are left to it.
        """
        for download in self._records.all():
            if download.id not in self._downloads:
                self._take(download)
        self._pump()
        return self.downloads

    async def add(
        self, repository: HubRepository, variant: HubVariant, models_folder: Path
    ) -> Download:
        """Queue a variant to be fetched into owner/name below `models_folder`.

        An unfinished download of the same files is continued instead. Raises BadInput when the
        repository lacks parts of it, another process fetches it, or the disk is too small.
        """
        if missing_parts(variant):
            raise BadInput(
                f"{variant.name} of {repository.repo_id} is not complete.",
                f"The repository lacks {missing_parts(variant)} of its parts.",
                "Choose another variant, or another source of this model.",
            )
        files = tuple(
            DownloadFile(file.path, file.size_bytes, file.sha256, file.blob_id)
            for file in variant.files
        )
        folder = models_folder / Path(repository.repo_id)
        download = self._continued(repository, files, folder)
        if download is None:
            self._check_space(folder, sum(file.size_bytes for file in files))
            download = self._records.add(
                Download(
                    id=0,
                    repo_id=repository.repo_id,
                    commit=repository.commit,
                    title=f"{repository.repo_id} · {variant.name}",
                    endpoint=self._hub().endpoint,
                    folder=folder,
                    files=files,
                    state=DownloadState.QUEUED,
                )
            )
            self._put(download)
        if download.state in {DownloadState.PAUSED, DownloadState.FAILED}:
            await self.resume(download.id)
        self._pump()
        return self._downloads[download.id]

    async def pause(self, number: int) -> None:
        """Stop a download; what has arrived stays."""
        download = self._known(number)
        if not download.state.is_unfinished:
            return
        await self._stop(number)
        download = self._downloads.get(number, download)
        if download.state.is_unfinished:
            self._set(download, DownloadState.PAUSED)
        self._pump()

    async def resume(self, number: int) -> None:
        """Queue a paused or failed download again; it goes on from where it was."""
        download = self._known(number)
        if download.state in {DownloadState.PAUSED, DownloadState.FAILED}:
            self._set(download, DownloadState.QUEUED)
        self._pump()

    async def cancel(self, number: int) -> None:
        """Give a download up and remove what it has fetched; a finished one keeps its files."""
        download = self._known(number)
        await self._stop(number)
        download = self._downloads.get(number, download)
        if download.state is not DownloadState.DONE:
            await asyncio.to_thread(_remove_files, download)
        self._forget(number)
        self._pump()

    async def clear_done(self) -> None:
        """Forget the downloads that are done; their files stay."""
        for download in self.downloads:
            if download.state is DownloadState.DONE:
                self._forget(download.id)

    async def wait(self, number: int) -> Download:
        """Wait until a download is done, failed or paused."""
        async with self._moved:
            await self._moved.wait_for(lambda: not self._known(number).state.is_unfinished)
            return self._known(number)

    async def close(self) -> None:
        """End all processes; unfinished downloads go on when a manager recovers them."""
        self._closing = True
        for number in tuple(self._tasks):
            await self._stop(number)
        self._records.release()

    def _continued(
        self, repository: HubRepository, files: tuple[DownloadFile, ...], folder: Path
    ) -> Download | None:
        """The unfinished download of the same files at the same commit, claimed; None if none."""
        wanted = [file.path for file in files]
        for download in self._records.all():
            same = (download.repo_id, download.commit, download.folder) == (
                repository.repo_id,
                repository.commit,
                folder,
            )
            if not same or [file.path for file in download.files] != wanted:
                continue
            if download.id not in self._downloads and not self._take(download):
                raise BadInput(
                    f"{download.title} is being downloaded already.",
                    "Another window or command of M1 Desk works on it.",
                    "Wait for it, or end it.",
                )
            return self._again(self._downloads[download.id])
        return None

    def _take(self, download: Download) -> bool:
        """Take over what an earlier run left; False while another living process works on it."""
        if not self._records.claim(download.id):
            return False
        if download.state.is_active:
            self._set(download, DownloadState.QUEUED)
        else:
            self._put(download)
        return True

    def _again(self, download: Download) -> Download:
        """Look at the files of a finished download once more: some may have been removed."""
        if download.state is not DownloadState.DONE:
            return download
        self._records.set_files_open(download.id)
        files = tuple(replace(file, is_done=False) for file in download.files)
        again = replace(download, files=files, bytes_done=0)
        self._set(again, DownloadState.QUEUED)
        return self._downloads[download.id]

    def _check_space(self, folder: Path, wanted: int) -> None:
        """Refuse what will not fit beside the other unfinished downloads; raises BadInput."""
        pending = sum(
            other.bytes_total - other.bytes_done
            for other in self._downloads.values()
            if other.state.is_unfinished
        )
        free = self._space(folder)
        if wanted + pending + self._limits.reserve_bytes > free:
            raise BadInput(
                "There is not enough space on the disk for this model.",
                f"It needs {_gb(wanted)}, other downloads {_gb(pending)}, and"
                f" {_gb(self._limits.reserve_bytes)} stay free; {_gb(free)} are free.",
                "Free some space, choose a smaller variant, or another folder for models.",
            )

    def _pump(self) -> None:
        """Start queued downloads while there is room."""
        for download in self.downloads:
            if self._closing or len(self._tasks) >= self._limits.at_once:
                return
            if download.state is DownloadState.QUEUED and download.id not in self._tasks:
                task = asyncio.create_task(self._run(download.id))
                self._tasks[download.id] = task

    async def _run(self, number: int) -> None:
        download = self._downloads[number]
        try:
            hub = self._hub()
            if hub.offline:
                self._set(download, DownloadState.FAILED, failure_of(offline(download.title)))
                return
            runner = DownloadRunner(
                download,
                self._order(download, hub),
                records=self._records,
                put=self._put,
                retries=self._retries,
                command=self._command,
            )
            await runner.run()
        except M1DeskError as error:
            self._set(self._downloads[number], DownloadState.FAILED, failure_of(error))
        finally:
            # A cancelled task was taken out already, and another may have its place.
            if self._tasks.get(number) is asyncio.current_task():
                del self._tasks[number]
            await self._tell_waiting()
            self._pump()

    def _order(self, download: Download, hub: HubSettings) -> TransferOrder:
        return TransferOrder(
            endpoint=download.endpoint,
            repo_id=download.repo_id,
            commit=download.commit,
            folder=str(download.folder),
            files=download.files,
            reserve_bytes=self._limits.reserve_bytes,
            token=hub.token if hub.endpoint == download.endpoint else None,
        )

    async def _stop(self, number: int) -> None:
        task = self._tasks.pop(number, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _known(self, number: int) -> Download:
        download = self._downloads.get(number)
        if download is None:
            raise BadInput(f"There is no download with the number {number}.")
        return download

    def _set(
        self, download: Download, state: DownloadState, failure: DownloadFailure | None = None
    ) -> None:
        self._records.set_state(download.id, state, failure)
        self._put(
            replace(
                download,
                state=state,
                failure=failure,
                note="",
                bytes_per_second=None,
                seconds_left=None,
            )
        )

    def _put(self, download: Download) -> None:
        self._downloads[download.id] = download
        if self._on_change is not None:
            self._on_change(download)

    def _forget(self, number: int) -> None:
        self._records.delete(number)
        del self._downloads[number]
        if self._on_removed is not None:
            self._on_removed(number)

    async def _tell_waiting(self) -> None:
        async with self._moved:
            self._moved.notify_all()


def _remove_files(download: Download) -> None:
    """Remove what a download has fetched, and the folders that are empty without it."""
    for file in download.files:
        target = download.target(file)
        for path in side_paths(target):
            remove_quietly(path)
        if file.is_done and file.was_fetched:
            remove_quietly(target)
    places = {download.target(file).parent for file in download.files}
    for place in sorted(places, key=lambda path: len(path.parts), reverse=True):
        _remove_empty(place, download.folder.parent)


def _remove_empty(folder: Path, top: Path) -> None:
    """Remove `folder` and those above it up to and with `top`, as far as they are empty."""
    while folder.is_relative_to(top):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"

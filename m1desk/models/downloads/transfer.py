"""The process that fetches one download: `python -m m1desk.models.downloads.transfer`.

It takes a `TransferOrder` on standard input and answers with events on standard output. The end
of its standard input means that its owner is gone: it ends at once, wherever it is. It may be
killed at any moment; the next one goes on from what is on the disk.

hf_hub_download of huggingface_hub 2.4 gives each process a temporary file of its own and deletes
it on failure, so it never resumes; its transfer beneath, `http_get`, does, and is what runs here.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import urljoin, urlsplit

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # lazily there

from m1desk.models.downloads.failures import (
    StoppedError,
    changed,
    in_use,
    is_there_already,
    transfer_failure,
    wrong_content,
)
from m1desk.models.downloads.following_hash import FollowingHash
from m1desk.models.downloads.order import (
    DONE,
    FAILED,
    FILE_DONE,
    PROGRESS,
    TransferOrder,
    event_line,
)
from m1desk.models.downloads.part_file import PartFile
from m1desk.models.downloads.values import (
    LOCK_ENDING,
    DownloadFailure,
    DownloadFile,
    remove_quietly,
    side_paths,
)
from m1desk.models.hub_session import install_client
from m1desk.store import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPORT_SECONDS: Final = 0.2
_LOCK_SECONDS: Final = 20.0
# What was received is written in these bites: a kill costs at most one, and so does a pause.
_BITE: Final = 1024 * 1024
# Storage servers answer a plain GET for up to 50 GB; beyond it, ranges do.
_PIECE: Final = 40_000_000_000


class Transfer:
    """Fetches the files of an order one after another."""

    def __init__(self, order: TransferOrder, out: BinaryIO) -> None:
        self._order = order
        self._out = out
        self._said = threading.Lock()
        self._finished_bytes = 0
        self._part: PartFile | None = None
        self._verifying = False

    def run(self) -> bool:
        """Fetch all; True when they are all there. What went wrong is said as an event."""
        stop = threading.Event()
        reporter = threading.Thread(target=self._report_often, args=(stop,), daemon=True)
        reporter.start()
        try:
            for file in self._order.files:
                self._fetch(file)
        except Exception as error:
            failure = transfer_failure(error, self._order.repo_id)
            if failure is None:
                raise
            self._fail(failure)
            return False
        finally:
            stop.set()
            reporter.join()
        self._say(DONE, {})
        return True

    def _fetch(self, file: DownloadFile) -> None:
        target = Path(self._order.folder, file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.is_done and _size(target) == file.size_bytes:
            self._finished_bytes += file.size_bytes
            return
        with FileLock(target.with_name(target.name + LOCK_ENDING)) as lock:
            if not lock.acquire(_LOCK_SECONDS):
                raise StoppedError(in_use(file.path))
            fetched = self._fetch_locked(file, target)
            for path in side_paths(target):
                if path != lock.path:
                    remove_quietly(path)
            lock.remove()
        self._finished_bytes += file.size_bytes
        self._say(FILE_DONE, {"path": file.path, "fetched": fetched})

    def _fetch_locked(self, file: DownloadFile, target: Path) -> bool:
        if target.exists():
            self._check_present(file, target)
            return False
        etag = file.sha256 or file.blob_id
        with PartFile(target, file.size_bytes, etag, self._order.reserve_bytes) as part:
            self._part = part
            self._receive_all(file, part)
            self._verifying = True
            self._verify(file, part)
        self._part, self._verifying = None, False
        part.path.replace(target)
        _sync_folder(target.parent)
        return True

    def _resolve(self, file: DownloadFile) -> tuple[str, dict[str, str]]:
        """Where the storage server has a file, and what to send it.

        As huggingface_hub does it: the token is for the hub, not for the server it points at.
        """
        order = self._order
        url = hf_hub_url(order.repo_id, file.path, revision=order.commit, endpoint=order.endpoint)
        metadata = get_hf_file_metadata(url, token=order.token or False, timeout=30)
        known = {file.sha256, file.blob_id, None}
        if metadata.etag not in known or metadata.size not in {file.size_bytes, None}:
            raise StoppedError(changed(file.path))
        location = urljoin(url, metadata.location)
        same = urlsplit(location)[:2] == urlsplit(url)[:2]
        headers: dict[str, str] = build_hf_headers(
            token=(order.token if same else None) or False, library_name="m1desk"
        )
        return location, {**headers, "Accept-Encoding": "identity"}

    def _receive_all(self, file: DownloadFile, part: PartFile) -> None:
        refused_at = -1
        while True:
            try:
                self._receive(file, part, *self._resolve(file))
            except HfHubHTTPError as error:
                # Addresses of a storage server are good for an hour or so: ask for a fresh one,
                # as often as something arrived with the one before.
                is_expired = error.response.status_code in {401, 403, 410}
                if not is_expired or part.position <= refused_at:
                    raise
                refused_at = part.position
            else:
                return

    def _receive(
        self, file: DownloadFile, part: PartFile, url: str, headers: dict[str, str]
    ) -> None:
        for start, end in _pieces(file.size_bytes):
            if part.position >= end:
                continue
            whole = (start, end) == (0, file.size_bytes)
            http_get(
                url,
                cast("BinaryIO", part),  # it uses write, tell, seek and truncate
                resume_size=part.position - start,
                headers=headers if whole else {**headers, "Range": f"bytes={start}-{end - 1}"},
                expected_size=end - start,
                displayed_filename=file.path,
            )

    def _verify(self, file: DownloadFile, part: PartFile) -> None:
        if file.sha256:
            found, expected = part.checksum(None), file.sha256
        elif file.blob_id:
            found, expected = part.checksum(_git_prefix(file)), file.blob_id
        else:
            found = expected = part.checksum(None)
        if found == expected:
            return
        part.forget()
        raise StoppedError(wrong_content(file.path))

    def _check_present(self, file: DownloadFile, target: Path) -> None:
        """A file that lies there already must be the one that is wanted."""
        self._verifying = True
        if target.stat().st_size == file.size_bytes:
            if file.sha256:
                same = FollowingHash.of_file(target, "sha256") == file.sha256
            else:
                same = FollowingHash.of_file(target, "sha1", _git_prefix(file)) == file.blob_id
            if same:
                self._verifying = False
                return
        raise StoppedError(is_there_already(target))

    def _report_often(self, stop: threading.Event) -> None:
        while not stop.wait(_REPORT_SECONDS):
            self._report()

    def _report(self) -> None:
        part = self._part
        self._say(
            PROGRESS,
            {
                "bytes_done": self._finished_bytes + (part.position if part else 0),
                "bytes_verified": self._finished_bytes + (part.hashed_bytes if part else 0),
                "verifying": self._verifying,
            },
        )

    def _fail(self, failure: DownloadFailure) -> None:
        self._say(
            FAILED,
            {
                "kind": failure.kind,
                "what": failure.what,
                "why": failure.why,
                "todo": failure.todo,
                "retry_after": failure.retry_after,
            },
        )

    def _say(self, event: str, values: dict[str, object]) -> None:
        with self._said:
            self._out.write(event_line(event, values))
            self._out.flush()


def _pieces(size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, _PIECE):
        yield start, min(start + _PIECE, size)


def _git_prefix(file: DownloadFile) -> bytes:
    """What git puts before a content when it names it."""
    return f"blob {file.size_bytes}\0".encode()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _sync_folder(folder: Path) -> None:
    """Make a new name outlive a crash of the system; Windows does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_with_owner() -> None:
    """Wait for the end of standard input, and end without another step."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(3)


def main() -> int:
    """Run the order that comes on standard input; the exit status is 0 when all is there."""
    order = TransferOrder.from_line(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_owner, daemon=True).start()
    install_client()
    constants.DOWNLOAD_CHUNK_SIZE = _BITE
    started = time.monotonic()
    done = Transfer(order, sys.stdout.buffer).run()
    sys.stderr.write(f"{time.monotonic() - started:.2f} s\n")
    sys.stderr.flush()
    # Not the usual end: the thread above holds standard input's lock, which Python waits for.
    os._exit(0 if done else 1)


if __name__ == "__main__":
    sys.exit(main())

"""A server that speaks the parts of the Hub's API that huggingface_hub uses, and misbehaves.

It has two origins, as the Hub has: the hub itself, and a storage server that large files are
redirected to. What was asked for and what was sent is kept in `served`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
import json
import os
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 64 * 1024
"""Files from this size on are kept on the storage server, with a SHA-256."""
BITE = 64 * 1024


@dataclass
class Fault:
    """How the server misbehaves for paths that match.

    Attributes:
        where: "api", "resolve" (the hub's answer for a file) or "storage".
        times: how often; -1 always.
        cut_after: bytes of the body, then the connection breaks.
    """

    where: str
    path: str = "*"
    times: int = -1
    status: int = 0
    code: str = ""
    retry_after: int = 0
    cut_after: int = -1
    bytes_per_second: int = 0
    wrong_bytes: bool = False
    no_ranges: bool = False
    other_range: bool = False
    endless: bool = False
    body: bytes | None = None


@dataclass(frozen=True)
class Served:
    """One answer of the storage server: the range asked for and the bytes handed to the system."""

    path: str
    start: int
    asked_range: str
    status: int
    authorized: bool
    sent: int


@dataclass
class Repository:
    files: dict[str, Path | bytes]
    tags: list[str]
    gated: bool | str = False
    needs_token: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def size(self, path: str) -> int:
        content = self.files[path]
        return len(content) if isinstance(content, bytes) else content.stat().st_size


class HubServer:
    """Start with `with HubServer() as hub:`; its address is `hub.endpoint`."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.faults: list[Fault] = []
        self.served: list[Served] = []
        self.requests: list[tuple[str, str, bool]] = []
        self._hashes: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self._hub = _Server(self, _HubHandler)
        self._storage = _Server(self, _StorageHandler)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for server in (self._hub, self._storage):
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._hub, self._storage):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def storage(self) -> str:
        return f"http://127.0.0.1:{self._storage.server_port}"

    @property
    def storage_port(self) -> int:
        return int(self._storage.server_port)

    def add(
        self, repo_id: str, files: dict[str, Path | bytes], *tags: str, **more: Any
    ) -> Repository:
        repository = Repository(files, list(tags), **more)
        self.repositories[repo_id] = repository
        return repository

    def fault(self, where: str, **what: Any) -> Fault:
        fault = Fault(where, **what)
        self.faults.append(fault)
        return fault

    def take_fault(self, where: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.where == where and fault.times and fnmatch.fnmatch(path, fault.path):
                    fault.times -= 1 if fault.times > 0 else 0
                    return fault
        return None

    def sha256(self, repo_id: str, path: str) -> str:
        key = (repo_id, path)
        if key not in self._hashes:
            content = self.repositories[repo_id].files[path]
            if isinstance(content, bytes):
                self._hashes[key] = hashlib.sha256(content).hexdigest()
            else:
                with content.open("rb") as file:
                    self._hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._hashes[key]

    def blob_id(self, repo_id: str, path: str) -> str:
        content = self.repositories[repo_id].files[path]
        data = content if isinstance(content, bytes) else content.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def info(self, repo_id: str, *, blobs: bool) -> dict[str, Any]:
        repository = self.repositories[repo_id]
        return {
            "_id": "0" * 24,
            "id": repo_id,
            "modelId": repo_id,
            "sha": COMMIT,
            "private": False,
            "gated": repository.gated,
            "downloads": 7,
            "likes": 3,
            "lastModified": "2026-09-01T10:00:00.000Z",
            "tags": repository.tags,
            "siblings": [self._sibling(repo_id, path, blobs) for path in repository.files],
            **repository.extra,
        }

    def _sibling(self, repo_id: str, path: str, blobs: bool) -> dict[str, Any]:
        if not blobs:
            return {"rfilename": path}
        size = self.repositories[repo_id].size(path)
        entry: dict[str, Any] = {"rfilename": path, "size": size}
        if size >= LARGE:
            sha256 = self.sha256(repo_id, path)
            entry |= {"blobId": "f" * 40}
            entry |= {"lfs": {"sha256": sha256, "size": size, "pointerSize": 134}}
        else:
            entry |= {"blobId": self.blob_id(repo_id, path)}
        return entry


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: HubServer, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.hub = hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is expected
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    @property
    def hub(self) -> HubServer:
        return self.server.hub

    @property
    def authorized(self) -> bool:
        return "Authorization" in self.headers

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, fault: Fault) -> None:
        headers = {"X_Error_Message": "made to fail"}
        if fault.code:
            headers["X_Error_Code"] = fault.code
        if fault.retry_after:
            headers["Retry_After"] = str(fault.retry_after)
        self.answer(fault.status, b'{"error": "made to fail"}', **headers)


class _HubHandler(_Handler):
    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, self.path, self.authorized))
        is_api = path.startswith("/api/")
        fault = self.hub.take_fault("api" if is_api else "resolve", path)
        if fault and fault.status:
            self.fail(fault)
        elif fault and fault.body is not None:
            self.answer(200, fault.body, Content_Type="application/json")
        elif path == "/api/models":
            self._search()
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?", path):
            self._info(match[1])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match[1], match[3])
        else:
            self.answer(404)

    def _search(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        wanted = query.get("search", [""])[0].casefold()
        filters = query.get("filter", [])
        limit = int(query.get("limit", ["1000"])[0])
        found = (
            self.hub.info(repo_id, blobs=False)
            for repo_id, repository in self.hub.repositories.items()
            if wanted in repo_id.casefold() and set(filters) <= set(repository.tags)
        )
        body = json.dumps(list(itertools.islice(found, limit))).encode()
        self.answer(200, body, Content_Type="application/json")

    def _allowed(self, repo_id: str) -> bool:
        repository = self.hub.repositories.get(repo_id)
        if repository is None:
            self.answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
            return False
        token = f"Bearer {repository.needs_token}"
        if repository.needs_token and self.headers.get("Authorization") != token:
            self.answer(401, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
            return False
        return True

    def _info(self, repo_id: str) -> None:
        if repo_id not in self.hub.repositories:
            self._allowed(repo_id)
            return
        blobs = "blobs" in parse_qs(urlsplit(self.path).query)
        body = json.dumps(self.hub.info(repo_id, blobs=blobs)).encode()
        self.answer(200, body, Content_Type="application/json")

    def _resolve(self, repo_id: str, path: str) -> None:
        if not self._allowed(repo_id):
            return
        repository = self.hub.repositories[repo_id]
        if path not in repository.files:
            self.answer(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
            return
        size = repository.size(path)
        large = size >= LARGE
        etag = self.hub.sha256(repo_id, path) if large else self.hub.blob_id(repo_id, path)
        headers = {"X_Repo_Commit": COMMIT, "ETag": f'"{etag}"'}
        if large:
            headers |= {"X_Linked_Etag": f'"{etag}"', "X_Linked_Size": str(size)}
        # The real Hub serves small files itself; here all bytes go through one handler.
        place = f"{self.hub.storage if large else ''}/storage/{quote(repo_id)}/{quote(path)}"
        if large:
            self.answer(302, Location=place, **headers)
        elif self.command == "HEAD":
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(size))
            self.end_headers()
        else:
            _send_content(self, repo_id, path)


class _StorageHandler(_Handler):
    def setup(self) -> None:
        # Little is kept in the system's buffers, so that `sent` is near what arrived.
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
        super().setup()

    def do_GET(self) -> None:
        match = re.fullmatch(r"/storage/([^/]+/[^/]+)/(.+)", unquote(urlsplit(self.path).path))
        if match is None or match[1] not in self.hub.repositories:
            self.answer(404)
            return
        _send_content(self, match[1], match[2])


def _send_content(handler: _Handler, repo_id: str, path: str) -> None:
    hub = handler.hub
    fault = hub.take_fault("storage", path) or Fault("none")
    asked = handler.headers.get("Range", "")
    size = hub.repositories[repo_id].size(path)
    start, end, status = 0, size, 200
    if fault.status:
        handler.fail(fault)
        hub.served.append(Served(path, 0, asked, fault.status, handler.authorized, 0))
        return
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
    if match and not fault.no_ranges:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
        status = 206
        if start >= size:
            handler.answer(416, Content_Range=f"bytes */{size}")
            return
    if fault.other_range:
        start, end = 0, end - start
    handler.send_response(status)
    if status == 206:
        handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
    if fault.endless:
        handler.send_header("Transfer-Encoding", "chunked")
    else:
        handler.send_header("Content-Length", str(end - start))
    handler.end_headers()
    sent = 0
    place = len(hub.served)
    hub.served.append(Served(path, start, asked, status, handler.authorized, 0))
    try:
        for count in _bodies(handler, hub.repositories[repo_id].files[path], start, end, fault):
            sent += count
    finally:
        hub.served[place] = Served(path, start, asked, status, handler.authorized, sent)


def _bodies(handler: _Handler, content: Path | bytes, start: int, end: int, fault: Fault) -> Any:
    """Send the body piece by piece; yields the bytes of each."""
    handler.wfile.flush()
    if fault.endless:
        while True:
            handler.wfile.write(b"%x\r\n%s\r\n" % (BITE, b"x" * BITE))
            yield BITE
    stop = min(end, start + fault.cut_after) if fault.cut_after >= 0 else end
    began, sent = time.monotonic(), 0
    file = None if isinstance(content, bytes) else content.open("rb")
    try:
        while start < stop:
            count = min(BITE if fault.bytes_per_second else 16 * BITE, stop - start)
            if file is not None and not fault.wrong_bytes:
                count = os.sendfile(handler.connection.fileno(), file.fileno(), start, count)
            else:
                handler.wfile.write(_piece(content, start, count, fault))
            start += count
            sent += count
            yield count
            if fault.bytes_per_second:
                ahead = sent / fault.bytes_per_second - (time.monotonic() - began)
                time.sleep(max(ahead, 0))
    finally:
        if file is not None:
            file.close()
    if stop < end:
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


def _piece(content: Path | bytes, start: int, count: int, fault: Fault) -> bytes:
    if isinstance(content, bytes):
        data = content[start : start + count]
    else:
        with content.open("rb") as file:
            file.seek(start)
            data = file.read(count)
    return bytes(byte ^ 1 for byte in data) if fault.wrong_bytes else data


def main() -> None:
    """Serve the files given as arguments as the repository local/files, until stdin ends."""
    with HubServer() as hub:
        hub.add("local/files", {Path(name).name: Path(name) for name in sys.argv[1:]}, "gguf")
        print(hub.endpoint, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()

"""One window per data folder: a second start hands over what it was asked and leaves."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger(__name__)

_LONGEST_MESSAGE: Final = 4 * 1024 * 1024
"""Bytes; a path is at most a few thousand, and a shell gives a few thousand paths at most."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a later start was given, to be opened by the window that is there; paths are absolute.

    Attributes:
        model: to be offered for loading.
        documents: files and folders to read.
    """

    model: Path | None = None
    documents: tuple[Path, ...] = ()

    @staticmethod
    def of(model: Path | None, documents: Iterable[Path]) -> Call:
        """Make one of paths that are relative to this process's folder."""
        return Call(
            None if model is None else Path.cwd() / model,
            tuple(Path.cwd() / path for path in documents),
        )

    def as_line(self) -> bytes:
        """The call as it is sent."""
        documents = [str(path) for path in self.documents]
        message = {"show": True, "model": str(self.model or ""), "documents": documents}
        return json.dumps(message).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> Call | None:
        """Read a call; None when it is not one of ours."""
        try:
            message = json.loads(line)
        except ValueError:
            return None
        if not isinstance(message, dict):
            return None
        model, documents = message.get("model"), message.get("documents", [])
        if not isinstance(model, str) or not isinstance(documents, list):
            return None
        if not all(isinstance(path, str) for path in documents):
            return None
        return Call(Path(model) if model else None, tuple(Path(path) for path in documents))


def call_first(name: str, call: Call, timeout_ms: int = 1500) -> bool:
    """Ask the window that listens under `name` to come forward, and to open what `call` names.

    Returns whether it took the message. Blocks for a few times `timeout_ms` at most, before any
    window of ours is shown.
    """
    socket = QLocalSocket()
    socket.connectToServer(name)
    if not socket.waitForConnected(timeout_ms):
        return False
    socket.write(call.as_line())
    socket.flush()
    taken = socket.bytesAvailable() > 0 or socket.waitForReadyRead(timeout_ms)
    socket.disconnectFromServer()
    return bool(taken)


class FirstWindow(QObject):
    """Listens under `name` for later starts; made by the process that holds the instance lock.

    Signals:
        called: a later start came, with this Call.
    """

    called = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sockets: set[QLocalSocket] = set()
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)
        # A socket file outlives a killed process; the lock says that nobody else listens.
        QLocalServer.removeServer(name)
        if not self._server.listen(name):
            _log.warning("a second start can't find this window: %s", self._server.errorString())

    def close(self) -> None:
        """Stop listening and let go of who is connected."""
        self._server.close()
        for socket in tuple(self._sockets):
            self._forget(socket)

    def _on_connection(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            self._sockets.add(socket)
            socket.setParent(None)  # ours now: it must not go while its signals still run
            socket.setReadBufferSize(_LONGEST_MESSAGE)
            socket.readyRead.connect(lambda socket=socket: self._on_ready(socket))
            socket.disconnected.connect(lambda socket=socket: self._forget(socket))
            self._on_ready(socket)

    def _forget(self, socket: QLocalSocket) -> None:
        if socket in self._sockets:
            self._sockets.discard(socket)
            socket.readyRead.disconnect()
            socket.disconnected.disconnect()
            socket.abort()
            socket.deleteLater()

    def _on_ready(self, socket: QLocalSocket) -> None:
        if not socket.canReadLine():
            if socket.bytesAvailable() >= _LONGEST_MESSAGE:
                socket.abort()
            return
        call = Call.from_line(bytes(socket.readLine().data()))
        socket.write(b"ok\n")
        socket.flush()
        if call is not None:
            self.called.emit(call)

"""One window per data folder: a second start hands over what it was asked and leaves."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

_LONGEST_MESSAGE: Final = 64 * 1024
"""Bytes; a path is at most a few thousand."""


def call_first(name: str, model_path: Path | None = None, timeout_ms: int = 1500) -> bool:
    """Ask the window that listens under `name` to come forward, and to offer `model_path`.

    Returns whether it took the message. Blocks for a few times `timeout_ms` at most, before any
    window of ours is shown.
    """
    socket = QLocalSocket()
    socket.connectToServer(name)
    if not socket.waitForConnected(timeout_ms):
        return False
    path = str(model_path.resolve()) if model_path else ""
    socket.write(json.dumps({"show": True, "model": path}).encode() + b"\n")
    socket.flush()
    taken = socket.bytesAvailable() > 0 or socket.waitForReadyRead(timeout_ms)
    socket.disconnectFromServer()
    return bool(taken)


class FirstWindow(QObject):
    """Listens under `name` for later starts; made by the process that holds the instance lock.

    Signals:
        called: a later start came; the path of a model it was given (str), or "".
    """

    called = Signal(str)

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
        model = _model_in(bytes(socket.readLine().data()))
        socket.write(b"ok\n")
        socket.flush()
        if model is not None:
            self.called.emit(model)


def _model_in(line: bytes) -> str | None:
    """Read the model path out of a message; None when it is not one of ours."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict) or not isinstance(message.get("model"), str):
        return None
    return str(message["model"])

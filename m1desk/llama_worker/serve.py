"""The `serve` command: binds, says where, loads the model, and answers until told to stop."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
from typing import BinaryIO

import uvicorn

from m1desk.llama_worker.engine import Engine, EngineOptions
from m1desk.llama_worker.model import LoadError
from m1desk.llama_worker.server import Server
from m1desk.wire import (
    KEY_VARIABLE,
    Failed,
    FailureReason,
    Listening,
    Loading,
    Ready,
    WorkerEvent,
    encode_event,
)

_LOADING_STEP = 0.01
"""Load progress is reported in steps of this fraction."""


class _Events:
    """The line to the supervisor: standard output, kept clear of the library's prints."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._stream: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._last_fraction = -1.0

    def say(self, event: WorkerEvent) -> None:
        try:
            self._stream.write(encode_event(event))
        except OSError:
            # whoever started us is gone (Windows has another word for a broken pipe); the guard
            # sees to the rest
            return

    def loading(self, fraction: float) -> None:
        if fraction - self._last_fraction >= _LOADING_STEP or fraction >= 1.0:
            self._last_fraction = fraction
            self.say(Loading(round(fraction, 3)))


def serve(port: int, options: EngineOptions) -> int:
    """Serve on `port` (0: any free one) until a signal; returns 1 when loading failed, else 0."""
    events = _Events()
    try:
        listener = bind(port)
    except (OSError, OverflowError) as error:
        events.say(Failed(_bind_reason(error), f"127.0.0.1:{port}: {error}"))
        return 1
    face = Server(api_key=os.environ.pop(KEY_VARIABLE, ""))
    server = uvicorn.Server(
        uvicorn.Config(
            face.app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    )
    events.say(Listening(port=listener.getsockname()[1], pid=os.getpid()))
    loader = _Loader(options, face, server, events)
    loader.start()
    with contextlib.suppress(KeyboardInterrupt):  # how uvicorn passes SIGINT on once it is done
        server.run(sockets=[listener])  # SIGTERM ends the process here, open streams closed
    return 1 if loader.failed else 0


def bind(port: int) -> socket.socket:
    """Listen on this machine alone; 0 for any port. Raises OSError, OverflowError."""
    # asyncio turns Nagle's algorithm off on sockets that say they are TCP. With it, an answer's
    # second piece waits 40 ms for the receipt of its first.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # there SO_REUSEADDR would let another program take over the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def _bind_reason(error: Exception) -> FailureReason:
    taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
    return "port_taken" if taken else "bad_settings"


class _Loader:
    """Loads the model beside the server, which meanwhile answers how far it is."""

    def __init__(
        self, options: EngineOptions, face: Server, server: uvicorn.Server, events: _Events
    ) -> None:
        self._options = options
        self._face = face
        self._server = server
        self._events = events
        self.failed = False
        self._thread = threading.Thread(target=self._load, name="loader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _load(self) -> None:
        try:
            engine = Engine(self._options, self._progress, self._break_down)
        except LoadError as error:
            self._give_up(Failed(error.reason, error.detail))
        except MemoryError as error:
            self._give_up(Failed("out_of_memory", str(error)))
        except Exception as error:  # noqa: BLE001 - the supervisor must hear of anything
            self._give_up(Failed("engine_error", f"{type(error).__name__}: {error}"))
        else:
            self._face.attach(engine)
            self._events.say(Ready(engine.model_id, engine.context_tokens, self._options.parallel))

    def _progress(self, fraction: float) -> None:
        self._face.load_fraction = fraction
        self._events.loading(fraction)

    def _break_down(self, detail: str) -> None:
        """The engine can't go on; open answers have been told and are still written out."""
        self._give_up(Failed("engine_error", detail))

    def _give_up(self, event: Failed) -> None:
        self.failed = True
        self._events.say(event)
        self._server.should_exit = True

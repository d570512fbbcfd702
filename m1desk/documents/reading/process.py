"""The owner's end of a reader process: started, listened to, watched, and surely ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

import m1desk
from m1desk.documents.reading import faults
from m1desk.documents.reading.messages import FrameError, receive

if TYPE_CHECKING:
    from m1desk.documents.reading.messages import Order
    from m1desk.documents.values import ReadingError

_MODULE: Final = "m1desk.documents.reading.child"
_WATCH_SECONDS: Final = 0.25
_PATIENCE_SECONDS: Final = 3.0
_ERROR_KEPT: Final = 2_000
_STREAM_BYTES: Final = 1 << 20
_LAST_CODE: Final = "too_much_memory"
"""Of an error after which a reader takes no other order: it ends by itself (`child.main`)."""


def reader_command() -> tuple[str, ...]:
    """The command that runs a reader with this Python, or in this bundle.

    `-P` keeps the working folder off the module path: it is the user's, and may hold anything.
    """
    if getattr(sys, "frozen", False):
        return (sys.executable, "--run-module", _MODULE)
    return (sys.executable, "-P", "-m", _MODULE)


def _environment() -> dict[str, str]:
    env = dict(os.environ)
    env["PYTHONUTF8"] = "1"
    env["OMP_THREAD_LIMIT"] = "1"  # tesseract: several readers run at once already
    env["MALLOC_ARENA_MAX"] = "2"  # more of them only take addresses, which are limited
    env.pop("PYTHONWARNINGS", None)
    if not getattr(sys, "frozen", False):
        checkout = str(Path(m1desk.__file__).resolve().parent.parent)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [checkout, env.get("PYTHONPATH")]))
    return env


def _is_last(message: Mapping[str, Any]) -> bool:
    error = message.get("error")
    return isinstance(error, dict) and error.get("code") == _LAST_CODE


class ReaderProcess:
    """One reader, which reads one file after the other.

    Attributes:
        is_alive: it can take another order.
        peak_bytes: the most memory it was seen to have (resident).
    """

    def __init__(self, process: asyncio.subprocess.Process, memory_bytes: int) -> None:
        self._process = process
        self._memory_bytes = memory_bytes
        self._error_text = ""
        self._verdict: ReadingError | None = None
        self.is_alive = True
        self.peak_bytes = 0
        self._watch = asyncio.create_task(self._watch_memory())
        self._errors = asyncio.create_task(self._read_errors())

    @staticmethod
    async def start(memory_bytes: int) -> ReaderProcess:
        """Start a reader that may take so much memory; raises OSError when none can be started."""
        process = await asyncio.create_subprocess_exec(
            *reader_command(),
            str(memory_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            limit=_STREAM_BYTES,
            start_new_session=True,
        )
        return ReaderProcess(process, memory_bytes)

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    async def read(self, order: Order, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        """Let it carry out an order, up to and with the message "end".

        Raises:
            ReadingError: it hung, ate memory, crashed, or spoke nonsense; it is ended then.
        """
        try:
            await self._converse(order, on_message)
        except TimeoutError:
            self._fail(faults.too_slow(order.stall_seconds))
        except (FrameError, KeyError, TypeError, ValueError) as error:
            self._fail(faults.crashed(f"The reader answered nonsense: {error}"))
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._ended()
        if self._verdict is not None or not self.is_alive:
            await self.end()
        if self._verdict is not None:
            raise self._verdict

    async def _converse(
        self, order: Order, on_message: Callable[[Mapping[str, Any]], None]
    ) -> None:
        assert self._process.stdin is not None  # noqa: S101 - asked for when it was started
        assert self._process.stdout is not None  # noqa: S101 - as above
        self._process.stdin.write(order.to_frame())
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(order.stall_seconds) as limit:
            while True:
                message = await receive(self._process.stdout)
                limit.reschedule(loop.time() + order.stall_seconds)
                on_message(message)
                if message["is"] == "end":
                    self.is_alive = not _is_last(message)
                    return

    async def end(self) -> None:
        """End it and what it started, and wait until it is gone."""
        self.is_alive = False
        self._watch.cancel()
        self._kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _PATIENCE_SECONDS)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._errors.cancel()
        await asyncio.gather(self._watch, self._errors, return_exceptions=True)

    def _kill(self) -> None:
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)  # tesseract too

    def _fail(self, error: ReadingError) -> None:
        self._verdict = self._verdict or error

    async def _ended(self) -> None:
        """Find out why it ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _PATIENCE_SECONDS)
        status = self._process.returncode
        if sys.platform != "win32" and status == -signal.SIGKILL:
            self._fail(faults.too_much_memory(self._memory_bytes))  # by the system's own hand
        await asyncio.wait([self._errors], timeout=_PATIENCE_SECONDS)
        words = self._error_text.strip().splitlines()
        self._fail(
            faults.crashed(f"Exit status {status}. {words[-1][:300] if words else ''}".strip())
        )

    async def _watch_memory(self) -> None:
        """End it when it takes more memory than allowed; the way that works on every system."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            while True:
                used = process.memory_info().rss
                self.peak_bytes = max(self.peak_bytes, used)
                if used > self._memory_bytes:
                    self._fail(faults.too_much_memory(self._memory_bytes))
                    self._kill()
                    return
                await asyncio.sleep(_WATCH_SECONDS)

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - asked for when it was started
        while text := await self._process.stderr.read(_ERROR_KEPT):
            self._error_text = (self._error_text + text.decode("utf-8", "replace"))[-_ERROR_KEPT:]

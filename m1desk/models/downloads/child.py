"""The owner's end of a transfer process: started, listened to, and surely ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import m1desk

if TYPE_CHECKING:
    from m1desk.models.downloads.order import TransferOrder

_MODULE: Final = "m1desk.models.downloads.transfer"
_LINE_LIMIT: Final = 1024 * 1024
_ERROR_KEPT: Final = 4_000
_PATIENCE_SECONDS: Final = 3.0


def transfer_command() -> tuple[str, ...]:
    """The command that runs the transfer with this Python, or in this bundle.

    `-P` keeps the working folder off the module path: it is the user's, and may hold anything.
    """
    if getattr(sys, "frozen", False):
        return (sys.executable, "--run-module", _MODULE)
    return (sys.executable, "-P", "-m", _MODULE)


def _environment() -> dict[str, str]:
    """This process's own, with what huggingface_hub reads when it is imported."""
    env = dict(os.environ)
    env |= {
        "PYTHONUTF8": "1",
        "HF_HUB_DISABLE_XET": "1",  # its own cache and protocol, which can't resume by range
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "30",
        "HF_HUB_OFFLINE": "0",  # offline mode is asked for before a transfer is begun
    }
    env.pop("PYTHONWARNINGS", None)
    if not getattr(sys, "frozen", False):
        checkout = str(Path(m1desk.__file__).resolve().parent.parent)
        paths = [checkout, *filter(None, [env.get("PYTHONPATH")])]
        env["PYTHONPATH"] = os.pathsep.join(paths)
    return env


class TransferProcess:
    """One running transfer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.error_text = ""

    @staticmethod
    async def start(order: TransferOrder, command: Sequence[str] | None = None) -> TransferProcess:
        """Start a process on `order`; raises OSError when none can be started."""
        process = await asyncio.create_subprocess_exec(
            *(command or transfer_command()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            limit=_LINE_LIMIT,
        )
        assert process.stdin is not None  # noqa: S101 - asked for above
        process.stdin.write(order.to_line())
        return TransferProcess(process)

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """What it says, until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - asked for when it was started
        errors = asyncio.create_task(self._read_errors())
        try:
            async for line in self._process.stdout:
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        yield event
            await errors
        finally:
            errors.cancel()

    async def end(self) -> None:
        """End it, if it still runs, and wait until it is gone.

        Closing its standard input is enough, and what asyncio does to kill a process that is just
        ending is reported as a fault of its own; so that comes only when nothing else helps.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - asked for when it was started
        while text := await self._process.stderr.read(_ERROR_KEPT):
            self.error_text = (self.error_text + text.decode("utf-8", "replace"))[-_ERROR_KEPT:]

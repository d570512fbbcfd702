"""A program that owns one guarded engine and waits to be killed; run as a program."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from m1desk.engines.log import EngineLog
from m1desk.engines.process import GuardedProcess
from m1desk.wire import Ready, decode_event


async def own(folder: Path, argv: list[str], scratch: Path | None) -> None:
    is_ready = asyncio.Event()

    def on_line(line: bytes) -> None:
        if isinstance(decode_event(line), Ready):
            is_ready.set()

    process = await GuardedProcess.start(
        argv,
        os.environ,
        runs=folder,
        log=EngineLog(folder / "log"),
        on_line=on_line,
        scratch=scratch,
    )
    await is_ready.wait()
    print(json.dumps({"guard": process.guard_pid, "engine": process.engine_pid}), flush=True)
    await process.ended


if __name__ == "__main__":
    words = sys.argv[2:]
    place = Path(words[1]) if words[0] == "--scratch" else None
    asyncio.run(own(Path(sys.argv[1]), words[2:] if place else words, place))

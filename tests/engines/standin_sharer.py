"""An engine with a worker that shares memory, a semaphore and a socket with it; run as a program.

As vLLM does: the worker makes a segment that the engine maps too, and neither listens to SIGTERM.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path


def share() -> None:
    """Make what no process would remove after a SIGKILL, say that it is there, and stay."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    segment = shared_memory.SharedMemory(create=True, size=4096)
    lock = multiprocessing.get_context("spawn").Lock()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(Path(os.environ["TMPDIR"]) / "api.sock"))
    if os.fork() == 0:
        os.setsid()
    else:
        ready = {"event": "ready", "model": segment.name, "context_tokens": 1, "parallel": 1}
        os.write(1, json.dumps(ready).encode() + b"\n")
    while lock:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(share())

"""llama_cpp.server: a server that others wrote, and which says little about itself."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support.programs import free_port, running
from support.worker import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def running_llama_cpp_server(model: Path, *, context: int = 512) -> Iterator[str]:
    """Give its address; it wants `KEY`."""
    port = free_port()
    options = {"model": model, "host": "127.0.0.1", "port": port, "n_ctx": context}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "llama_cpp.server", *words, "--n_threads", "1"]
    with running(command, port, {**os.environ, "API_KEY": KEY}) as url:
        yield url

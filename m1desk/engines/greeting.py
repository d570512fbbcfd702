"""A model for a first start: tiny, made on the spot, able to say one greeting."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from m1desk.engines.spec import child_environment, module_command
from m1desk.errors import EngineFailed

QUESTION: Final = "Hello! Who are you?"
"""What to ask it; its answer is the same whatever is asked, and says so."""

_FILE_NAME: Final = "tiny-greeting.gguf"
_SECONDS: Final = 60.0


def write_greeting_model(folder: Path) -> Path:
    """Write the model (2 MB, MiniMax-M1's architecture, made-up weights) into `folder`.

    In a child process, because the worker's libraries are none of this one's. Blocks for about
    half a second.

    Raises:
        EngineFailed: the child could not write it.
    """
    path = folder / _FILE_NAME
    command = [*module_command("m1desk.llama_worker"), "tiny-model", str(path)]
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=child_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(str(error)) from error
    if done.returncode != 0:
        raise _failed(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "")
    return path


def _failed(why: str) -> EngineFailed:
    return EngineFailed(
        "The tiny model for a first start could not be made.",
        why,
        "Load a model file of your own instead.",
    )

"""What a path that somebody names or drops is: a model, or something to read.

Outside the room of models, because the window asks before that room is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def is_model(path: Path) -> bool:
    """Whether it is named as a GGUF file, there or not, or is the folder of a checkpoint."""
    return path.suffix.lower() == ".gguf" or _is_checkpoint(path)


def _is_checkpoint(path: Path) -> bool:
    try:
        return (path / "config.json").is_file() and any(path.glob("*.safetensors"))
    except OSError:  # it can't be looked into; whoever reads it says so
        return False

"""What a path that somebody names or drops is: a model, or something to read.

Outside the room of models, because the window asks before that room is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def model_at(path: Path) -> Path | None:
    """The model that a path names, None where it is something to read.

    That is a file whose name ends in .gguf, there or not, or the folder of a checkpoint, of which
    a file may be named.
    """
    if path.suffix.lower() == ".gguf":
        return path
    folder = checkpoint_folder(path)
    return folder if folder is not None and _is_checkpoint(folder) else None


def checkpoint_folder(path: Path) -> Path | None:
    """The folder of what is known to be a model; None where that is a file of its own."""
    if path.is_dir():
        return path
    is_part = path.suffix.lower() == ".safetensors" or path.name == "config.json"
    return path.parent if is_part else None


def _is_checkpoint(folder: Path) -> bool:
    try:
        return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    except OSError:  # it can't be looked into; whoever reads it says so
        return False

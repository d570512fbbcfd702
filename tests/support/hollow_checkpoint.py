"""Checkpoints as large as real ones, of which no byte of weights is kept on the disk."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from m1desk.store import resource_folder

M1_BYTES = 912_200_000_000


def write_hollow_m1(folder: Path) -> Path:
    """M1's own config.json, and one file with as many bytes as all of its weights."""
    resource = json.loads((resource_folder() / "models" / "minimax-m1.json").read_text())
    return write_hollow_checkpoint(folder / "MiniMax-M1-80k", resource["config"], M1_BYTES)


def write_hollow_checkpoint(folder: Path, config: dict[str, Any], size: int) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    table = {"all": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size // 2 * 2]}}
    header = json.dumps(table).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    return folder

"""Where this room's data lies: presets of machines, mixes of quantizations, facts of models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import m1desk

_PACKAGE: Final = Path(m1desk.__file__).resolve().parent


def resource_folder() -> Path:
    """The folder `resources`: inside an installed package, or beside it in a checkout."""
    installed = _PACKAGE / "resources"
    return installed if installed.is_dir() else _PACKAGE.parent / "resources"


def read_resource(name: str) -> dict[str, Any]:
    """Read a JSON object that is part of the program; `name` is its path in `resources`."""
    text = (resource_folder() / name).read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value

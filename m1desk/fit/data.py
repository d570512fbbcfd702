"""Where this room's data lies: presets of machines, mixes of quantizations, facts of models."""

from __future__ import annotations

import json
from typing import Any

from m1desk.store import resource_folder


def read_resource(name: str) -> dict[str, Any]:
    """Read a JSON object that is part of the program; `name` is its path in `resources`."""
    text = (resource_folder() / name).read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value

"""Values out of a server's JSON, taken as they are meant and never trusted to be there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def as_mapping(value: object) -> Mapping[str, Any]:
    """Take an object; what is none counts as an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_number(value: object) -> float:
    """Take a number as it is meant; what is none, or not finite, counts as 0."""
    if not isinstance(value, int | float):
        return 0.0
    try:
        return float(value) if math.isfinite(value) else 0.0
    except OverflowError:  # JSON's whole numbers have no limit
        return 0.0


def as_count(value: object) -> int:
    """Take a number as a whole one."""
    return int(as_number(value))


def as_text(value: object) -> str:
    """Take a text; what is none counts as empty."""
    return value if isinstance(value, str) else ""

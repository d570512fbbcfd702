"""Where the program's own data lies: presets, the catalog, samples, the demo model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import m1desk

_PACKAGE: Final = Path(m1desk.__file__).resolve().parent


def resource_folder() -> Path:
    """The folder `resources`: inside an installed package, or beside it in a checkout."""
    installed = _PACKAGE / "resources"
    return installed if installed.is_dir() else _PACKAGE.parent / "resources"

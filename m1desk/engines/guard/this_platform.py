"""The choice among the operating systems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m1desk.engines.guard.platforms import Platform


def this_platform() -> Platform:
    """Return the variant for the system this runs on."""
    if sys.platform == "win32":
        from m1desk.engines.guard.windows import Windows  # noqa: PLC0415 - on Windows only

        return Windows()
    elif sys.platform == "darwin":  # noqa: RET505 - the type checker follows no other form
        from m1desk.engines.guard.macos import MacOS  # noqa: PLC0415 - on macOS only

        return MacOS()
    else:
        from m1desk.engines.guard.linux import Linux  # noqa: PLC0415 - on Linux only

        return Linux()

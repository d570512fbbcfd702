"""A pytest plugin, and a module to import first: makes Qt look as if it were not installed."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

QT_PACKAGES = frozenset({"PySide6", "shiboken6", "pyqtgraph", "pytestqt"})


class _NoQt(MetaPathFinder):
    """Refuses Qt's packages, as a Python without them does."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Raise for Qt's packages, and leave the others to the next finder."""
        if fullname.partition(".")[0] in QT_PACKAGES:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


sys.meta_path.insert(0, _NoQt())

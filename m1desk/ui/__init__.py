"""The window: the only room that knows Qt."""

from __future__ import annotations

from m1desk.ui.main_window import MainWindow

__all__ = ["MainWindow"]

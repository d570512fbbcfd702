"""The whole app for a bench, offscreen and in a home of its own, put together as it starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from bench.window import application, settle, wait
from m1desk.app_assembly import Assembly
from m1desk.app_options import WindowOptions
from m1desk.engines import LlamaSettings
from m1desk.store import Database, Folders, SettingsStore
from m1desk.ui.bridge import Bridge
from m1desk.ui.main_window import MainWindow
from m1desk.ui.theme import Theme
from m1desk.ui.viewmodels.settings import SettingsViewModel

SIZE = (1200, 800)
_LOADING_SECONDS = 120.0


class WholeApp:
    """What `app.run_window` puts together, without its own event loop.

    Attributes:
        parts: all that is behind the window.
    """

    def __init__(self, home: Path) -> None:
        folders = Folders.under(home)
        self._database = Database(folders.database)
        self._codes: list[int] = []
        settings = SettingsViewModel(SettingsStore(self._database))
        theme = Theme(application(), "light")
        self.window = MainWindow(theme)
        self.window.resize(*SIZE)
        self.window.show()
        self.bridge = Bridge()
        self.parts = Assembly(
            theme,
            self.window,
            settings,
            self.bridge,
            folders=folders,
            database=self._database,
            options=WindowOptions(calibrate=False, greet=False),
            finish=self._codes.append,
        )
        self.parts.start()
        settle()

    def load(self, model: Path, context_tokens: int) -> None:
        """Load a model, and wait until it is ready."""
        self.parts.engine.load(LlamaSettings(model, context_tokens=context_tokens))
        assert wait(lambda: self.parts.engine.status.is_ready, _LOADING_SECONDS), "no model"

    def drop(self, paths: Sequence[Path]) -> None:
        """Drop files on the window, as a hand does."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
        none = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(self.window, QDragEnterEvent(QPoint(5, 5), *how, none))
        QApplication.sendEvent(self.window, QDropEvent(QPointF(5, 5), *how, none))

    def close(self) -> None:
        """Close as the user does, and wait for the end."""
        self.parts.closing.close_now()
        wait(lambda: bool(self._codes), _LOADING_SECONDS)
        self.parts.close()
        self.bridge.stop()
        self._database.close()

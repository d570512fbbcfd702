"""One model in the list of the Models page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.theme import set_look
from m1desk.ui.units import context_text, percent_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.elided_label import ElidedLabel

if TYPE_CHECKING:
    from m1desk.engines.status import EngineStatus
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.models import ModelEntry


class ModelCard(QFrame):
    """Shows what the model is and how it stands with the engine.

    Signals:
        load_wished, unload_wished, show_wished, remove_wished, delete_wished: its ModelEntry.
    """

    load_wished = Signal(object)
    unload_wished = Signal(object)
    show_wished = Signal(object)
    remove_wished = Signal(object)
    delete_wished = Signal(object)

    def __init__(self, theme: Theme, entry: ModelEntry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.entry = entry
        self._loaded = False
        self.setProperty("card", True)
        self.setAccessibleName(f"Model {entry.title}")
        self._icon = QLabel()
        self._title = ElidedLabel(entry.title, tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._detail = ElidedLabel(entry.detail, tone="muted")
        self._place = ElidedLabel(
            str(entry.path), tone="caption", mode=Qt.TextElideMode.ElideMiddle
        )
        self._state = QLabel()
        self._button = QPushButton("Load…")
        self._button.setFixedWidth(88)
        self._more = IconButton(theme, "more", f"More for {entry.title}")
        self._lay_out()
        self._make_menu()
        self._button.clicked.connect(self._on_button)
        self.show_status(None)
        self._on_theme_changed()
        theme.changed.connect(self._on_theme_changed)

    @property
    def button(self) -> QPushButton:
        """Load or Unload."""
        return self._button

    @property
    def state_text(self) -> str:
        """How it stands with the engine: "Loaded", "Loading 43 %", or ""."""
        return self._state.text()

    def show_status(self, status: EngineStatus | None) -> None:
        """Show how the model stands with the engine."""
        mine = status is not None and status.model_path == self.entry.path
        text, tone = "", "muted"
        self._loaded = False
        if status is not None and mine and status.is_ready:
            text, tone = f"Loaded · {context_text(status.context_tokens)} context", "success"
            self._loaded = True
        elif status is not None and mine and status.is_busy_starting:
            text = f"Loading {percent_text(status.load_fraction)}"
            self._loaded = True
        self._state.setText(text)
        set_look(self._state, "tone", tone)
        loading = status is not None and mine and status.is_busy_starting
        self._button.setText("Stop" if loading else "Unload" if self._loaded else "Load…")
        self._button.setAccessibleName(f"{self._button.text()} {self.entry.title}")
        self._button.setEnabled(self._loaded or not self.entry.problem)
        self._button.setToolTip("" if self._button.isEnabled() else self.entry.problem)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._title)
        texts.addWidget(self._detail)
        texts.addWidget(self._place)
        if self.entry.problem:
            problem = QLabel(self.entry.problem)
            problem.setProperty("tone", "danger")
            problem.setTextFormat(Qt.TextFormat.PlainText)
            problem.setWordWrap(True)
            texts.addSpacing(metrics.space_xs)
            texts.addWidget(problem)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_m, metrics.space_m
        )
        layout.setSpacing(metrics.space_m)
        layout.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(texts, 1)
        layout.addWidget(self._state)
        layout.addWidget(self._button)
        layout.addWidget(self._more)

    def _make_menu(self) -> None:
        menu = QMenu(self)
        menu.addAction("Show in folder", lambda: self.show_wished.emit(self.entry))
        menu.addAction("Copy path", self._on_copy_path)
        menu.addSeparator()
        if not self.entry.in_folder:
            menu.addAction("Remove from list", lambda: self.remove_wished.emit(self.entry))
        menu.addAction("Delete file…", lambda: self.delete_wished.emit(self.entry))
        self._more.setMenu(menu)
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def _on_button(self) -> None:
        wished = self.unload_wished if self._loaded else self.load_wished
        wished.emit(self.entry)

    def _on_copy_path(self) -> None:
        QGuiApplication.clipboard().setText(str(self.entry.path))

    def _on_theme_changed(self) -> None:
        palette = self._theme.palette
        colour, name = palette.text_muted, "model"
        if self.entry.problem:
            colour, name = palette.danger, "alert"
        self._icon.setPixmap(icon_pixmap(name, colour, 20, self.devicePixelRatioF()))

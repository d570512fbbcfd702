"""One model in the list of My Models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.theme import set_look
from m1desk.ui.units import context_text, loading_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.engines.status import EngineStatus
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_check import CheckState
    from m1desk.ui.viewmodels.model_entries import ModelEntry

_STEPS = 1000


class ModelCard(QFrame):
    """Shows what the model is, how it stands with the engine, and what a check of it found.

    Signals:
        load_wished, unload_wished, show_wished, remove_wished, delete_wished, check_wished,
            check_stop_wished: its ModelEntry.
    """

    load_wished = Signal(object)
    unload_wished = Signal(object)
    show_wished = Signal(object)
    remove_wished = Signal(object)
    delete_wished = Signal(object)
    check_wished = Signal(object)
    check_stop_wished = Signal(object)

    def __init__(self, theme: Theme, entry: ModelEntry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.entry = entry
        self._loaded = False
        self.setProperty("card", True)
        self.setAccessibleName(f"Model {entry.title}, {entry.tag}")
        self._icon = Label()
        self._title = ElidedLabel(entry.title, tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._tag = Label(entry.tag)
        self._tag.setProperty("tag", True)
        self._detail = ElidedLabel(entry.detail, tone="muted")
        self._place = ElidedLabel(
            str(entry.path), tone="caption", mode=Qt.TextElideMode.ElideMiddle
        )
        self._problem = _wrapped(entry.problem, "danger")
        self._check = _wrapped("", "muted")
        self._check_bar = QProgressBar()
        self._check_bar.setRange(0, _STEPS)
        self._check_bar.setTextVisible(False)
        self._check_bar.setAccessibleName(f"Verified of {entry.title}")
        self._check_stop = QPushButton("Stop")
        self._check_stop.setAccessibleName(f"Stop verifying {entry.title}")
        self._state = Label()
        self._button = QPushButton("Load…")
        self._button.setFixedWidth(88)
        self._more = IconButton(theme, "more", f"More for {entry.title}")
        self._lay_out()
        self._make_menu()
        self._button.clicked.connect(self._on_button)
        self._check_stop.clicked.connect(lambda: self.check_stop_wished.emit(self.entry))
        self.show_status(None)
        self.show_check(None)
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

    @property
    def check_text(self) -> str:
        """What is known of its checksum, "" for nothing."""
        return self._check.text()

    def shows_same(self, entry: ModelEntry) -> bool:
        """Whether a card made for `entry` would look as this one does."""
        mine, other = self.entry, entry
        return (mine.path, mine.title, mine.tag, mine.detail, mine.problem) == (
            other.path,
            other.title,
            other.tag,
            other.detail,
            other.problem,
        )

    def show_status(self, status: EngineStatus | None) -> None:
        """Show how the model stands with the engine."""
        mine = status is not None and status.model_path == self.entry.path
        text, tone = "", "muted"
        self._loaded = False
        if status is not None and mine and status.is_ready:
            text, tone = f"Loaded · {context_text(status.context_tokens)} context", "success"
            self._loaded = True
        elif status is not None and mine and status.is_busy_starting:
            text = f"Loading {loading_text(status.load_fraction, status.load_stage)}"
            self._loaded = True
        self._state.setText(text)
        self._state.setVisible(bool(text))
        set_look(self._state, "tone", tone)
        loading = status is not None and mine and status.is_busy_starting
        self._button.setText("Stop" if loading else "Unload" if self._loaded else "Load…")
        self._button.setAccessibleName(f"{self._button.text()} {self.entry.title}")
        self._button.setEnabled(self._loaded or not self.entry.problem)
        self._button.setToolTip("" if self._button.isEnabled() else plain_tip(self.entry.problem))

    def show_check(self, check: CheckState | None) -> None:
        """Show how far a check is, or what it found."""
        running = check is not None and check.fraction is not None
        self._check.setText(check.text if check else "")
        self._check.setVisible(check is not None)
        set_look(self._check, "tone", check.tone if check else "muted")
        self._check_bar.setVisible(running)
        self._check_bar.setValue(round((check.fraction or 0.0) * _STEPS) if check else 0)
        self._check_stop.setVisible(running)
        self._verify.setEnabled(not running and not self.entry.problem)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.setSpacing(metrics.space_s)
        head.addWidget(self._title)
        head.addWidget(self._tag)
        head.addStretch(1)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addLayout(head)
        texts.addWidget(self._detail)
        texts.addWidget(self._place)
        for label in (self._problem, self._check):
            texts.addWidget(label)
        texts.addWidget(self._check_bar)
        self._problem.setVisible(bool(self.entry.problem))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_m, metrics.space_m
        )
        layout.setSpacing(metrics.space_m)
        layout.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(texts, 1)
        for widget in (self._state, self._check_stop, self._button, self._more):
            layout.addWidget(widget)

    def _make_menu(self) -> None:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.addAction("Show in folder", lambda: self.show_wished.emit(self.entry))
        menu.addAction("Copy path", self._on_copy_path)
        self._verify = menu.addAction("Verify", lambda: self.check_wished.emit(self.entry))
        self._verify.setToolTip("Read all of it and compare its SHA-256 checksum")
        menu.addSeparator()
        if not self.entry.in_folder:
            menu.addAction("Remove from list", lambda: self.remove_wished.emit(self.entry))
        menu.addAction("Delete…", lambda: self.delete_wished.emit(self.entry))
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


def _wrapped(text: str, tone: str) -> Label:
    label = Label(text, tone=tone, wraps=True)
    label.setContentsMargins(0, 2, 0, 2)
    return label

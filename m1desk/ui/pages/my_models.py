"""My Models: the models on this machine, to load, unload, add, check, and clear away."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.units import bytes_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.calm_fields import choice
from m1desk.ui.widgets.drop_overlay import DropOverlay, dropped_models
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.empty_state import EmptyState
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.model_card import ModelCard
from m1desk.ui.widgets.model_removal import ask_to_delete, tell_in_use
from m1desk.ui.widgets.scrolled import scrolled

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QShowEvent

    from m1desk.engines.status import EngineStatus
    from m1desk.models import Removal
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_check import ModelChecks
    from m1desk.ui.viewmodels.model_entries import ModelEntry
    from m1desk.ui.viewmodels.models import ModelsViewModel

_EMPTY_TEXT: Final = (
    "M1 Desk runs models stored as GGUF files. Find one under Discover, drop a file here, or put "
    "it into the models folder. Models of LM Studio, Jan, Ollama and the Hugging Face cache are "
    "listed by themselves, in place."
)
_ORDERS: Final = (("name", "By name"), ("size", "Largest first"), ("newest", "Newest first"))

_AT_ONCE: Final = 6
"""Cards made in one go: a card takes about 2.5 ms."""


class MyModels(QWidget):
    """Shows the view model's list; what to load is decided by whoever hears `load_wished`.

    `on_their_way` gives the files of downloads that have not ended: they are not listed here.

    Signals:
        load_wished: path (Path).
        unload_wished: the engine is to be stopped.
        add_wished: a file is to be picked and listed.
        discover_wished: a model is to be found.
    """

    load_wished = Signal(object)
    unload_wished = Signal()
    add_wished = Signal()
    discover_wished = Signal()

    def __init__(
        self,
        theme: Theme,
        models: ModelsViewModel,
        checks: ModelChecks,
        *,
        on_their_way: Callable[[], frozenset[Path]] = frozenset,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._models = models
        self._checks = checks
        self._on_their_way = on_their_way
        self._status: EngineStatus | None = None
        self._wanted: list[ModelEntry] = []
        self._cards: list[ModelCard] = []
        self._count = ElidedLabel(tone="muted")
        self._notes = ElidedLabel(tone="caption")
        self._search = QLineEdit()
        self._search.setPlaceholderText("Filter models")
        self._search.setAccessibleName("Filter models")
        self._search.setClearButtonEnabled(True)
        self._search.setMaximumWidth(220)
        self._order = choice("Order of models", _ORDERS)
        self._stack = QStackedWidget()
        self._column = QVBoxLayout()
        self._nothing = Label("No model has these words.", tone="muted")
        self._lay_out()
        self._overlay = DropOverlay(theme, self, "Drop to add to My Models")
        self.setAcceptDrops(True)
        self._search.textChanged.connect(lambda _text: self._on_filter())
        self._order.currentIndexChanged.connect(lambda _index: self._on_models_changed())
        models.changed.connect(self._on_models_changed)
        checks.changed.connect(self._on_check_changed)
        self._on_models_changed()

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """The cards, in order, those that are filtered out included."""
        return tuple(self._cards)

    @property
    def is_empty(self) -> bool:
        """Whether the explanation for the first model is shown."""
        return self._stack.currentIndex() == 1

    def show_status(self, status: EngineStatus) -> None:
        """Show how the models stand with the engine."""
        self._status = status
        for card in self._cards:
            card.show_status(status)

    def showEvent(self, event: QShowEvent) -> None:
        """Look at the folders again: files come and go outside the app."""
        super().showEvent(event)
        self._models.refresh()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take model files and folders."""
        if dropped_models(event.mimeData()):
            event.acceptProposedAction()
            self._overlay.cover()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Take the veil away."""
        super().dragLeaveEvent(event)
        self._overlay.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """List what was dropped once the drop is over, so that the other program need not wait."""
        self._overlay.hide()
        paths = dropped_models(event.mimeData())
        if paths:
            event.acceptProposedAction()
            QTimer.singleShot(0, self, lambda: self._models.add(*paths))

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        refresh = IconButton(self._theme, "refresh", "Look for models again")
        refresh.clicked.connect(self._models.refresh)
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, metrics.space_xl, 0)
        head.setSpacing(metrics.space_s)
        head.addWidget(self._count, 1)
        for widget in (self._search, self._order, refresh):
            head.addWidget(widget)
        head.addWidget(self._folder_button())
        head.addWidget(self._add_button())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_xl, 0, 0, 0)
        layout.setSpacing(metrics.space_m)
        layout.addLayout(head)
        layout.addWidget(self._notes)
        layout.addWidget(self._stack, 1)
        self._stack.addWidget(self._list_area())
        discover = QPushButton("Discover models")
        discover.setProperty("kind", "primary")
        discover.clicked.connect(self.discover_wished)
        add, folder = self._add_button(), self._folder_button()
        buttons = (discover, add, folder)
        empty = EmptyState(self._theme, "model", "No models here yet", _EMPTY_TEXT, buttons=buttons)
        self._stack.addWidget(empty)

    def _list_area(self) -> QScrollArea:
        metrics = self._theme.metrics
        inner = QWidget()
        self._column = QVBoxLayout(inner)
        self._column.setContentsMargins(0, 0, metrics.space_xl, metrics.space_xl)
        self._column.setSpacing(metrics.space_s)
        self._column.addWidget(self._nothing)
        self._column.addStretch(1)
        return scrolled(inner)

    def _add_button(self) -> QPushButton:
        button = QPushButton("Add file…")
        button.clicked.connect(self.add_wished)
        return button

    def _folder_button(self) -> QPushButton:
        button = QPushButton("Open folder")
        button.setToolTip("The folder models are downloaded to")
        button.clicked.connect(lambda: _open(self._models.folder))
        return button

    def _on_models_changed(self) -> None:
        hidden = self._on_their_way()
        entries = [entry for entry in self._models.entries if entry.path not in hidden]
        self._show_cards(_ordered(entries, str(self._order.currentData())))
        total = sum(entry.model.size_bytes for entry in entries)
        noun = "model" if len(entries) == 1 else "models"
        self._count.set_text(f"{len(entries)} {noun} · {bytes_text(total)}" if entries else "")
        self._search.setVisible(bool(entries))
        self._order.setVisible(len(entries) > 1)
        self._notes.set_text("; ".join(self._models.notes))
        self._notes.setVisible(bool(self._models.notes))
        self._stack.setCurrentIndex(1 if self._models.was_scanned and not entries else 0)

    def _show_cards(self, entries: list[ModelEntry]) -> None:
        """Keep the cards of models that look as before, make the others anew, in this order."""
        self._wanted = entries
        before, self._cards = self._cards, []
        known = {card.entry.path: card for card in before}
        for entry in entries:
            card = known.get(entry.path)
            if card is not None and card.shows_same(entry):
                card.entry = entry
                card.show_check(self._checks.state_of(entry))
                self._cards.append(card)
        for card in set(before) - set(self._cards):
            self._column.removeWidget(card)
            card.deleteLater()
        for place, card in enumerate(self._cards):
            if self._column.indexOf(card) != place:
                self._column.insertWidget(place, card)
        self._make_missing()

    def _make_missing(self) -> None:
        """Make some of the cards that are missing, the others a moment later, to stay awake."""
        there = {card.entry.path for card in self._cards}
        made = 0
        for place, entry in enumerate(self._wanted):
            if entry.path in there:
                continue
            if made == _AT_ONCE:
                QTimer.singleShot(0, self, self._make_missing)
                return
            card = self._make_card(entry)
            self._cards.insert(place, card)
            self._column.insertWidget(place, card)
            card.setVisible(self._fits(entry))
            made += 1
        self._show_nothing_found()

    def _make_card(self, entry: ModelEntry) -> ModelCard:
        card = ModelCard(self._theme, entry)
        card.load_wished.connect(lambda entry: self.load_wished.emit(entry.path))
        card.unload_wished.connect(lambda _entry: self.unload_wished.emit())
        card.show_wished.connect(lambda entry: _open(entry.path.parent))
        card.remove_wished.connect(self._models.remove)
        card.delete_wished.connect(self._on_delete_wished)
        card.check_wished.connect(self._checks.start)
        card.check_stop_wished.connect(lambda entry: self._checks.stop(entry.path))
        card.show_status(self._status)
        card.show_check(self._checks.state_of(entry))
        return card

    def _on_filter(self) -> None:
        for card in self._cards:
            card.setVisible(self._fits(card.entry))
        self._show_nothing_found()

    def _fits(self, entry: ModelEntry) -> bool:
        text = f"{entry.title} {entry.detail} {entry.tag} {entry.path}".lower()
        return all(word in text for word in self._search.text().lower().split())

    def _show_nothing_found(self) -> None:
        found = any(self._fits(entry) for entry in self._wanted)
        self._nothing.setVisible(bool(self._wanted) and not found)

    def _on_check_changed(self, path: Path) -> None:
        for card in self._cards:
            if card.entry.path == path:
                card.show_check(self._checks.state_of(card.entry))

    def _on_delete_wished(self, entry: ModelEntry) -> None:
        status = self._status
        used = status is not None and (status.is_ready or status.is_busy_starting)
        if status is not None and used and status.model_path == entry.path:
            tell_in_use(entry.title, self)
            return
        self._models.plan_deletion(entry, partial(self._ask_to_delete, entry))

    def _ask_to_delete(self, entry: ModelEntry, removal: Removal) -> None:
        ask_to_delete(entry.title, removal, lambda: self._models.delete(entry, removal), self)


def _ordered(entries: list[ModelEntry], order: str) -> list[ModelEntry]:
    """In one of the orders of `_ORDERS`; they come by name."""
    if order == "size":
        return sorted(entries, key=lambda entry: entry.model.size_bytes, reverse=True)
    if order == "newest":
        return sorted(entries, key=lambda entry: entry.modified, reverse=True)
    return entries


def _open(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

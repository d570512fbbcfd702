"""The Models page: the model files on this machine, to load, unload, add, and clear away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import set_look
from m1desk.ui.units import bytes_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.empty_state import EmptyState
from m1desk.ui.widgets.model_card import ModelCard

if TYPE_CHECKING:
    from PySide6.QtGui import QShowEvent

    from m1desk.engines.status import EngineStatus
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.models import ModelEntry, ModelsViewModel

_EMPTY_TEXT = (
    "M1 Desk runs models stored as GGUF files. You can find them on "
    '<a href="https://huggingface.co/models?library=gguf">huggingface.co</a>: a file whose size '
    "is below your free memory will run. Then drop it on this window, add it with the button "
    "below, or put it into the models folder."
)


class ModelsPage(QWidget):
    """Shows the view model's list; what to load is decided by whoever hears `load_wished`.

    Signals:
        load_wished: path (Path).
        unload_wished: the engine is to be stopped.
        add_wished: a file is to be picked and listed.
    """

    load_wished = Signal(object)
    unload_wished = Signal()
    add_wished = Signal()

    def __init__(
        self, theme: Theme, models: ModelsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._models = models
        self._status: EngineStatus | None = None
        self._cards: list[ModelCard] = []
        self._count = QLabel()
        self._count.setProperty("tone", "muted")
        self._search = QLineEdit()
        self._search.setPlaceholderText("Filter models")
        self._search.setAccessibleName("Filter models")
        self._search.setClearButtonEnabled(True)
        self._search.setMaximumWidth(220)
        self._stack = QStackedWidget()
        self._column = QVBoxLayout()
        self._lay_out()
        self._search.textChanged.connect(self._on_filter)
        models.changed.connect(self._on_models_changed)
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

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        title = QLabel("Models")
        title.setProperty("tone", "heading")
        refresh = IconButton(self._theme, "refresh", "Look for models again")
        refresh.clicked.connect(self._models.refresh)
        names = QVBoxLayout()
        names.setSpacing(metrics.space_xs)
        names.addWidget(title)
        names.addWidget(self._count)
        head = QHBoxLayout()
        head.setSpacing(metrics.space_s)
        head.addLayout(names)
        head.addStretch(1)
        head.addWidget(self._search)
        head.addWidget(refresh)
        head.addWidget(self._folder_button())
        head.addWidget(self._add_button())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_xl, metrics.space_l, 0, 0)
        layout.setSpacing(metrics.space_l)
        head.setContentsMargins(0, 0, metrics.space_xl, 0)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)
        self._stack.addWidget(self._list_area())
        self._empty = EmptyState(
            self._theme,
            "model",
            "No models here yet",
            _EMPTY_TEXT,
            buttons=(self._add_button(), self._folder_button()),
        )
        self._stack.addWidget(self._empty)

    def _list_area(self) -> QScrollArea:
        metrics = self._theme.metrics
        inner = QWidget()
        self._column = QVBoxLayout(inner)
        self._column.setContentsMargins(0, 0, metrics.space_xl, metrics.space_xl)
        self._column.setSpacing(metrics.space_s)
        self._column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inner)
        return area

    def _add_button(self) -> QPushButton:
        button = QPushButton("Add file…")
        button.setProperty("kind", "primary")
        button.clicked.connect(self.add_wished)
        return button

    def _folder_button(self) -> QPushButton:
        button = QPushButton("Open folder")
        button.setToolTip(str(self._models.folder))
        button.clicked.connect(lambda: _open(self._models.folder))
        return button

    def _on_models_changed(self) -> None:
        for card in self._cards:
            self._column.removeWidget(card)
            card.deleteLater()
        self._cards = [self._make_card(entry) for entry in self._models.entries]
        for number, card in enumerate(self._cards):
            self._column.insertWidget(number, card)
        entries = self._models.entries
        total = sum(entry.model.size_bytes for entry in entries)
        noun = "model" if len(entries) == 1 else "models"
        scanned = self._models.was_scanned
        self._count.setText(f"{len(entries)} {noun} · {bytes_text(total)}" if entries else "")
        self._count.setVisible(bool(entries))
        self._search.setVisible(bool(entries))
        self._stack.setCurrentIndex(1 if scanned and not entries else 0)
        self._on_filter(self._search.text())

    def _make_card(self, entry: ModelEntry) -> ModelCard:
        card = ModelCard(self._theme, entry)
        card.load_wished.connect(lambda entry: self.load_wished.emit(entry.path))
        card.unload_wished.connect(lambda _entry: self.unload_wished.emit())
        card.show_wished.connect(lambda entry: _open(entry.path.parent))
        card.remove_wished.connect(self._models.remove)
        card.delete_wished.connect(self._on_delete_wished)
        card.show_status(self._status)
        return card

    def _on_filter(self, wanted: str) -> None:
        words = wanted.lower().split()
        for card in self._cards:
            text = f"{card.entry.title} {card.entry.detail} {card.entry.path}".lower()
            card.setVisible(all(word in text for word in words))

    def _on_delete_wished(self, entry: ModelEntry) -> None:
        status = self._status
        if (
            status is not None
            and status.model_path == entry.path
            and (status.is_ready or status.is_busy_starting)
        ):
            self._tell_in_use(entry)
            return
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("Delete model")
        count = len(entry.files)
        box.setText(f"Delete {entry.title}?")
        what = "The file is" if count == 1 else f"Its {count} files are"
        box.setInformativeText(
            f"{what} deleted for good, and {bytes_text(entry.model.size_bytes)} become free.\n\n"
            f"{entry.path}"
        )
        delete = box.addButton("Delete", QMessageBox.ButtonRole.DestructiveRole)
        set_look(delete, "kind", "danger")
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.buttonClicked.connect(
            lambda button: self._models.delete(entry) if button is delete else None
        )
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _tell_in_use(self, entry: ModelEntry) -> None:
        box = QMessageBox(self)
        box.setWindowTitle("Delete model")
        box.setText(f"{entry.title} is loaded.")
        box.setInformativeText("Unload it first, then delete its file.")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()


def _open(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

"""The panel of all sets of documents: new, search, and the list with its menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QMenu,
    QPushButton,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.widgets.document_words import count_text
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.named_rows import MORE_ROLE, NameDelegate, NamedRows, NamedRowsModel

if TYPE_CHECKING:
    from m1desk.documents import DocumentSet
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_sets import DocumentSetsViewModel

    Index = QModelIndex | QPersistentModelIndex

_ROW: Final = 50


def figures_text(one: DocumentSet) -> str:
    """Write how much is in a set: "3 files · 12 pages"."""
    if not one.files:
        return "Empty"
    return f"{count_text(one.files, 'file')} · {count_text(one.pages, 'page')}"


class DocumentSetList(QFrame):
    """Shows the view model's sets.

    Signals:
        new_wished: a new, empty set.
        open_wished: id (int) of a set.
        delete_wished: id (int) of a set, still to be confirmed.
    """

    new_wished = Signal()
    open_wished = Signal(object)
    delete_wished = Signal(object)

    def __init__(
        self, theme: Theme, sets: DocumentSetsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._sets = sets
        self.setProperty("panel", True)
        self.field = QLineEdit()
        self.rows = NamedRows(theme, "Sets of documents", NamedRowsModel(_name, figures_text))
        self.rows.setItemDelegate(
            _Delegate(theme, _ROW, self.rows, field_name="Name of the set", inset=8)
        )
        self._new = QPushButton("New set")
        self._nothing = Label(tone="faint", wraps=True)
        self._lay_out()
        self._connect()
        self._tint()

    def set_current(self, set_id: int | None) -> None:
        """Mark the set that is open."""
        self.rows.set_current(set_id)

    def start_renaming(self, set_id: int) -> None:
        """Open the field in which the name is changed."""
        self.rows.start_renaming(set_id)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self.field.setPlaceholderText("Search sets")
        self.field.setAccessibleName("Search sets of documents by name")
        self.field.setClearButtonEnabled(True)
        self._new.setToolTip("Make an empty set of documents")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_m, metrics.space_m, metrics.space_m, 0)
        layout.setSpacing(metrics.space_s)
        for widget in (self._new, self.field, self._nothing):
            layout.addWidget(widget)
        layout.addWidget(self.rows, 1)

    def _connect(self) -> None:
        self._theme.changed.connect(self._tint)
        self._new.clicked.connect(self.new_wished)
        self.field.textChanged.connect(self._sets.search)
        self.field.returnPressed.connect(self._open_first)
        self.rows.open_wished.connect(self.open_wished)
        self.rows.delete_wished.connect(self.delete_wished)
        self.rows.renamed.connect(self._sets.rename)
        self.rows.menu_wished.connect(self._on_menu)
        self._sets.changed.connect(self._on_changed)

    def _on_changed(self, sets: tuple[DocumentSet, ...]) -> None:
        if self.field.text().strip() != self._sets.words:
            self.field.setText(self._sets.words)
        self.rows.set_rows(sets)
        words = self._sets.words
        self._nothing.setText(f"Nothing found for “{words}”." if words else "No documents yet.")
        self._nothing.setVisible(not sets)

    def _open_first(self) -> None:
        if self._sets.shown:
            self.open_wished.emit(self._sets.shown[0].id)

    def _on_menu(self, set_id: int, place: QPoint) -> None:
        menu = QMenu(self)
        menu.addAction("Rename", lambda: self.rows.start_renaming(set_id))
        menu.addSeparator()
        menu.addAction("Delete…", lambda: self.delete_wished.emit(set_id))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def _tint(self) -> None:
        self._new.setIcon(self._theme.icon("plus", self._theme.palette.text))


class _Delegate(NameDelegate):
    def paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, index: Index
    ) -> None:
        colours, metrics = self._theme.palette, self._theme.metrics
        font = QFont(option.font)
        half = box.height() // 2
        top = box.adjusted(10, 5, -10, -half + 2)
        bottom = box.adjusted(10, half, -10, -4)
        lines = (
            (top, str(index.data()), metrics.font_small, colours.text),
            (bottom, str(index.data(MORE_ROLE)), metrics.font_caption, colours.text_faint),
        )
        for place, text, size, colour in lines:
            font.setPixelSize(size)
            painter.setFont(font)
            painter.setPen(QColor(colour))
            _draw(painter, place, text)


def _name(one: DocumentSet) -> str:
    return one.name


def _draw(painter: QPainter, place: QRect, text: str) -> None:
    elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, place.width())
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, elided)

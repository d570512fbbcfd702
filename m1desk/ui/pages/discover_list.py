"""Discover's left side: a search, how it stands, and the models as rows of two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import (
    QLineEdit,
    QListView,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import set_look, text_font
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.discover import DiscoverViewModel
    from m1desk.ui.viewmodels.discover_entries import Entry

    Index = QModelIndex | QPersistentModelIndex

_ENTRY_ROLE: Final = Qt.ItemDataRole.UserRole
_ROW_HEIGHT: Final = 52
_PAD: Final = 10


class _Model(QAbstractListModel):
    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        super().__init__()
        self.entries = entries

    def set_entries(self, entries: tuple[Entry, ...]) -> None:
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        entry = self.entries[index.row()]
        if role == _ENTRY_ROLE:
            return entry
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role in {Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole}:
            text = f"{entry.title}\n{entry.facts}"
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        return None


class _Delegate(QStyledItemDelegate):
    """A title, and under it what the model is."""

    def __init__(self, theme: Theme, view: QListView) -> None:
        super().__init__(view)
        self._theme = theme
        self._fonts = (QFont(), QFont())
        self._take_fonts()
        theme.changed.connect(self._take_fonts)

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(120, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        palette = self._theme.palette
        area: QRect = option.rect
        state = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(palette.accent_soft if selected else palette.hover))
            painter.drawRoundedRect(area.adjusted(0, 1, 0, -1), 6, 6)
        entry: Entry = index.data(_ENTRY_ROLE)
        inner = area.adjusted(_PAD, 7, -_PAD, -7)
        half = inner.height() // 2
        self._write(painter, inner.adjusted(0, 0, 0, -half), entry.title, 0, palette.text)
        self._write(painter, inner.adjusted(0, half, 0, 0), entry.detail, 1, palette.text_muted)
        painter.restore()

    def _write(self, painter: QPainter, area: QRect, text: str, font: int, colour: str) -> None:
        painter.setFont(self._fonts[font])
        painter.setPen(QColor(colour))
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, shown)

    def _take_fonts(self) -> None:
        metrics = self._theme.metrics
        title = text_font(metrics.font_small)
        title.setWeight(QFont.Weight.DemiBold)
        self._fonts = (title, text_font(metrics.font_caption))


class DiscoverList(QWidget):
    """Typing narrows the list; Enter or the button asks the Hub, and nothing else does.

    Signals:
        chosen: the Entry that is now current.
    """

    chosen = Signal(object)

    def __init__(
        self, theme: Theme, discover: DiscoverViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._discover = discover
        self._rows = _Model()
        self.search = QLineEdit()
        self.button = QPushButton("Search the Hub")
        self.retry = QPushButton("Try again")
        self._status = Label(wraps=True)
        self.view = QListView()
        self._set_up(theme)
        self._lay_out(theme)
        self.search.textChanged.connect(discover.filter)
        self.search.returnPressed.connect(self._on_search)
        self.button.clicked.connect(self._on_search)
        self.retry.clicked.connect(self._on_retry)
        self.view.selectionModel().currentChanged.connect(self._on_current)
        discover.changed.connect(self._on_changed)
        self._on_changed()

    @property
    def status_text(self) -> str:
        """How the search stands, as written."""
        return self._status.text()

    def select(self, key: str) -> None:
        """Make an entry current; one that is not shown changes nothing."""
        for number, entry in enumerate(self._rows.entries):
            if entry.key == key:
                self.view.setCurrentIndex(self._rows.index(number))

    # -- inside ------------------------------------------------------------------------------------

    def _set_up(self, theme: Theme) -> None:
        self.search.setPlaceholderText("Find models")
        self.search.setAccessibleName("Find models")
        self.search.setToolTip("Narrows the list; Enter searches the Hub")
        self.search.setClearButtonEnabled(True)
        self.button.setToolTip("Ask the model hub for GGUF repositories of this name")
        view = self.view
        view.setModel(self._rows)
        view.setItemDelegate(_Delegate(theme, view))
        view.setAccessibleName("Models")
        view.setUniformItemSizes(True)
        view.setMouseTracking(True)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        theme.changed.connect(view.viewport().update)

    def _lay_out(self, theme: Theme) -> None:
        metrics = theme.metrics
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, metrics.space_s, 0)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(self.search)
        layout.addWidget(self.button)
        layout.addWidget(self._status)
        layout.addWidget(self.retry, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.view, 1)

    def _on_search(self) -> None:
        self._discover.search(self.search.text().strip())

    def _on_retry(self) -> None:
        if self._discover.error is not None:
            self._discover.open()
        else:
            self._discover.search_again()

    def _on_changed(self) -> None:
        entries = self._discover.entries
        if entries != self._rows.entries:
            self._show(entries)
        self._write_status()

    def _show(self, entries: tuple[Entry, ...]) -> None:
        """Show other entries; the current one stays current where it is among them."""
        current = self.view.currentIndex()
        key = self._rows.entries[current.row()].key if current.isValid() else ""
        self.view.selectionModel().blockSignals(True)
        self._rows.set_entries(entries)
        self.view.selectionModel().blockSignals(False)
        self.select(key)

    def _write_status(self) -> None:
        asked, catalog_error = self._discover.hub_search, self._discover.error
        error = catalog_error or asked.error
        self.retry.setVisible(error is not None)
        self.button.setEnabled(asked.state != "running")
        set_look(self._status, "tone", "danger" if error else "muted")
        if error is not None:
            text = str(error)
            self._status.setText(text[:1].upper() + text[1:])
        elif asked.state == "running":
            self._status.setText(f"Asking the Hub for {asked.about}…")
        elif asked.state == "done":
            count = self._discover.found_count
            self._status.setText(f"The Hub has {count or 'nothing'} for {asked.about}.")
        self._status.setVisible(bool(error) or asked.state != "none")

    def _on_current(self, current: QModelIndex) -> None:
        if current.isValid():
            self.chosen.emit(self._rows.entries[current.row()])

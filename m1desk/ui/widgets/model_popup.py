"""The list that the model selector opens: what is loaded, what else is here, and a way to more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import text_font
from m1desk.ui.units import context_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.plain_tip import plain_tip
from m1desk.ui.widgets.separator import separator

if TYPE_CHECKING:
    from PySide6.QtCore import QObject

    from m1desk.engines.status import EngineStatus
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_entries import ModelEntry

_PATH: Final = Qt.ItemDataRole.UserRole
_DETAIL: Final = Qt.ItemDataRole.UserRole + 1
_FAULTY: Final = Qt.ItemDataRole.UserRole + 2
_ROW: Final = 48
_LONGEST: Final = 7
"""Rows shown before the list scrolls."""

_Index = QModelIndex | QPersistentModelIndex


class _RowPainter(QStyledItemDelegate):
    """Paints a model as two lines: its name, and what it is."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, _option: QStyleOptionViewItem, _index: _Index) -> QSize:
        return QSize(200, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        palette, metrics = self._theme.palette, self._theme.metrics
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        if state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            chosen = state & QStyle.StateFlag.State_Selected
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(palette.accent_soft if chosen else palette.hover))
            painter.drawRoundedRect(rect, metrics.radius_s, metrics.radius_s)
        inner = rect.adjusted(12, 6, -12, -6)
        faulty = bool(index.data(_FAULTY))
        self._line(painter, inner, str(index.data()), metrics.font_small, palette.text)
        inner.setTop(inner.top() + inner.height() // 2 + 1)
        colour = palette.danger if faulty else palette.text_faint
        self._line(painter, inner, str(index.data(_DETAIL)), metrics.font_caption, colour)
        painter.restore()

    @staticmethod
    def _line(painter: QPainter, rect: QRect, text: str, pixels: int, colour: str) -> None:
        painter.setFont(text_font(pixels))
        painter.setPen(QColor(colour))
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, rect.width())
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft), shown)


class ModelPopup(QFrame):
    """Closes itself once something was chosen, or on Esc.

    Signals: as in `ModelSelector`.
    """

    model_chosen = Signal(object)
    file_wished = Signal()
    unload_wished = Signal()

    def __init__(
        self,
        theme: Theme,
        entries: tuple[ModelEntry, ...],
        status: EngineStatus | None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._theme = theme
        self._status = status
        loaded = status.model_path if status and status.is_ready else None
        others = [entry for entry in entries if entry.path != loaded]
        self._entries = tuple(sorted(others, key=lambda entry: bool(entry.problem)))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setProperty("card", True)
        self.setAccessibleName("Models")
        self._search = QLineEdit()
        self._search.setPlaceholderText("Filter models")
        self._search.setAccessibleName("Filter models")
        self._search.textChanged.connect(self._fill)
        self._search.installEventFilter(self)
        self._search.setVisible(bool(self._entries))
        self._list = QListWidget()
        self._list.setAccessibleName("Available models")
        self._list.setItemDelegate(_RowPainter(theme, self))
        self._list.setMouseTracking(True)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.itemClicked.connect(self._on_item)
        self._list.itemActivated.connect(self._on_item)
        self._none = Label(tone="muted", wraps=True)
        self._lay_out()
        self._fill("")
        self._search.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move in the list and choose from it while the text field has the focus."""
        if watched is self._search and isinstance(event, QKeyEvent):
            key = event.key()
            if event.type() == QEvent.Type.KeyPress and key in {
                Qt.Key.Key_Down,
                Qt.Key.Key_Up,
            }:
                step = 1 if key == Qt.Key.Key_Down else -1
                row = max(0, min(self._list.count() - 1, self._list.currentRow() + step))
                self._list.setCurrentRow(row)
                return True
            if event.type() == QEvent.Type.KeyPress and key in {
                Qt.Key.Key_Return,
                Qt.Key.Key_Enter,
            }:
                item = self._list.currentItem()
                if item is not None:
                    self._on_item(item)
                return True
        return super().eventFilter(watched, event)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(4)
        if self._status is not None and self._status.is_ready:
            layout.addWidget(_caption("In use" if self._status.server else "Loaded"))
            layout.addLayout(self._loaded_row(self._status))
            layout.addSpacing(4)
        layout.addWidget(_caption("Available"))
        layout.addWidget(self._search)
        layout.addWidget(self._list)
        layout.addWidget(self._none)
        layout.addWidget(separator())
        load = QPushButton("Load from a file…")
        load.setProperty("kind", "ghost")
        load.setIcon(self._theme.icon("folder"))
        load.clicked.connect(self._on_file)
        layout.addWidget(load, alignment=Qt.AlignmentFlag.AlignLeft)

    def _loaded_row(self, status: EngineStatus) -> QHBoxLayout:
        name = ElidedLabel(status.model_name, tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        context = status.context_tokens
        detail = Label(
            f"{context_text(context)} context" if context else "context not said", tone="caption"
        )
        word = "Back to this machine" if status.server else "Unload"
        unload = QPushButton(word)
        unload.setAccessibleName(f"{word}: {status.model_name}")
        unload.clicked.connect(self._on_unload)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(name)
        texts.addWidget(detail)
        row = QHBoxLayout()
        row.setContentsMargins(12, 4, 4, 4)
        row.addLayout(texts, 1)
        row.addWidget(unload)
        return row

    def _fill(self, wanted: str) -> None:
        self._list.clear()
        words = wanted.lower().split()
        for entry in self._entries:
            text = f"{entry.title} {entry.path}".lower()
            if not all(word in text for word in words):
                continue
            item = QListWidgetItem(entry.title)
            item.setData(_PATH, entry.path)
            item.setData(_DETAIL, entry.problem or entry.detail)
            item.setData(_FAULTY, bool(entry.problem))
            item.setToolTip(plain_tip(str(entry.path)))
            self._list.addItem(item)
        count = self._list.count()
        self._list.setVisible(count > 0)
        self._list.setFixedHeight(min(count, _LONGEST) * _ROW + 4)
        self._none.setVisible(count == 0)
        self._none.setText(
            "No model's name has these words." if self._entries else "No other model is here yet."
        )
        self._none.setContentsMargins(12, 8, 12, 8)
        if count:
            self._list.setCurrentRow(0)
        self.adjustSize()

    def _on_item(self, item: QListWidgetItem) -> None:
        path = item.data(_PATH)
        self.close()
        self.model_chosen.emit(path)

    def _on_file(self) -> None:
        self.close()
        self.file_wished.emit()

    def _on_unload(self) -> None:
        self.close()
        self.unload_wished.emit()


def _caption(text: str) -> Label:
    label = Label(text, tone="caption")
    label.setContentsMargins(12, 4, 0, 0)
    return label

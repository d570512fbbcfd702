"""The files of a set as rows: name, kind, pages, tokens, what became of them, and a checkbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTableView, QWidget

from m1desk.ui.units import tokens_text
from m1desk.ui.widgets.document_words import KINDS, OUTCOMES, pages_text
from m1desk.ui.widgets.plain_model import Column, PlainTableModel
from m1desk.ui.widgets.plain_table import PlainDelegate
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.documents import SetFile
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.documents import DocumentsViewModel

    Index = QModelIndex | QPersistentModelIndex

NAME, KIND, PAGES, TOKENS, OUTCOME = range(5)
_COLUMNS: Final = (
    Column("File"),
    Column("Kind"),
    Column("Pages", at_right=True),
    Column("Tokens", at_right=True),
    Column("Result"),
)
_WIDTHS: Final = {KIND: 104, PAGES: 84, TOKENS: 84, OUTCOME: 140}
_LEAVING: Final = (KIND, PAGES, TOKENS)
"""Columns that are left out where names would have no room, in this order."""
_ROW: Final = 30
_LEAST_NAME: Final = 180
_CHECK: Final = Qt.ItemDataRole.CheckStateRole


class DocumentTableModel(PlainTableModel):
    """Writes the open set's files as text; those without text have no checkbox."""

    rows: tuple[SetFile, ...]

    def __init__(self, theme: Theme, documents: DocumentsViewModel) -> None:
        super().__init__(_COLUMNS)
        self._theme = theme
        self._documents = documents
        documents.files.files_changed.connect(self._on_files)
        documents.budget.changed.connect(self._on_counts)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """Text, icon, colour, checkbox and tooltip of a cell."""
        file, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(file, column)
        if role == _CHECK and column == NAME and file.document is not None:
            return Qt.CheckState.Checked if file.included else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(_tooltip(file, column))
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._colour(file, column)
        if role == Qt.ItemDataRole.DecorationRole and column == OUTCOME:
            _, icon, tone = OUTCOMES[file.report.outcome]
            return self._theme.icon(icon, getattr(self._theme.palette, tone))
        return super().data(index, role)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: ANN401 - Qt's
        """Take a file into the prompt, or leave it out."""
        if role != _CHECK or index.column() != NAME:
            return False
        included = Qt.CheckState(value) == Qt.CheckState.Checked
        self._documents.files.include([self.rows[index.row()].id], included=included)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        """A file with text can be checked."""
        flags = super().flags(index)
        if index.column() == NAME and self.rows[index.row()].document is not None:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def _text(self, file: SetFile, column: int) -> str:
        if column == TOKENS:
            budget = self._documents.budget
            tokens = budget.tokens_of(file.id)
            mark = "~" if budget.is_estimate else ""
            return "" if tokens is None else mark + tokens_text(tokens)
        return {
            NAME: file.report.name,
            KIND: KINDS[file.report.kind],
            PAGES: pages_text(file.report),
            OUTCOME: OUTCOMES[file.report.outcome][0],
        }[column]

    def _colour(self, file: SetFile, column: int) -> QColor | None:
        palette = self._theme.palette
        if column == OUTCOME:
            return QColor(getattr(palette, OUTCOMES[file.report.outcome][2]))
        if not file.is_used:
            return QColor(palette.text_faint)
        return None if column == NAME else QColor(palette.text_muted)

    def _on_files(self) -> None:
        files = self._documents.files.files
        if [one.id for one in files] == [one.id for one in self.rows]:
            self.show_changed(files)
        else:
            self.show_others(files)

    def _on_counts(self) -> None:
        self.tell_changed(TOKENS, TOKENS)


class DocumentTable(QTableView):
    """One row a file; Space takes the selected ones in or leaves them out, Delete removes them.

    Signals:
        chosen: the SetFile whose row is the current one, None for none.
        open_wished: the SetFile whose row was double-clicked or entered.
        remove_wished: ids (list of int) of files to be taken out of the set.
    """

    chosen = Signal(object)
    open_wished = Signal(object)
    remove_wished = Signal(object)

    def __init__(
        self, theme: Theme, documents: DocumentsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._documents = documents
        self._model = DocumentTableModel(theme, documents)
        self.setModel(self._model)
        self.setItemDelegate(PlainDelegate(theme, self))
        self.setAccessibleName("Files of the set")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(theme.metrics.icon, theme.metrics.icon))
        self._set_headers()
        self.selectionModel().currentRowChanged.connect(self._on_current)
        self._model.modelReset.connect(lambda: self.chosen.emit(None))
        self.doubleClicked.connect(lambda index: self.open_wished.emit(self._at(index)))
        theme.changed.connect(self.viewport().update)

    def select(self, name: str) -> None:
        """Make a file's row the current one."""
        names = [one.report.name for one in self._model.rows]
        if name in names:
            index = self._model.index(names.index(name), NAME)
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def row_height(self) -> int:
        """Height of a row, as of the header, in pixels."""
        return _ROW

    # -- Qt ----------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out columns where names would have no room."""
        super().resizeEvent(event)
        room = self.viewport().width() - sum(_WIDTHS.values())
        for column in _LEAVING:
            is_hidden = room < _LEAST_NAME
            self.setColumnHidden(column, is_hidden)
            room += _WIDTHS[column] if is_hidden else 0
        self.horizontalHeader().resizeSection(NAME, max(80, room))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Include with Space, open with Enter, remove with Delete."""
        selected = self._selected()
        if not selected:
            super().keyPressEvent(event)
        elif event.key() == Qt.Key.Key_Space:
            self._include(selected, included=not selected[0].included)
        elif event.key() == Qt.Key.Key_Delete:
            self.remove_wished.emit([one.id for one in selected])
        elif event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.open_wished.emit(selected[0])
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer by menu what the keys do."""
        selected = self._selected()
        menu = QMenu(self)
        if selected:
            if len(selected) == 1 and selected[0].document is not None:
                menu.addAction("Open in the viewer", lambda: self.open_wished.emit(selected[0]))
            menu.addAction("Include", lambda: self._include(selected, included=True))
            menu.addAction("Leave out", lambda: self._include(selected, included=False))
            others = [one for one in self._model.rows if one not in selected]
            menu.addAction("Leave all others out", lambda: self._include(others, included=False))
            menu.addSeparator()
        everything = list(self._model.rows)
        menu.addAction("Include all", lambda: self._include(everything, included=True))
        if selected:
            menu.addSeparator()
            ids = [one.id for one in selected]
            menu.addAction("Remove from the set…", lambda: self.remove_wished.emit(ids))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    # -- inside ------------------------------------------------------------------------------------

    def _set_headers(self) -> None:
        vertical, header = self.verticalHeader(), self.horizontalHeader()
        vertical.hide()
        vertical.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        vertical.setDefaultSectionSize(_ROW)
        header.setHighlightSections(False)
        header.viewport().setAutoFillBackground(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionsClickable(False)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)

    def _at(self, index: QModelIndex) -> SetFile:
        return self._model.rows[index.row()]

    def _selected(self) -> list[SetFile]:
        return [self._at(index) for index in self.selectionModel().selectedRows()]

    def _include(self, files: list[SetFile], *, included: bool) -> None:
        ids = [one.id for one in files if one.document is not None]
        if ids:
            self._documents.files.include(ids, included=included)

    def _on_current(self, current: QModelIndex) -> None:
        self.chosen.emit(self._at(current) if current.isValid() else None)


def _tooltip(file: SetFile, column: int) -> str:
    if column == OUTCOME and file.report.problem is not None:
        return str(file.report.problem)
    return f"{file.report.name}\n{file.report.path}"

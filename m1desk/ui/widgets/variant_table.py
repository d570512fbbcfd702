"""The variants of a model as rows: size, quality, verdict, longest context, speeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from m1desk.ui.units import bytes_text, context_text
from m1desk.ui.viewmodels.fit_panel import speed_range, verdict_look
from m1desk.ui.widgets.plain_model import Column, PlainTableModel
from m1desk.ui.widgets.plain_table import make_plain
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.fit import FitPlan
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.variants import VariantsViewModel
    from m1desk.ui.viewmodels.variants_source import VariantRow

    Index = QModelIndex | QPersistentModelIndex

NAME, SIZE, BITS, QUALITY, VERDICT, LONGEST, PREFILL, DECODE, DOWNLOAD = range(9)
_COLUMNS: Final = (
    Column("Variant", "The quantization"),
    Column("Size", "Of the file, or of the weights where no file is known", at_right=True),
    Column("Bits", "Bits per weight, over all tensors", at_right=True),
    Column("Quality", "What the quantization costs in quality"),
    Column(
        "Verdict", "Whether it fits the machine, with the context and the KV cache chosen above"
    ),
    Column("Longest", "The longest context (tokens) with the same verdict", at_right=True),
    Column("Prefill", "Reading: tokens a second, predicted, at an empty context", at_right=True),
    Column("Decode", "Writing: tokens a second, predicted, at an empty context", at_right=True),
    Column("", "Download"),
)
_WIDTHS: Final = {
    NAME: 96, SIZE: 76, BITS: 44, VERDICT: 142, LONGEST: 78, PREFILL: 92, DECODE: 86, DOWNLOAD: 36,
}  # fmt: skip
_LEAST_QUALITY: Final = 110
_ROW_HEIGHT: Final = 32


class VariantTableModel(PlainTableModel):
    """Writes the view model's rows and plans as text."""

    rows: tuple[VariantRow, ...]

    def __init__(self, theme: Theme, variants: VariantsViewModel) -> None:
        super().__init__(_COLUMNS)
        self._theme = theme
        self._variants = variants
        self.rows = variants.rows
        variants.reset.connect(self._on_reset)
        variants.row_planned.connect(self._on_planned)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: ANN401 - Qt's
        """Text, icon, colour and tooltip of a cell."""
        row, plan = self.rows[index.row()], self._variants.plan_of(index.row())
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(row, plan, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(_tooltip(row, plan, column))
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._colour(plan, column)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(row, plan, column)
        if role == Qt.ItemDataRole.AccessibleTextRole and column == DOWNLOAD:
            return _tooltip(row, plan, column)
        return super().data(index, role)

    def _colour(self, plan: FitPlan | None, column: int) -> QColor | None:
        palette = self._theme.palette
        if column == VERDICT and plan is not None:
            return QColor(getattr(palette, verdict_look(plan).tone))
        muted = column in {BITS, QUALITY} or (column == VERDICT and plan is None)
        return QColor(palette.text_muted) if muted else None

    def _icon(self, row: VariantRow, plan: FitPlan | None, column: int) -> object:
        palette = self._theme.palette
        if column == VERDICT and plan is not None:
            look = verdict_look(plan)
            return self._theme.icon(look.icon, getattr(palette, look.tone))
        if column == DOWNLOAD:
            colour = palette.accent if row.repository else palette.border_strong
            return self._theme.icon("download", colour)
        return None

    def _on_reset(self) -> None:
        self.show_others(self._variants.rows)

    def _on_planned(self, number: int) -> None:
        self.dataChanged.emit(self.index(number, VERDICT), self.index(number, DECODE))


class VariantTable(QTableView):
    """One row a variant; the arrow keys select.

    Signals:
        download_wished: number (int) of the row whose download sign was clicked.
    """

    download_wished = Signal(int)

    def __init__(
        self, theme: Theme, variants: VariantsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._variants = variants
        self.setModel(VariantTableModel(theme, variants))
        make_plain(self, theme, "Variants", _ROW_HEIGHT)
        self._set_columns()
        self.clicked.connect(self._on_clicked)
        self.selectionModel().currentRowChanged.connect(self._on_current)
        self.verticalScrollBar().valueChanged.connect(self._tell_in_sight)
        variants.reset.connect(self._on_reset)
        variants.selected_changed.connect(self._on_selected)
        theme.changed.connect(self.viewport().update)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out what there is no room for: first the note on quality, then the bits."""
        super().resizeEvent(event)
        room = self.viewport().width() - sum(_WIDTHS.values())
        has_quality = room >= _LEAST_QUALITY
        self.setColumnHidden(QUALITY, not has_quality)
        for column in (BITS, LONGEST):
            self.setColumnHidden(column, room < 0)
            room += _WIDTHS[column] if room < 0 else 0
        header = self.horizontalHeader()
        header.resizeSection(QUALITY, room)
        header.resizeSection(VERDICT, _WIDTHS[VERDICT] + (0 if has_quality else max(0, room)))
        self._tell_in_sight()

    def _set_columns(self) -> None:
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(24)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)

    def _on_reset(self) -> None:
        self._on_selected()
        self._tell_in_sight()

    def _on_selected(self) -> None:
        number = self._variants.selected
        if number >= 0 and self.currentIndex().row() != number:
            index = self.model().index(number, NAME)
            self.setCurrentIndex(index)
            self.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)

    def _on_current(self, current: QModelIndex) -> None:
        if current.isValid():
            self._variants.select(current.row())

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.column() == DOWNLOAD and self._variants.rows[index.row()].repository:
            self.download_wished.emit(index.row())

    def _tell_in_sight(self) -> None:
        first = max(0, self.rowAt(0))
        count = self.viewport().height() // _ROW_HEIGHT + 2
        self._variants.set_in_sight(range(first, first + count))


def _text(row: VariantRow, plan: FitPlan | None, column: int) -> str:
    if column == NAME:
        return row.name
    if column == SIZE:
        return bytes_text(row.size_bytes)
    if column == BITS:
        return f"{row.bits_per_weight:.2f}" if row.bits_per_weight else "–"
    if column == QUALITY:
        return row.quality
    if plan is None:
        return _text_without_plan(row) if column == VERDICT else ""
    return {
        VERDICT: verdict_look(plan).word,
        LONGEST: context_text(plan.max_context_tokens) if plan.max_context_tokens else "–",
        PREFILL: speed_range(plan.prefill),
        DECODE: speed_range(plan.decode),
    }.get(column, "")


def _text_without_plan(row: VariantRow) -> str:
    return "Not known" if row.variant is None else "…"


def _tooltip(row: VariantRow, plan: FitPlan | None, column: int) -> str:
    if column == DOWNLOAD:
        return download_text(row)
    if column == VERDICT and plan is not None:
        return "\n".join(plan.reasons)
    return f"{row.name}: {row.quality}" if row.quality else row.name


def download_text(row: VariantRow) -> str:
    """What downloading a row does, or why it can't be downloaded."""
    if row.repository is None:
        return row.no_download
    found = "" if row.is_listed else ", if it has this variant"
    return f"Download {row.name} from {row.repository}{found}"

"""The panel of prepared documents: what engines have read and keep, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.units import bytes_pair, bytes_text, tokens_text
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.calm_fields import whole_number
from m1desk.ui.widgets.conversation_rows import date_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.documents import PreparedState
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_prepared import PreparedViewModel

_GIB: Final = 1 << 30
_WHAT: Final = (
    "What a model has read of a set is kept here, so that the next question, also tomorrow, costs "
    "only its own tokens. Deleting one frees its room; the documents would be read again."
)


class PreparedDialog(QDialog):
    """Lists the view model's states; `name_of` gives the name of a set by its id, or ""."""

    def __init__(
        self,
        theme: Theme,
        prepared: PreparedViewModel,
        name_of: Callable[[int], str],
        now: Callable[[], float],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._prepared = prepared
        self._name_of = name_of
        self._now = now
        self._rows: list[PreparedRow] = []
        self.setWindowTitle("Prepared documents")
        self.resize(620, 420)
        self._sum = Label(tone="muted")
        self._nothing = Label(
            "Nothing is prepared yet: ask about a set of documents first.", tone="faint", wraps=True
        )
        self.budget = whole_number("Disk budget for prepared documents", 0, 1 << 20, suffix=" GiB")
        self.budget.setValue(prepared.budget_bytes // _GIB)
        self._column = QVBoxLayout()
        self._lay_out()
        self.budget.valueChanged.connect(lambda gib: prepared.set_budget(gib * _GIB))
        prepared.changed.connect(self._on_changed)
        self._on_changed(prepared.entries)
        prepared.refresh()

    @property
    def rows(self) -> tuple[PreparedRow, ...]:
        """The rows, as they are listed."""
        return tuple(self._rows)

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        what = Label(_WHAT, tone="muted", wraps=True)
        self._column.setContentsMargins(0, 0, metrics.space_s, 0)
        self._column.setSpacing(metrics.space_s)
        self._column.addWidget(self._nothing)
        self._column.addStretch(1)
        inner = QWidget()
        inner.setLayout(self._column)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        label = Label("At most")
        label.setBuddy(self.budget)
        row = QHBoxLayout()
        row.addWidget(self._sum, 1)
        row.addWidget(label)
        row.addWidget(self.budget)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        space = metrics.space_l
        layout.setContentsMargins(space, space, space, space)
        layout.setSpacing(metrics.space_m)
        layout.addWidget(what)
        layout.addWidget(area, 1)
        layout.addLayout(row)
        layout.addWidget(buttons)

    def _on_changed(self, entries: tuple[PreparedState, ...]) -> None:
        for row in self._rows:
            self._column.removeWidget(row)
            row.deleteLater()
        self._rows = []
        for state in entries:
            name = self._name_of(state.set_id) or "A set that is gone"
            row = PreparedRow(self._theme, state, name, date_text(state.last_used, self._now()))
            row.delete_wished.connect(self._prepared.delete)
            self._rows.append(row)
            self._column.insertWidget(len(self._rows), row)
        self._nothing.setVisible(not entries)
        used, budget = self._prepared.size_bytes, self._prepared.budget_bytes
        self._sum.setText(f"{bytes_pair(used, budget)} used")


class PreparedRow(QFrame):
    """One prepared set.

    Signals:
        delete_wished: its name (str).
    """

    delete_wished = Signal(str)

    def __init__(self, theme: Theme, state: PreparedState, name: str, used: str) -> None:
        super().__init__()
        self.setProperty("card", True)
        parts = [
            state.model,
            f"{tokens_text(state.tokens)} tokens",
            bytes_text(state.size_bytes),
            f"used {used}",
        ]
        if not state.is_complete:
            parts.insert(1, "cut off, goes on from here")
        self.text = " · ".join(parts)
        title = ElidedLabel(name, tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        details = ElidedLabel(self.text, tone="muted")
        delete = IconButton(theme, "trash", f"Delete what {state.model} has read of {name}")
        delete.clicked.connect(lambda: self.delete_wished.emit(state.name))
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(title)
        column.addWidget(details)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 8, 8)
        layout.addLayout(column, 1)
        layout.addWidget(delete)

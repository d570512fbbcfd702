"""How a model is wished to run: context length, type of the KV cache, requests at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.widgets.calm_fields import choice, whole_number
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.load_context import ContextField

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.variants import VariantsViewModel

_KV_TYPES: Final = (("f16", "f16"), ("q8_0", "q8_0"), ("q4_0", "q4_0"))
_MOST_PARALLEL: Final = 64


class FitControls(QWidget):
    """Changes the view model's wish; follows where it is changed elsewhere."""

    def __init__(
        self, theme: Theme, variants: VariantsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._variants = variants
        self.context = ContextField(theme)
        self.kv_type = choice("Type of the KV cache", _KV_TYPES)
        self.kv_type.setToolTip("q8_0 takes about half of f16's memory, q4_0 about a quarter.")
        self.parallel = whole_number("Requests served at once", 1, _MOST_PARALLEL)
        self.parallel.setFixedWidth(64)
        self._kv_column = _captioned("KV cache", self.kv_type)
        self._parallel_column = _captioned("Requests", self.parallel)
        self._lay_out(theme)
        self._follow()
        self.context.changed.connect(self._on_changed)
        self.kv_type.currentIndexChanged.connect(self._on_changed)
        self.parallel.valueChanged.connect(self._on_changed)
        variants.wished_changed.connect(self._follow)
        variants.reset.connect(self._on_reset)

    def show_context_only(self, *, alone: bool) -> None:
        """Show the context without what is llama.cpp's alone, or all."""
        self._kv_column.setVisible(not alone)
        self._parallel_column.setVisible(not alone)

    def _lay_out(self, theme: Theme) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_l)
        layout.addWidget(_captioned("Context length", self.context), 1)
        layout.addWidget(self._kv_column)
        layout.addWidget(self._parallel_column)

    def _on_changed(self) -> None:
        self._variants.wish(
            replace(
                self._variants.wished,
                context_tokens=self.context.tokens,
                kv_type=self.kv_type.currentData(),
                parallel=self.parallel.value(),
            )
        )

    def _follow(self) -> None:
        wished = self._variants.wished
        for control in (self.context, self.kv_type, self.parallel):
            control.blockSignals(True)  # the wish is known: only its look changes
        self.context.set_tokens(wished.context_tokens)
        self.kv_type.setCurrentIndex(self.kv_type.findData(wished.kv_type))
        self.parallel.setValue(wished.parallel)
        for control in (self.context, self.kv_type, self.parallel):
            control.blockSignals(False)

    def _on_reset(self) -> None:
        """Offer as much context as the model was made for."""
        known = [
            row.variant.shape.trained_context_tokens for row in self._variants.rows if row.variant
        ]
        if known:
            self.context.set_most(max(known))


def _captioned(name: str, control: QWidget) -> QWidget:
    caption = Label(name, tone="caption")
    caption.setBuddy(control)
    box = QWidget()
    column = QVBoxLayout(box)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    column.addWidget(caption)
    column.addWidget(control, alignment=Qt.AlignmentFlag.AlignTop)
    column.addStretch(1)
    return box

"""A button that asks the engine itself, and what it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from m1desk.fit import size_text
from m1desk.ui.theme import set_look
from m1desk.ui.viewmodels.variants_source import has_header
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.fit import ExactNeeds, Variant, Wished
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.fit_panel_exact import ExactViewModel

_HINT = "The engine counts what it would take, from the table of tensors alone: some seconds."


class ExactLine(QWidget):
    """Follows the view model's answer."""

    def __init__(self, theme: Theme, exact: ExactViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._exact = exact
        self.button = QPushButton("Ask the engine")
        self._answer = Label(wraps=True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_m)
        layout.addWidget(self.button, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._answer, 1)
        self._known = False
        self.button.clicked.connect(exact.ask)
        exact.changed.connect(self._on_changed)

    @property
    def answer_text(self) -> str:
        """What is written beside the button."""
        return self._answer.text()

    def show_wish(self, variant: Variant | None, wished: Wished) -> None:
        """Say what would be asked about."""
        self._known = variant is not None and has_header(variant)
        self._exact.show(variant, wished)
        self._on_changed()

    def _on_changed(self) -> None:
        answer = self._exact.answer
        self.button.setEnabled(self._known and answer.state != "running")
        self.button.setToolTip(_HINT if self._known else "The table of its tensors is not known.")
        set_look(self._answer, "tone", "danger" if answer.state == "failed" else "muted")
        if answer.state == "running":
            self._answer.setText("The engine is asked…")
        elif answer.error is not None:
            self._answer.setText(str(answer.error))
        elif answer.found is not None:
            self._answer.setText(_needs_text(answer.found))
        else:
            self._answer.setText(_HINT if self._known else self.button.toolTip())


def _needs_text(found: ExactNeeds) -> str:
    needs = found.needs
    return (
        f"The engine's own account: {size_text(needs.total)} in all: weights "
        f"{size_text(needs.weights)}, KV cache {size_text(needs.kv_cache)}, recurrent state "
        f"{size_text(needs.state)}, compute {size_text(needs.compute)}."
    )

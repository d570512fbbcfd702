"""What the dialogs that load a model share: its name and facts, the problem, the button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.theme import set_look
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label, Paragraph
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from m1desk.ui.theme import Theme

_WIDTH: Final = 640
_GIVING_WAY: Final = 2
"""So many facts, the first ones, are shortened where all of them don't fit."""


class LoadFrame(QDialog):
    """A dialog as high as what it shows; a subclass adds to `middle` and makes the settings.

    Signals:
        load_wished: what `chosen` gave.
        other_file_wished: another model is to be picked.
    """

    load_wished = Signal(object)
    other_file_wished = Signal()

    def __init__(self, theme: Theme, first_field: QWidget, parent: QWidget | None = None) -> None:
        """Make it empty; `first_field` has the focus when it opens."""
        super().__init__(parent)
        self._theme = theme
        self._first_field = first_field
        self.setWindowTitle("Load model")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._title = ElidedLabel(tone="title", mode=Qt.TextElideMode.ElideMiddle)
        self._place = ElidedLabel(tone="caption", mode=Qt.TextElideMode.ElideMiddle)
        self._facts = QGridLayout()
        self._facts_card = QFrame()
        self.middle = QVBoxLayout()
        self._problem = Paragraph()
        self._load = QPushButton("Load")
        self._column = QVBoxLayout(self)
        self._lay_out()
        self.setFixedWidth(_WIDTH)

    @property
    def load_button(self) -> QPushButton:
        """The button that loads; its tooltip says why it is disabled."""
        return self._load

    @property
    def problem_text(self) -> str:
        """What prevents loading, "" when nothing does."""
        return self._problem.text()

    def chosen(self) -> object | None:
        """What is to be loaded, and how; None while that is not known."""
        raise NotImplementedError

    def name_model(self, title: str, path: Path) -> None:
        """Say which model it is about, and where it lies."""
        self._title.set_text(title)
        self._place.set_text(str(path))

    def show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show what the model says of itself; nothing hides the card."""
        while (item := self._facts.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for column, (name, value) in enumerate(facts):
            caption = Label(name, tone="caption")
            kind = ElidedLabel if column < _GIVING_WAY else Label
            label = kind(value, tone="strong")
            label.setAccessibleName(f"{name}: {value}")
            self._facts.addWidget(caption, 0, column)
            self._facts.addWidget(label, 1, column)
        self._facts_card.setVisible(bool(facts))

    def show_problem(self, text: str, *, is_wait: bool = False) -> None:
        """Say what prevents loading, or with `is_wait` what is waited for; "" allows it."""
        self._problem.setText(text)
        self._problem.setVisible(bool(text))
        set_look(self._problem, "tone", "muted" if is_wait else "danger")
        self._load.setEnabled(not text)
        self._load.setToolTip(plain_tip(text))
        self._load.setAccessibleDescription(text)

    def event(self, event: QEvent) -> bool:
        """Follow what is shown: after the children were laid out anew, and when it opens."""
        done = super().event(event)
        if event.type() in {QEvent.Type.LayoutRequest, QEvent.Type.Show}:
            self._fit()
        if event.type() == QEvent.Type.Show:
            self._first_field.setFocus()
        return done

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        names = QVBoxLayout()
        names.setSpacing(metrics.space_xs)
        names.addWidget(self._title)
        names.addWidget(self._place)
        other = QPushButton("Other file…")
        other.setAutoDefault(False)
        other.clicked.connect(self.other_file_wished)
        head.setSpacing(metrics.space_l)
        head.addLayout(names, 1)
        head.addWidget(other, alignment=Qt.AlignmentFlag.AlignTop)
        self._facts_card.setProperty("card", True)
        self._facts_card.setLayout(self._facts)
        self._facts.setContentsMargins(
            metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m
        )
        self._facts.setHorizontalSpacing(metrics.space_l)
        self._facts.setVerticalSpacing(metrics.space_xs)
        layout = self._column
        layout.setContentsMargins(
            metrics.space_xl, metrics.space_xl, metrics.space_xl, metrics.space_l
        )
        for box in (layout, self.middle):
            box.setSpacing(metrics.space_l)
        layout.addLayout(head)
        layout.addWidget(self._facts_card)
        layout.addLayout(self.middle)
        layout.addWidget(self._problem)
        layout.addWidget(self._buttons())

    def _buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox()
        buttons.addButton(self._load, QDialogButtonBox.ButtonRole.AcceptRole)
        cancel = buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        cancel.setAutoDefault(False)
        self._load.setProperty("kind", "primary")
        self._load.setDefault(True)
        buttons.accepted.connect(self._on_load)
        buttons.rejected.connect(self.reject)
        return buttons

    def _fit(self) -> None:
        """Take the height that the wrapped texts need at this width; Qt's own guess is short."""
        wraps = self._column.hasHeightForWidth()
        height = (
            self._column.totalHeightForWidth(_WIDTH) if wraps else self._column.sizeHint().height()
        )
        if height != self.height():
            self.setFixedHeight(height)

    def _on_load(self) -> None:
        settings = self.chosen() if self._load.isEnabled() else None
        if settings is not None:
            self.accept()
            self.load_wished.emit(settings)

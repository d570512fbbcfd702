"""The system prompt and the sampling parameters of one conversation; empty means default."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from m1desk.engines.turn import SamplingParameters
from m1desk.ui.theme import set_look
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from PySide6.QtGui import QFocusEvent

    from m1desk.ui.theme import Theme

_TYPING_MS: Final = 600
_LARGEST_INT: Final = 2_147_483_647


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A row: the field of SamplingParameters, its name, what it does, and its range."""

    field: str
    label: str
    help: str
    low: float
    high: float
    whole: bool = False


PARAMETERS: Final = (
    _Parameter(
        "temperature",
        "Temperature",
        "How freely the next word is chosen: 0 always takes the likeliest.",
        0,
        5,
    ),
    _Parameter(
        "top_p", "Top P", "Choose among the likeliest tokens that together have this share.", 0, 1
    ),
    _Parameter(
        "top_k", "Top K", "Choose among this many of the likeliest tokens; 0 for all.", 0, 1e6, True
    ),
    _Parameter(
        "min_p", "Min P", "Leave out tokens less likely than this share of the likeliest.", 0, 1
    ),
    _Parameter(
        "repeat_penalty", "Repeat penalty", "Above 1, words already used become less likely.", 0, 5
    ),
    _Parameter("max_tokens", "Max tokens", "Longest answer, in tokens.", 1, _LARGEST_INT, True),
    _Parameter("seed", "Seed", "The same seed repeats the same choices.", 0, _LARGEST_INT, True),
)


class SamplingPanel(QFrame):
    """Edits what one conversation sends along with every question.

    Signals:
        system_prompt_changed: the new text, a moment after the last key.
        sampling_changed: the new SamplingParameters.
        close_wished: the panel is to be hidden.
    """

    system_prompt_changed = Signal(str)
    sampling_changed = Signal(object)
    close_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._sampling = SamplingParameters()
        self._filling = False
        self.setProperty("panel", True)
        self.prompt = _TextField("The model's own, or none")
        self.stop_field = _TextField("One a line")
        self._fields: dict[str, _NumberField] = {}
        self._labels: dict[str, Label] = {}
        self._reset = QPushButton("Reset to defaults")
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._lay_out()
        self._connect()
        self.set_values("", SamplingParameters())

    # -- what is shown ----------------------------------------------------------------------

    def set_values(self, system_prompt: str, sampling: SamplingParameters) -> None:
        """Show another conversation's values."""
        self._typing.stop()
        self._filling = True
        if self.prompt.toPlainText() != system_prompt:
            self.prompt.setPlainText(system_prompt)
        self.stop_field.setPlainText("\n".join(sampling.stop))
        for name, field in self._fields.items():
            field.set_value(getattr(sampling, name))
        self._sampling = sampling
        self._filling = False
        self._mark_defaults()

    @property
    def sampling(self) -> SamplingParameters:
        """The parameters as they are set; None where the default rules."""
        return self._sampling

    def field(self, name: str) -> QLineEdit:
        """Return the field of a parameter, by its name in SamplingParameters."""
        return self._fields[name]

    def is_default(self, name: str) -> bool:
        """Whether a parameter is left to the engine or the model."""
        return getattr(self._sampling, name) is None

    # -- making -----------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        title = Label("Parameters", tone="strong")
        self._close = IconButton(self._theme, "close", "Hide parameters")
        head.addWidget(title, 1)
        head.addWidget(self._close)
        inside = QWidget()
        column = QVBoxLayout(inside)
        side = metrics.space_l
        column.setContentsMargins(side, metrics.space_m, side, side)
        column.setSpacing(metrics.space_s)
        column.addLayout(head)
        column.addWidget(Label("System prompt", tone="caption"))
        self.prompt.setAccessibleName("System prompt")
        self.prompt.setFixedHeight(120)
        column.addWidget(self.prompt)
        column.addSpacing(metrics.space_s)
        column.addWidget(Label("Sampling", tone="caption"))
        column.addLayout(self._make_grid())
        column.addSpacing(metrics.space_s)
        column.addWidget(Label("Stop sequences", tone="caption"))
        self.stop_field.setAccessibleName("Stop sequences, one a line")
        self.stop_field.setFixedHeight(56)
        column.addWidget(self.stop_field)
        note = Label(
            "Empty fields use the model's default. They belong to this chat alone.",
            tone="caption",
            wraps=True,
        )
        column.addWidget(note)
        column.addWidget(self._reset)
        column.addStretch(1)
        self._wrap(inside)

    def _wrap(self, inside: QWidget) -> None:
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def _make_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        for row, parameter in enumerate(PARAMETERS):
            label = Label(parameter.label)
            label.setToolTip(parameter.help)
            field = _NumberField(parameter)
            label.setBuddy(field)
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)
            self._labels[parameter.field] = label
            self._fields[parameter.field] = field
        grid.setColumnStretch(0, 1)
        return grid

    def _connect(self) -> None:
        self._close.clicked.connect(self.close_wished)
        self._reset.clicked.connect(self._on_reset)
        self.prompt.textChanged.connect(self._on_prompt_typed)
        self.prompt.left.connect(self._tell_prompt)
        self._typing.timeout.connect(self._tell_prompt)
        self.stop_field.left.connect(self._on_edited)
        for field in self._fields.values():
            field.editingFinished.connect(self._on_edited)

    # -- slots ------------------------------------------------------------------------------

    def _on_prompt_typed(self) -> None:
        if not self._filling:
            self._typing.start()

    def _tell_prompt(self) -> None:
        self._typing.stop()
        self.system_prompt_changed.emit(self.prompt.toPlainText())

    def _on_edited(self) -> None:
        stops = tuple(line for line in self.stop_field.toPlainText().split("\n") if line)
        values = {name: field.value() for name, field in self._fields.items()}
        sampling = replace(self._sampling, stop=stops, **values)  # type: ignore[arg-type]
        if sampling != self._sampling:
            self._sampling = sampling
            self._mark_defaults()
            self.sampling_changed.emit(sampling)

    def _on_reset(self) -> None:
        self.set_values(self.prompt.toPlainText(), SamplingParameters())
        self.sampling_changed.emit(self._sampling)

    def _mark_defaults(self) -> None:
        for name, label in self._labels.items():
            set_look(label, "tone", "muted" if self.is_default(name) else "strong")
        self._reset.setEnabled(self._sampling != SamplingParameters())


class _NumberField(QLineEdit):
    """A number within a range, or nothing for the default."""

    def __init__(self, parameter: _Parameter) -> None:
        super().__init__()
        self._parameter = parameter
        self.setPlaceholderText("Default")
        self.setToolTip(parameter.help)
        self.setAccessibleName(parameter.label)
        self.setAccessibleDescription(parameter.help)
        self.setFixedWidth(104)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setValidator(_Validator(parameter, self))
        self._last = ""

    def set_value(self, value: float | None) -> None:
        self._last = "" if value is None else _number_text(value)
        self.setText(self._last)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Take back what is no number in the range."""
        if self.hasAcceptableInput():
            self._last = self.text()
        else:
            self.setText(self._last)
        super().focusOutEvent(event)

    def value(self) -> float | int | None:
        """Return the number, or None for the default; what is out of range counts as none."""
        text = self.text().strip()
        if not text or not self.hasAcceptableInput():
            return None
        return int(text) if self._parameter.whole else float(text)


class _Validator(QValidator):
    """Takes a number within the range, written with a point, or nothing at all."""

    def __init__(self, parameter: _Parameter, parent: QLineEdit) -> None:
        super().__init__(parent)
        self._parameter = parameter

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Say whether the text is, may become, or can't become such a number."""
        return self._state(text.strip()), text, position

    def _state(self, text: str) -> QValidator.State:
        form = r"\d*" if self._parameter.whole else r"\d*\.?\d{0,4}"
        if not text:
            return QValidator.State.Acceptable
        if not re.fullmatch(form, text) or not text.isascii():
            return QValidator.State.Invalid
        if text == "." or float(text) < self._parameter.low:
            return QValidator.State.Intermediate
        fits = float(text) <= self._parameter.high
        return QValidator.State.Acceptable if fits else QValidator.State.Invalid


def _number_text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


class _TextField(QPlainTextEdit):
    left = Signal()

    def __init__(self, placeholder: str) -> None:
        super().__init__()
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()

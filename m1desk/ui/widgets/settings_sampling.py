"""The sampling that new conversations begin with; each value may be left to the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from m1desk.ui.widgets.calm_fields import decimal_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtWidgets import QDoubleSpinBox

    from m1desk.ui.widgets.settings_card import SettingsCard

_WIDTH: Final = 200


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A field of SamplingParameters and how it is shown."""

    key: str
    name: str
    hint: str
    least: float
    most: float
    step: float
    digits: int


_PARAMETERS: Final = (
    _Parameter("temperature", "Temperature", "Higher is more varied. M1: 1.0.", 0, 2, 0.05, 2),
    _Parameter(
        "top_p", "Top P", "Keeps the likeliest tokens up to this share. M1: 0.95.", 0, 1, 0.01, 2
    ),
    _Parameter(
        "top_k", "Top K", "Keeps this many of the likeliest tokens; 0 keeps all.", 0, 1000, 1, 0
    ),
    _Parameter(
        "min_p", "Min P", "Drops tokens below this share of the likeliest one.", 0, 1, 0.01, 2
    ),
    _Parameter(
        "repeat_penalty", "Repeat penalty", "Above 1.0 discourages repeating.", 0.5, 2, 0.01, 2
    ),
    _Parameter(
        "max_tokens",
        "Longest answer",
        "In tokens; an answer ends there at the latest.",
        1,
        1_000_000,
        256,
        0,
    ),
)


class SamplingFields(QWidget):
    """Owns the fields it puts into a card; the lowest step of each means "model's default".

    Signals:
        changed: the values that were set, by the names of SamplingParameters (dict).
    """

    changed = Signal(object)

    def __init__(self, card: SettingsCard, values: Mapping[str, object]) -> None:
        super().__init__(card)
        self.hide()
        self._fields = {entry.key: _field(entry, values.get(entry.key)) for entry in _PARAMETERS}
        for entry in _PARAMETERS:
            field = self._fields[entry.key]
            field.valueChanged.connect(self._on_changed)
            card.add_row(entry.name, entry.hint, field)

    def values(self) -> dict[str, object]:
        """Give what is set; what is left to the model is absent."""
        found: dict[str, object] = {}
        for entry in _PARAMETERS:
            field = self._fields[entry.key]
            if field.value() > field.minimum():
                value = round(field.value(), entry.digits)
                found[entry.key] = value if entry.digits else int(value)
        return found

    def _on_changed(self) -> None:
        self.changed.emit(self.values())


def _field(entry: _Parameter, value: object) -> QDoubleSpinBox:
    """Make a field whose minimum lies one step below the least value and stands for "default"."""
    field = decimal_number(
        entry.name,
        entry.least - entry.step,
        entry.most,
        step=entry.step,
        digits=entry.digits,
    )
    field.setSpecialValueText("Model's default")
    field.setFixedWidth(_WIDTH)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    field.setValue(float(value) if is_number else field.minimum())  # type: ignore[arg-type]
    return field

"""Number fields without arrows: typed, or changed by the arrow keys and the wheel."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSpinBox

_MARGIN: Final = 8


def whole_number(name: str, least: int, most: int, *, step: int = 1, suffix: str = "") -> QSpinBox:
    """Make a field for a whole number; `name` is told to screen readers."""
    field = QSpinBox()
    field.setRange(least, most)
    field.setSingleStep(step)
    field.setSuffix(suffix)
    _finish(field, name)
    return field


def decimal_number(
    name: str, least: float, most: float, *, step: float, digits: int
) -> QDoubleSpinBox:
    """Make a field for a number with `digits` after the point."""
    field = QDoubleSpinBox()
    field.setDecimals(digits)
    field.setRange(least, most)
    field.setSingleStep(step)
    _finish(field, name)
    return field


def _finish(field: QAbstractSpinBox, name: str) -> None:
    field.setAccessibleName(name)
    field.setGroupSeparatorShown(True)
    field.setKeyboardTracking(False)
    # The text field inside would take the look of one that stands alone, frame in frame.
    # NoButtons would be the plain way to have no arrows; with a stylesheet it leaves no room for
    # the text (Qt 6.11), so the stylesheet makes the arrows 0 wide.
    field.lineEdit().setProperty("bare", True)
    field.lineEdit().setTextMargins(_MARGIN, 0, _MARGIN, 0)

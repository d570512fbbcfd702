"""Fields that the wheel changes only when they have the focus, so that scrolling past is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTime
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSpinBox,
    QTimeEdit,
)

from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PySide6.QtGui import QWheelEvent

_MARGIN: Final = 8


class _CalmSpinBox(QSpinBox):
    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _CalmDoubleSpinBox(QDoubleSpinBox):
    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _CalmTimeEdit(QTimeEdit):
    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _CalmComboBox(QComboBox):
    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


def whole_number(name: str, least: int, most: int, *, step: int = 1, suffix: str = "") -> QSpinBox:
    """Make a field for a whole number; `name` is told to screen readers."""
    field = _CalmSpinBox()
    field.setRange(least, most)
    field.setSingleStep(step)
    field.setSuffix(suffix)
    _finish(field, name)
    return field


def decimal_number(
    name: str, least: float, most: float, *, step: float, digits: int
) -> QDoubleSpinBox:
    """Make a field for a number with `digits` after the point."""
    field = _CalmDoubleSpinBox()
    field.setDecimals(digits)
    field.setRange(least, most)
    field.setSingleStep(step)
    _finish(field, name)
    return field


def time_of_day(name: str, hour: int, minute: int) -> QTimeEdit:
    """Make a field for a time of the day."""
    field = _CalmTimeEdit(QTime(hour, minute))
    field.setDisplayFormat("HH:mm")
    _finish(field, name)
    return field


def choice(name: str, options: Iterable[tuple[object, str]]) -> QComboBox:
    """Make a field that offers values by their texts."""
    field = _CalmComboBox()
    field.setAccessibleName(name)
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    for value, text in options:
        field.addItem(text, value)
    return field


def add_choice(field: QComboBox, value: object, text: str, refusal: str) -> None:
    """Offer one value more; with a `refusal` it can't be chosen and its tooltip says why."""
    field.addItem(text, value)
    row, model = field.count() - 1, field.model()
    assert isinstance(model, QStandardItemModel)  # noqa: S101 - what a QComboBox has
    model.item(row).setEnabled(not refusal)
    field.setItemData(row, plain_tip(refusal), Qt.ItemDataRole.ToolTipRole)


def text_line(placeholder: str, width: int) -> QLineEdit:
    """Make a field for a line of text, `width` pixels wide; a row names it."""
    field = QLineEdit()
    field.setPlaceholderText(placeholder)
    field.setFixedWidth(width)
    return field


def free_choice(
    name: str, options: Iterable[tuple[object, str]], placeholder: str
) -> tuple[QComboBox, QLineEdit]:
    """Make a field that offers texts and takes any other; and the line in it that is typed in."""
    field = choice(name, options)
    line = QLineEdit()
    line.setAccessibleName(name)
    line.setProperty("bare", True)  # the frame is the box's
    field.setEditable(True)
    field.setLineEdit(line)
    line.setPlaceholderText(placeholder)
    field.setEditText("")
    return field, line


def _finish(field: QAbstractSpinBox, name: str) -> None:
    field.setAccessibleName(name)
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.setGroupSeparatorShown(True)
    field.setKeyboardTracking(False)
    # The text field inside would take the look of one that stands alone, frame in frame.
    # NoButtons would be the plain way to have no arrows; with a stylesheet it leaves no room for
    # the text (Qt 6.11), so the stylesheet makes the arrows 0 wide.
    field.lineEdit().setProperty("bare", True)
    field.lineEdit().setTextMargins(_MARGIN, 0, _MARGIN, 0)

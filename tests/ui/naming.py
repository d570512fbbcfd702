"""Finds what a screen reader could not name."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)


def unnamed_controls(root: QWidget) -> list[QWidget]:
    """Controls that a screen reader could not name."""
    kinds = (QAbstractButton, QLineEdit, QPlainTextEdit, QComboBox, QAbstractSpinBox)
    inner = {spin.findChild(QLineEdit) for spin in root.findChildren(QAbstractSpinBox)}
    return [
        child
        for child in root.findChildren(QWidget)
        if isinstance(child, kinds)
        and child not in inner
        and not child.accessibleName()
        and not (isinstance(child, QAbstractButton) and child.text())
        and not child.objectName().startswith("qt_")
        and not isinstance(child.parent(), QLineEdit)  # Qt's own button that clears it
    ]

"""A label of plain text that wraps, and that can be marked and copied."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSizePolicy


def text_label(tone: str = "", text: str = "") -> QLabel:
    """Make one; `tone` is the stylesheet's name of its look, "" for running text."""
    label = QLabel(text)
    label.setProperty("tone", tone)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def shrinkable(label: QLabel) -> QLabel:
    """Let a label be narrower than its longest word: an address must not widen the page."""
    policy = label.sizePolicy()
    policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
    label.setSizePolicy(policy)
    return label

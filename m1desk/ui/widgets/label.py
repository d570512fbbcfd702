"""Text on the window, shown as it is.

Qt renders what looks like HTML, and names, documents and models bring text in: labels of the window
are these, which do not.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSizePolicy


class Label(QLabel):
    """Plain text; `tone` is the stylesheet's name of its look, "" for running text."""

    def __init__(self, text: str = "", *, tone: str = "", wraps: bool = False) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)
        self.setWordWrap(wraps)
        if tone:
            self.setProperty("tone", tone)


class Paragraph(Label):
    """Plain text that wraps, and that can be marked with the mouse and copied."""

    def __init__(self, text: str = "", *, tone: str = "") -> None:
        super().__init__(text, tone=tone, wraps=True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)


class RichLabel(Label):
    """Text that wraps, with markup: all of it must be ours, for Qt renders it."""

    def __init__(self, text: str = "", *, tone: str = "") -> None:
        super().__init__(text, tone=tone, wraps=True)
        self.setTextFormat(Qt.TextFormat.RichText)


def shrinkable(label: Label) -> Label:
    """Let a label be narrower than its longest word: an address must not widen the page."""
    policy = label.sizePolicy()
    policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
    label.setSizePolicy(policy)
    return label

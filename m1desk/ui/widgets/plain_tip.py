"""Tooltips that show a text as it is, whoever wrote it."""

from __future__ import annotations

from PySide6.QtGui import Qt  # that of QtCore lacks what looks into texts


def plain_tip(text: str) -> str:
    """Make a tooltip of a text that names, documents, models or servers have a part in.

    Qt renders what looks like HTML: a file's name could draw headings and pictures into it.
    """
    if not Qt.mightBeRichText(text):
        return text
    return Qt.convertFromPlainText(text, Qt.WhiteSpaceMode.WhiteSpaceNormal)

"""The quotes of an answer as a list: what each says, where it stands, and whether it was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.citation_marks import ICONS, WORDS, chip_details, misplaced_text, tone_of
from m1desk.ui.widgets.document_words import count_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent, QMouseEvent

    from m1desk.documents import CheckedAnswer, Citation
    from m1desk.ui.theme import Theme

_ICON: Final = 14  # pixels


class QuoteList(QWidget):
    """A summary that opens to a row for each quote; open from the start where one needs a look.

    Signals:
        chosen: number (int, from 1) of the citation to be shown in the viewer.
    """

    chosen = Signal(int)

    def __init__(self, theme: Theme, checked: CheckedAnswer) -> None:
        super().__init__()
        self._theme = theme
        self._checked = checked
        self._fold = IconButton(theme, "chevron-right", "Show or hide the quotes")
        self._fold.clicked.connect(self._on_clicked)
        self._fold.setVisible(bool(checked.citations))
        self._title = ElidedLabel(summary(checked), tone="caption")
        self._rows: QWidget | None = None  # made when they are first to be seen
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_xs)
        head = QHBoxLayout()
        head.setSpacing(theme.metrics.space_xs)
        head.addWidget(self._fold)
        head.addWidget(self._title, 1)
        layout.addLayout(head)
        self._open = any(c.status != "verified" or c.is_misplaced for c in checked.citations)
        self._show()

    @property
    def text(self) -> str:
        """The summary."""
        return self._title.whole_text

    def _make_rows(self) -> QWidget:
        rows = QWidget()
        column = QVBoxLayout(rows)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for number, citation in enumerate(self._checked.citations, 1):
            row = QuoteRow(self._theme, number, citation)
            row.chosen.connect(self.chosen)
            column.addWidget(row)
        return rows

    def _on_clicked(self) -> None:
        self._open = not self._open
        self._show()

    def _show(self) -> None:
        if self._open and self._rows is None:
            self._rows = self._make_rows()
            self._layout.addWidget(self._rows)
        if self._rows is not None:
            self._rows.setVisible(self._open)
        self._fold.set_icon("chevron-down" if self._open else "chevron-right")


class QuoteRow(QWidget):
    """One quote; a click or Enter shows it in the viewer.

    Signals:
        chosen: its number (int, from 1).
    """

    chosen = Signal(int)

    def __init__(self, theme: Theme, number: int, citation: Citation) -> None:
        super().__init__()
        self._theme = theme
        self._number = number
        self._citation = citation
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(f"Quote {number}: {WORDS[citation.status]}. {citation.quote}")
        details = f"{chip_details(citation)}\n\n“{citation.quote}”"
        says = f"The page says: {citation.passage}" if citation.passage else ""
        if says:
            details += f"\n\n{says}"
        self.setToolTip(plain_tip(details))
        self._icon = Label()
        status = Label(f"{number} · {_status(citation)}", tone=tone_of(citation))
        quote = ElidedLabel(f"“{' '.join(citation.quote.split())}”", tone="muted")
        quote.set_detail(details)
        place = ElidedLabel(_place(citation), tone="faint", mode=Qt.TextElideMode.ElideMiddle)
        place.set_detail(details)
        place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        place.setMaximumWidth(300)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 3, 4, 3)
        column.setSpacing(2)
        row = QHBoxLayout()
        row.setSpacing(theme.metrics.space_s)
        column.addLayout(row)
        row.addWidget(self._icon)
        row.addWidget(status)
        row.addWidget(quote, 3)
        row.addWidget(place, 1)
        if says:
            passage = Label(says, tone="faint", wraps=True)
            passage.setContentsMargins(_ICON + theme.metrics.space_s, 0, 0, 2)
            column.addWidget(passage)
        self._tint()
        theme.changed.connect(self._tint)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Show the quote in the viewer."""
        super().mouseReleaseEvent(event)
        if self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self._number)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Show the quote in the viewer."""
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}:
            self.chosen.emit(self._number)
        else:
            super().keyPressEvent(event)

    def _tint(self) -> None:
        colour = getattr(self._theme.palette, tone_of(self._citation))
        icon = ICONS[self._citation.status]
        self._icon.setPixmap(icon_pixmap(icon, colour, _ICON, self.devicePixelRatioF()))


def summary(checked: CheckedAnswer) -> str:
    """Write how many quotes there are, how they fared, and how many statements have none."""
    count = len(checked.citations)
    parts = [f"{checked.count(s):,} {word}" for s, word in WORDS.items() if checked.count(s)]
    misplaced = sum(one.is_misplaced for one in checked.citations)
    if misplaced:
        parts.append(f"{misplaced:,} on another page than the answer says")
    text = f"{count_text(count, 'quote')}: {', '.join(parts)}" if count else "No quotes"
    if checked.unquoted:
        text += f" · {count_text(len(checked.unquoted), 'statement')} without a quote"
    return text


def _status(citation: Citation) -> str:
    word = WORDS[citation.status]
    if citation.status == "approximate":
        word = f"{citation.score:.0%} alike"
    return f"{word}, but {misplaced_text(citation)}" if citation.is_misplaced else word


def _place(citation: Citation) -> str:
    if not citation.file:
        return "no page named"
    return f"{citation.file} p.{citation.page}"

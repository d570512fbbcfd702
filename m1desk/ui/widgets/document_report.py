"""What became of one file: its pages, why some are missing, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.document_words import KINDS, OUTCOMES, report_lines
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.documents import SetFile
    from m1desk.ui.theme import Theme

_PROBLEMS_SHOWN: Final = 12


class DocumentReport(QFrame):
    """Shows the extraction report of a file.

    Signals:
        open_wished: the SetFile is to be opened in the viewer.
        close_wished: the report is to go away.
    """

    open_wished = Signal(object)
    close_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._file: SetFile | None = None
        self.setProperty("card", True)
        self._icon = Label()
        self._name = ElidedLabel(tone="strong", mode=Qt.TextElideMode.ElideMiddle)
        self._text = Paragraph(tone="muted")
        self._text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._open = QPushButton("Show text")
        self._open.setProperty("kind", "ghost")
        close = IconButton(theme, "close", "Close the report")
        self._open.clicked.connect(lambda: self.open_wished.emit(self._file))
        close.clicked.connect(self.close_wished)
        self._lay_out(close)
        theme.changed.connect(self._tint)

    @property
    def text(self) -> str:
        """All that is said."""
        return self._text.text()

    def show_file(self, file: SetFile) -> None:
        """Show what became of a file."""
        self._file = file
        report = file.report
        word = OUTCOMES[report.outcome][0]
        self._name.set_text(f"{report.name} — {word.lower()}")
        lines = []
        if report.problem is not None:
            lines += [report.problem.what, report.problem.why, report.problem.todo]
        lines += [*report_lines(report), f"{KINDS[report.kind]} · {report.path}"]
        lines += [f"Page {one.number}: {one.why}" for one in report.page_problems[:_PROBLEMS_SHOWN]]
        more = report.pages_failed + report.pages_scanned - _PROBLEMS_SHOWN
        if report.page_problems and more > 0:
            lines.append(f"… and {more:,} more pages.")
        lines += list(report.notes)
        self._text.setText("\n".join(line for line in lines if line))
        self._open.setVisible(file.is_used)
        self._tint()

    def _lay_out(self, close: QWidget) -> None:
        metrics = self._theme.metrics
        head = QHBoxLayout()
        head.setSpacing(metrics.space_s)
        head.addWidget(self._icon)
        head.addWidget(self._name, 1)
        head.addWidget(self._open)
        head.addWidget(close)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.viewport().setAutoFillBackground(False)
        area.setWidget(self._text)
        self._text.setAutoFillBackground(False)
        layout = QVBoxLayout(self)
        space = metrics.space_s
        layout.setContentsMargins(metrics.space_m, space, space, space)
        layout.setSpacing(metrics.space_xs)
        layout.addLayout(head)
        layout.addWidget(area, 1)

    def _tint(self) -> None:
        if self._file is not None:
            _, icon, tone = OUTCOMES[self._file.report.outcome]
            colour = getattr(self._theme.palette, tone)
            self._icon.setPixmap(icon_pixmap(icon, colour, 16, self.devicePixelRatioF()))

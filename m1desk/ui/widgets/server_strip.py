"""The strip above a field to write in: which server answers, before anything is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from m1desk.engines import ServerInUse
    from m1desk.ui.theme import Theme

_SILENT: Final = "It does not say how far it has read."


class ServerStrip(QWidget):
    """Seen only while a server answers; `sent` says what goes there, and when.

    Signals:
        back_wished: this machine is to answer again.
    """

    back_wished = Signal()

    def __init__(self, theme: Theme, sent: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._sent = sent
        self._frame = QFrame()
        self._frame.setProperty("found", True)
        self._icon = Label()
        self._who = ElidedLabel(tone="strong")
        self._lacks = Paragraph(tone="muted")
        self._back = QPushButton("Back to this machine")
        self._back.clicked.connect(self.back_wished)
        self._lay_out()
        self._tint()
        theme.changed.connect(self._tint)
        self.hide()

    @property
    def text(self) -> str:
        """Who answers."""
        return self._who.whole_text

    @property
    def details(self) -> str:
        """What is sent there, and what the server can't do."""
        return self._lacks.text()

    def show_server(self, server: ServerInUse | None) -> None:
        """Say whether this server answers, or nothing while this machine does."""
        self.setVisible(server is not None)
        if server is not None:
            answers = "has stopped answering" if server.is_silent else "answers"
            self._who.set_text(f"{server.name} {answers}: {server.address}")
            silent = "" if server.tells_progress else _SILENT
            self._lacks.setText(f"{self._sent} {silent}".strip())
            self._lacks.setToolTip("\n".join(server.missing))
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the height that the text needs at this width: a low page would squeeze it."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        layout = self.layout()
        if layout is not None:
            self.setMinimumHeight(max(0, layout.heightForWidth(self.width())))

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self.setMaximumWidth(metrics.text_column + 2 * metrics.space_l)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self._who)
        texts.addWidget(self._lacks)
        inner = QHBoxLayout(self._frame)
        inner.setContentsMargins(metrics.space_m, metrics.space_s, metrics.space_s, metrics.space_s)
        inner.setSpacing(metrics.space_m)
        inner.addWidget(self._icon)
        inner.addLayout(texts, 1)
        inner.addWidget(self._back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, metrics.space_s)
        layout.addWidget(self._frame)

    def _tint(self) -> None:
        colour = self._theme.palette.accent
        self._icon.setPixmap(icon_pixmap("server", colour, 20, self.devicePixelRatioF()))

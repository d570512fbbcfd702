"""What the Documents page shows without a set, or in an empty one: what belongs here, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from m1desk.ui.widgets.empty_state import EmptyState

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

    from m1desk.ui.theme import Theme

_TITLE = "Ask whole documents"
_FORMATS = (
    "Drop files or folders here: PDF, Word, PowerPoint, Excel, OpenDocument, HTML, EPUB, mail, "
    "Markdown, source code, archives."
)
_HERE = (
    "They are read whole, never cut into snippets: the model reads them once and keeps what it has "
    "read, and every quote in its answers is looked up in the pages. Nothing leaves this computer."
)
_SENT = (
    "They are read whole, never cut into snippets, and every quote in the answers is looked up in "
    "the pages. While {} is in use, they are sent to it with each question."
)
_FRAME_WIDTH = 640
_FRAME_HEIGHT = 400


class DocumentsEmpty(QWidget):
    """A drop zone with buttons; the window itself takes the drop.

    Signals:
        files_wished, folder_wished: the person wants to choose files, or a folder.
        sample_wished: the sample documents are to be tried.
    """

    files_wished = Signal()
    folder_wished = Signal()
    sample_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        files = QPushButton("Add files…")
        files.setProperty("kind", "primary")
        files.clicked.connect(self.files_wished)
        folder = QPushButton("Add folder…")
        folder.clicked.connect(self.folder_wished)
        self.setFocusProxy(files)
        self.sample = QPushButton("Try the sample documents")
        self.sample.clicked.connect(self.sample_wished)
        self._state = EmptyState(
            theme,
            "documents",
            _TITLE,
            f"{_FORMATS} {_HERE}",
            buttons=(files, folder, self.sample),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.addWidget(self._state)
        theme.changed.connect(self.update)

    def set_server(self, name: str) -> None:
        """Say where documents go: to the server of this name, "" for this computer."""
        where = _SENT.format(name) if name else _HERE
        self._state.set_text(_TITLE, f"{_FORMATS} {where}")

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Frame the drop zone."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._theme.palette.border_strong), 1.5, Qt.PenStyle.DashLine))
        box = QRectF(0, 0, _FRAME_WIDTH, _FRAME_HEIGHT)
        room = QRectF(self.rect()).adjusted(16, 16, -16, -16)
        box.setSize(box.size().boundedTo(room.size()))
        box.moveCenter(room.center())
        radius = self._theme.metrics.radius_l
        painter.drawRoundedRect(box, radius, radius)
        painter.end()

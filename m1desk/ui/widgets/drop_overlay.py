"""What covers the window while a file is dragged over it, and which files are meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from m1desk.model_paths import model_at
from m1desk.ui.theme import text_font

if TYPE_CHECKING:
    from PySide6.QtCore import QMimeData
    from PySide6.QtGui import QPaintEvent

    from m1desk.ui.theme import Theme


def dropped_model(data: QMimeData) -> Path | None:
    """Return what is dragged if it is one model, of which several files may be dragged, or None."""
    paths = _local_paths(data)
    model = model_at(paths[0]) if paths else None
    # The first document ends the search: a thousand of them may lie on a slow disk.
    return model if model is not None and all(model_at(path) == model for path in paths) else None


def dropped_models(data: QMimeData) -> tuple[Path, ...]:
    """Return the local files ending in .gguf and the folders that are dragged, none if others."""
    paths = _local_paths(data)
    fit = all(path.suffix.lower() == ".gguf" or path.is_dir() for path in paths)
    return paths if fit else ()


def dropped_documents(data: QMimeData) -> tuple[Path, ...]:
    """Return the local files and folders that are dragged if they are to be read, not loaded."""
    paths = _local_paths(data)
    return () if all(model_at(path) for path in paths) else paths


def _local_paths(data: QMimeData) -> tuple[Path, ...]:
    return tuple(Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile())


class DropOverlay(QWidget):
    """Covers its parent; says what dropping will do."""

    def __init__(
        self, theme: Theme, parent: QWidget, text: str = "Drop to load this model"
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._covered = parent
        self._text = text
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName(text)
        self.hide()

    def cover(self, text: str = "") -> None:
        """Show it over the whole parent, with another text if one is given."""
        self._text = text or self._text
        self.setAccessibleName(self._text)
        self.setGeometry(self._covered.rect())
        self.raise_()
        self.show()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint a veil, a frame and the words."""
        palette, metrics = self._theme.palette, self._theme.metrics
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = QColor(palette.window)
        veil.setAlpha(225)
        painter.fillRect(self.rect(), veil)
        pen = QPen(QColor(palette.accent), 2, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        frame = QRectF(self.rect()).adjusted(24, 24, -24, -24)
        painter.drawRoundedRect(frame, metrics.radius_l, metrics.radius_l)
        font = text_font(metrics.font_title)
        font.setWeight(font.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(palette.text))
        centred = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(frame.adjusted(24, 24, -24, -24), centred, self._text)

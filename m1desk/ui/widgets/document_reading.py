"""Lines of progress: of files that are being read, and of the engine reading the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.units import bytes_pair, seconds_text, speed_text, tokens_text
from m1desk.ui.widgets.document_words import count_text
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.document_files import FilesBeingRead
    from m1desk.ui.viewmodels.document_reading import EngineReading

_PERMILLE: Final = 1000
_SEPARATOR: Final = " · "


class FilesProgress(QWidget):
    """How far the reading of files is.

    Signals:
        cancel_wished: the reading is to end.
    """

    cancel_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = ElidedLabel(tone="muted", mode=Qt.TextElideMode.ElideMiddle)
        self._bar = _bar("Files read")
        cancel = QPushButton("Cancel")
        cancel.setToolTip("End the reading; nothing of it is added")
        cancel.clicked.connect(self.cancel_wished)
        column = QVBoxLayout()
        column.setSpacing(theme.metrics.space_xs)
        column.addWidget(self._line)
        column.addWidget(self._bar)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_m)
        layout.addLayout(column, 1)
        layout.addWidget(cancel)

    @property
    def text(self) -> str:
        """What is said."""
        return self._line.whole_text

    def show_reading(self, reading: FilesBeingRead) -> None:
        """Show how far it is."""
        progress = reading.progress
        if progress is None:
            self._line.set_text("Starting to read…")
            self._bar.setRange(0, 0)
            return
        self._bar.setRange(0, _PERMILLE)
        parts = [f"Reading: {progress.files_done:,} of {count_text(progress.files_total, 'file')}"]
        parts.append(count_text(progress.pages_done, "page"))
        if progress.bytes_total:
            parts.append(bytes_pair(progress.bytes_done, progress.bytes_total))
        if progress.current:
            parts.append(", ".join(progress.current))
        self._line.set_text(_SEPARATOR.join(parts))
        share = progress.bytes_done / progress.bytes_total if progress.bytes_total else 0.0
        self._bar.setValue(int(_PERMILLE * share))


class EngineProgress(QWidget):
    """How far the engine has read the documents and the question."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = Label("Waiting for the engine…", tone="muted", wraps=True)
        self._note = Label(tone="warning", wraps=True)
        self._note.hide()
        self._bar = _bar("Tokens read")
        self._bar.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(theme.metrics.space_s)
        layout.addWidget(self._line)
        layout.addWidget(self._bar)
        layout.addWidget(self._note)

    @property
    def text(self) -> str:
        """What is said about the progress."""
        return self._line.text()

    def show_reading(self, reading: EngineReading) -> None:
        """Show how far it is."""
        if reading.total:
            self._line.setText(engine_text(reading))
            self._bar.setValue(_PERMILLE * reading.done // reading.total)
            self._bar.show()
        self._note.setText(reading.note)
        self._note.setVisible(bool(reading.note))


def engine_text(reading: EngineReading) -> str:
    """Write how far the engine is, how fast, how long it will take, and what is saved."""
    done = f"Reading: {tokens_text(reading.done)} of {tokens_text(reading.total)} tokens"
    if reading.reused:
        done += f" ({tokens_text(reading.reused)} kept from before)"
    parts = [done]
    if reading.tokens_per_second > 0:
        parts.append(speed_text(reading.tokens_per_second))
    if reading.seconds_left is not None and reading.done < reading.total:
        parts.append(f"about {rough_seconds(reading.seconds_left)} left")
    if reading.saved_tokens:
        parts.append(f"saved up to {tokens_text(reading.saved_tokens)} tokens")
    return _SEPARATOR.join(parts)


def rough_seconds(seconds: float) -> str:
    """Write a time that is only an estimate."""
    return f"{max(1, round(seconds))} s" if seconds < 60 else seconds_text(seconds)


def _bar(name: str) -> QProgressBar:
    bar = QProgressBar()
    bar.setRange(0, _PERMILLE)
    bar.setTextVisible(False)
    bar.setAccessibleName(name)
    return bar

"""The parts of a message that only some have: thinking, progress of prefill, what went wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.icons import icon_pixmap
from m1desk.ui.widgets.label import Label, Paragraph
from m1desk.ui.widgets.markdown_view import MarkdownView
from m1desk.ui.widgets.message_stats import prefill_text, thought_text

if TYPE_CHECKING:
    from m1desk.engines.turn import PrefillProgress
    from m1desk.ui.theme import Theme
    from m1desk.ui.widgets.markdown_highlight import Highlighter
    from m1desk.ui.widgets.markdown_style import MarkdownStyle

_PERMILLE: Final = 1000


class ThinkingSection(QWidget):
    """The model's thinking under a title that folds it; open only while it thinks.

    Signals:
        link_clicked: an address in it.
    """

    link_clicked = Signal(str)

    def __init__(
        self, theme: Theme, style: MarkdownStyle, highlighter: Highlighter, *, running: bool
    ) -> None:
        super().__init__()
        self._theme = theme
        self._look = style.quieter()
        self._highlighter = highlighter
        self._text: list[str] = []
        self._view: MarkdownView | None = None
        self._running = running
        self._began = time.monotonic() if running else None
        self._seconds: float | None = None
        self._touched = False
        self._open = False
        self._title = self._make_title()
        self._body = QFrame()
        self._body.setProperty("thinking", True)
        inner = QVBoxLayout(self._body)
        inner.setContentsMargins(14, 4, 0, 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._title, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._body)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._show_title)
        if running:
            self._clock.start()
        self._set_open(running)

    def _make_title(self) -> QToolButton:
        title = QToolButton()
        title.setProperty("kind", "ghost")
        title.setProperty("small", True)
        title.setProperty("flush", True)
        title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        title.setIconSize(QSize(14, 14))
        title.setAccessibleName("Show the model's thinking")
        title.clicked.connect(self._on_clicked)
        return title

    @property
    def is_open(self) -> bool:
        """Whether the text is shown."""
        return self._open

    @property
    def title(self) -> str:
        """What stands above the text."""
        return self._title.text()

    @property
    def text(self) -> str:
        """The thinking so far."""
        return "".join(self._text)

    def append(self, text: str) -> None:
        """Take more of the thinking."""
        self._text.append(text)
        if self._view is not None:
            self._view.append(text)

    def finish(self) -> None:
        """The thinking is over; it folds unless the person opened or closed it themselves."""
        if not self._running:
            return
        self._running = False
        self._clock.stop()
        if self._began is not None:
            self._seconds = time.monotonic() - self._began
        if self._view is not None:
            self._view.finish()
        self._set_open(self.is_open and self._touched)

    def set_look(self, style: MarkdownStyle) -> None:
        """Take on another palette."""
        self._look = style.quieter()
        if self._view is not None:
            self._view.set_look(self._look)
        self._show_title()

    def _on_clicked(self) -> None:
        self._touched = True
        self._set_open(not self._open)

    def _set_open(self, open_: bool) -> None:  # noqa: FBT001 - a private switch
        self._open = open_
        if open_ and self._view is None:
            self._make_view()
        self._body.setVisible(open_)
        self._show_title()

    def _make_view(self) -> None:
        self._view = MarkdownView(self._look, self._highlighter)
        self._view.setAccessibleName("The model's thinking")
        self._view.link_clicked.connect(self.link_clicked)
        layout = self._body.layout()
        assert layout is not None  # noqa: S101 - set in the constructor
        layout.addWidget(self._view)
        if self._running:
            self._view.append(self.text)
        else:
            self._view.set_text(self.text)

    def _show_title(self) -> None:
        seconds = self._seconds
        if self._running and self._began is not None:
            seconds = time.monotonic() - self._began
        self._title.setText(thought_text(seconds, running=self._running))
        arrow = "chevron-down" if self.is_open else "chevron-right"
        self._title.setIcon(self._theme.icon(arrow))


class PrefillBar(QWidget):
    """How far the engine has read the prompt."""

    def __init__(self) -> None:
        super().__init__()
        self._label = Label("Waiting for the engine…", tone="muted")
        self._bar = QProgressBar()
        self._bar.setRange(0, _PERMILLE)  # tokens may pass Qt's 32 bits in a sum, permille never
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Prompt tokens read")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(6)
        layout.addWidget(self._label)
        layout.addWidget(self._bar)
        self._bar.hide()

    @property
    def text(self) -> str:
        """What is said about the progress."""
        return self._label.text()

    def show_progress(self, progress: PrefillProgress) -> None:
        """Show how many tokens of how many are read."""
        self._label.setText(prefill_text(progress))
        self._bar.setValue(_PERMILLE * progress.done // max(1, progress.total))
        self._bar.setAccessibleDescription(self._label.text())
        self._bar.show()


class ErrorSection(QFrame):
    """What went wrong with an answer, why, what to do, and buttons that do it.

    Signals:
        wished: the name of the step ("continue", "regenerate", "load").
    """

    wished = Signal(str)

    def __init__(
        self, theme: Theme, error: str, *, severe: bool, kept: bool, ready: bool = False
    ) -> None:
        super().__init__()
        self._theme = theme
        self._severe = severe
        self._load = QPushButton("Load model again")
        self._load.setHidden(ready)
        self._continue = QPushButton("Continue")
        self._kept = kept
        self.setProperty("banner", "danger" if severe else "warning")
        self._icon = Label()
        self._icon.setAlignment(Qt.AlignmentFlag.AlignTop)
        what, *rest = error.splitlines() or [""]
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addWidget(Paragraph(what, tone="strong"))
        for line in rest:
            if line:
                column.addWidget(Paragraph(line, tone="muted"))
        column.addLayout(self._make_buttons())
        self.set_last(False)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(10)
        layout.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(column, 1)
        self._tint()
        theme.changed.connect(self._tint)

    def _make_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(0, 6, 0, 0)
        again = QPushButton("Answer again")
        steps = ((self._continue, "continue"), (again, "regenerate"), (self._load, "load"))
        for button, name in steps:
            button.clicked.connect(lambda _=False, name=name: self.wished.emit(name))
            row.addWidget(button)
        row.addStretch(1)
        return row

    def set_last(self, last: bool) -> None:  # noqa: FBT001 - a setter
        """Say whether it is about the newest message: only that can be continued."""
        self._continue.setHidden(not (self._kept and last))

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - a setter
        """Say whether a model is ready: loading it again would then only cost time."""
        self._load.setHidden(ready)

    def _tint(self) -> None:
        colours = self._theme.palette
        colour = colours.danger if self._severe else colours.warning
        self._icon.setPixmap(icon_pixmap("alert", colour, 18, self.devicePixelRatioF()))

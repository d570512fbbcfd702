"""Where a message is written: a field that grows, Send that becomes Stop, and the context gauge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from m1desk.ui.theme import set_look, text_font
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.context_gauge import ContextGauge
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.sending_field import SendingField

if TYPE_CHECKING:
    from PySide6.QtCore import QMimeData
    from PySide6.QtGui import QFocusEvent

    from m1desk.ui.theme import Theme

_MOST_LINES: Final = 10
_PLACEHOLDER: Final = "Ask anything. Enter sends, Shift+Enter starts a new line."


class Composer(QFrame):
    """Takes a message; while an answer is written it offers to stop it.

    Signals:
        sent: the text, trimmed and not empty; the field is empty afterwards.
        stop_wished: the answer being written is to end.
        edited: the text in the field changed; its length in characters.
    """

    sent = Signal(str)
    stop_wished = Signal()
    edited = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._answering = False
        self._reason = ""
        self.setProperty("composer", True)
        self.field = _Field()
        self.gauge = ContextGauge(theme)
        self._hint = Label(tone="caption")
        self._note = Label(tone="caption")
        self._placeholder = _PLACEHOLDER
        self.button = IconButton(theme, "send", "Send message")
        self.button.setProperty("kind", "primary")
        self._row = QHBoxLayout()
        self._lay_out()
        self._connect()
        self.setFocusProxy(self.field)
        self._on_theme_changed()
        self._refresh()

    def _lay_out(self) -> None:
        row = self._row
        row.setSpacing(8)
        row.addWidget(self.gauge)
        row.addWidget(self._hint, 1)
        row.addWidget(self._note)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.field)
        layout.addLayout(row)

    def _connect(self) -> None:
        self.field.submitted.connect(self._on_submitted)
        self.field.escaped.connect(self._on_escaped)
        self.field.focus_changed.connect(lambda has: set_look(self, "active", has))
        self.field.textChanged.connect(self._on_text_changed)
        self.button.clicked.connect(self._on_clicked)
        self._theme.changed.connect(self._on_theme_changed)

    @property
    def text(self) -> str:
        """What is in the field."""
        return self.field.toPlainText()

    @property
    def can_send(self) -> bool:
        """Whether pressing Enter would send something."""
        return not self._answering and not self._reason and bool(self.text.strip())

    @property
    def hint(self) -> str:
        """What is said beside the gauge: why nothing can be sent, or ""."""
        return self._hint.text()

    @property
    def note(self) -> str:
        """What is said beside the button."""
        return self._note.text()

    def set_note(self, text: str, details: str = "") -> None:
        """Say something beside the button, with details as its tooltip."""
        self._note.setText(text)
        self._note.setToolTip(details)

    def add_button(self, button: QWidget) -> None:
        """Put another button before the one that sends."""
        self._row.insertWidget(self._row.indexOf(self.button), button)

    def set_placeholder(self, text: str) -> None:
        """Set what an empty field says while something can be sent."""
        self._placeholder = text
        self._refresh()

    def set_text(self, text: str) -> None:
        """Put a text into the field, ready to be sent."""
        self.field.setPlainText(text)
        self.field.moveCursor(self.field.textCursor().MoveOperation.End)

    def set_answering(self, answering: bool) -> None:  # noqa: FBT001 - a setter
        """Say whether an answer is being written."""
        self._answering = answering
        self._refresh()

    def set_reason(self, reason: str) -> None:
        """Say why nothing can be sent now ("Load a model to start"), or "" if it can."""
        self._reason = reason
        self._refresh()

    def _refresh(self) -> None:
        # An empty field shows the reason itself.
        self._hint.setText(self._reason if self.text and not self._answering else "")
        self.field.setPlaceholderText(self._reason or self._placeholder)
        self.field.viewport().update()  # Qt 6.11 paints another placeholder only when made to
        if self._answering:
            self.button.set_icon("stop")
            self.button.set_name("Stop the answer (Esc)")
            self.button.setEnabled(True)
        else:
            self.button.set_icon("send")
            self.button.set_name("Send message (Enter)")
            self.button.setEnabled(self.can_send)

    def _on_text_changed(self) -> None:
        self._refresh()
        self.edited.emit(self.field.document().characterCount() - 1)

    def _on_clicked(self) -> None:
        if self._answering:
            self.stop_wished.emit()
        else:
            self._on_submitted()

    def _on_submitted(self) -> None:
        if self.can_send:
            text = self.text.strip()
            self.field.clear()
            self.sent.emit(text)

    def _on_escaped(self) -> None:
        if self._answering:
            self.stop_wished.emit()

    def _on_theme_changed(self) -> None:
        font = text_font(self._theme.metrics.font_body)
        self.field.setFont(font)
        self.field.viewport().setFont(font)  # the placeholder is painted in this one
        self.button.set_tint(self._theme.palette.on_accent)
        self.field.fit()


class _Field(SendingField):
    """Plain text that grows with its lines up to a limit and then scrolls."""

    focus_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("bare", True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Message")
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().documentSizeChanged.connect(self.fit)

    def fit(self) -> None:
        """Take the height of the lines there are."""
        # QPlainTextEdit's document measures its height in lines.
        lines = min(_MOST_LINES, max(1, round(self.document().size().height())))
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + 8)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self.fontMetrics().lineSpacing() + 8)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Paste text as text, whatever else the clipboard has."""
        if source.hasText():
            self.insertPlainText(source.text())

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focus_changed.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.focus_changed.emit(False)

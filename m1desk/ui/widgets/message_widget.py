"""One message of a conversation: who said it, what, at what cost, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.markdown_view import MarkdownView
from m1desk.ui.widgets.message_editor import MessageEditor
from m1desk.ui.widgets.message_footer import MessageFooter
from m1desk.ui.widgets.message_parts import ErrorSection, PrefillBar, ThinkingSection

if TYPE_CHECKING:
    from PySide6.QtGui import QContextMenuEvent, QEnterEvent, QFocusEvent, QResizeEvent

    from m1desk.chat import Message
    from m1desk.engines.turn import PrefillProgress
    from m1desk.ui.theme import Theme
    from m1desk.ui.widgets.markdown_highlight import Highlighter
    from m1desk.ui.widgets.markdown_style import MarkdownStyle

LONG_TEXT: Final = 4_000
"""Characters of one's own message beyond which only the beginning is shown."""

_SHOWN_OF_LONG: Final = 1_500
_BUBBLE_SHARE: Final = 0.85
_BUBBLE_PADDING: Final = 14


class MessageWidget(QFrame):
    """Shows a message; a growing answer is fed by `append`, and replaced by `show_message`.

    Signals:
        wished: what the person wants done with it: "regenerate", "delete", "previous", "next",
            "continue", "load".
        edited: the new text of one's own message.
        link_clicked: an address in it.
    """

    wished = Signal(str)
    edited = Signal(str)
    link_clicked = Signal(str)

    def __init__(
        self,
        message: Message,
        theme: Theme,
        style: MarkdownStyle,
        highlighter: Highlighter,
        *,
        ready: bool = False,
    ) -> None:
        super().__init__()
        self._message = message
        self._theme = theme
        self._look = style
        self._highlighter = highlighter
        self._thinking: ThinkingSection | None = None
        self._prefill: PrefillBar | None = None
        self._error: ErrorSection | None = None
        self._footer: MessageFooter | None = None
        self._editor: MessageEditor | None = None
        self._more: QPushButton | None = None
        self._is_last = False
        self._ready = ready
        self.view = MarkdownView(style, highlighter)
        self.view.link_clicked.connect(self.link_clicked)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2 if self.is_users else 6)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._bubble = self._make_bubble() if self.is_users else None
        if not self.is_users:
            self._add_name()
            self._layout.addWidget(self.view)
        self.show_message(message)

    # -- what is shown ----------------------------------------------------------------------

    @property
    def message(self) -> Message:
        """The message as it was last given."""
        return self._message

    @property
    def is_users(self) -> bool:
        """Whether the person wrote it."""
        return self._message.role == "user"

    @property
    def thinking(self) -> ThinkingSection | None:
        """The thinking, where there is any."""
        return self._thinking

    @property
    def prefill(self) -> PrefillBar | None:
        """The progress of prefill, while it runs."""
        return self._prefill

    @property
    def error(self) -> ErrorSection | None:
        """What went wrong, where something did."""
        return self._error

    @property
    def footer(self) -> MessageFooter | None:
        """The line of figures and buttons, once the message is complete."""
        return self._footer

    def show_message(self, message: Message) -> None:
        """Show the message in the state that is given, whatever was shown before."""
        was_streaming = self._message.state == "streaming"
        self._message = message
        self._set_accessible_text()
        if message.state == "streaming":
            self._show_streaming(message)
            return
        self._drop_prefill()
        self._show_thinking(message)
        if was_streaming and self.view.markdown == message.content:
            self.view.finish()
        else:
            self._show_text(message.content)
        self._show_error(message)
        self._show_footer(message)

    def append(self, text: str) -> None:
        """Take more of the answer."""
        self._drop_prefill()
        if self._thinking is not None:
            self._thinking.finish()
        self.view.setVisible(True)
        self.view.append(text)

    def append_reasoning(self, text: str) -> None:
        """Take more of the thinking."""
        self._drop_prefill()
        thinking = self._thinking or self._add_thinking(running=True)
        thinking.append(text)

    def show_prefill(self, progress: PrefillProgress) -> None:
        """Show how far the prompt is read."""
        if self._prefill is not None:
            self._prefill.show_progress(progress)

    def set_last(self, last: bool) -> None:  # noqa: FBT001 - a setter
        """Say whether it is the newest: its buttons are always shown."""
        self._is_last = last
        if self._error is not None:
            self._error.set_last(last)
        if self._footer is not None:
            self._footer.show_actions(last or self.underMouse() or self.hasFocus())

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - a setter
        """Say whether a model is ready to answer."""
        self._ready = ready
        if self._error is not None:
            self._error.set_ready(ready)

    def set_look(self, style: MarkdownStyle) -> None:
        """Take on another palette or size."""
        self._look = style
        self.view.set_look(style)
        if self._thinking is not None:
            self._thinking.set_look(style)
        self._fit_bubble()

    def start_editing(self) -> None:
        """Change one's own message in place."""
        if not self.is_users or self._editor is not None or self._bubble is None:
            return
        self._bubble.hide()
        self._editor = MessageEditor(self._message.content)
        self._editor.sent.connect(self._on_edited)
        self._editor.cancelled.connect(self._stop_editing)
        self._layout.insertWidget(0, self._editor)
        self._editor.setFocus()

    # -- parts ------------------------------------------------------------------------------

    def _add_name(self) -> None:
        name = Label(self._message.model or "Assistant", tone="caption")
        self._layout.addWidget(name)

    def _make_bubble(self) -> QFrame:
        bubble = QFrame()
        bubble.setProperty("bubble", True)
        inner = QVBoxLayout(bubble)
        inner.setContentsMargins(_BUBBLE_PADDING, 9, _BUBBLE_PADDING, 5)
        inner.addWidget(self.view)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(bubble)
        self._layout.addLayout(row)
        return bubble

    def _show_streaming(self, message: Message) -> None:
        self._drop_footer_and_error()
        self._drop_prefill()
        self.view.restart()
        self.view.setVisible(bool(message.content))
        if message.reasoning:
            self.append_reasoning(message.reasoning)
        if message.content:
            self.append(message.content)
        if not message.content and not message.reasoning:
            self._prefill = PrefillBar()
            self._layout.insertWidget(1, self._prefill)

    def _show_text(self, text: str) -> None:
        self.view.setVisible(bool(text))
        if not self.is_users:
            self.view.set_text(text)
            return
        is_long = len(text) > LONG_TEXT
        self.view.set_text(text[:_SHOWN_OF_LONG] + "…" if is_long else text, plain=True)
        if is_long and self._more is None:
            self._add_more(len(text))
        self._fit_bubble()

    def _add_more(self, length: int) -> None:
        self._more = QPushButton(f"Show all {length:,} characters")
        self._more.setProperty("kind", "ghost")
        self._more.clicked.connect(self._on_more)
        self._layout.insertWidget(1, self._more, alignment=Qt.AlignmentFlag.AlignRight)

    def _show_thinking(self, message: Message) -> None:
        if self._thinking is not None:
            self._thinking.finish()
        elif message.reasoning:
            self._add_thinking(running=False).append(message.reasoning)

    def _add_thinking(self, *, running: bool) -> ThinkingSection:
        section = ThinkingSection(self._theme, self._look, self._highlighter, running=running)
        section.link_clicked.connect(self.link_clicked)
        self._layout.insertWidget(1, section)
        self._thinking = section
        return section

    def _show_error(self, message: Message) -> None:
        if self._error is not None:
            self._error.deleteLater()
            self._error = None
        if message.state not in {"failed", "interrupted"}:
            return
        text = message.error or "The answer was interrupted."
        self._error = ErrorSection(
            self._theme,
            text,
            severe=message.state == "failed",
            kept=bool(message.content),
            ready=self._ready,
        )
        self._error.set_last(self._is_last)
        self._error.wished.connect(self.wished)
        self._layout.addWidget(self._error)

    def _show_footer(self, message: Message) -> None:
        if self._footer is not None:
            self._footer.deleteLater()
        self._footer = MessageFooter(self._theme, message)
        self._footer.wished.connect(self._on_wished)
        self._layout.addWidget(self._footer)
        self._footer.show_actions(self._is_last)

    def _drop_prefill(self) -> None:
        if self._prefill is not None:
            self._prefill.hide()
            self._prefill.deleteLater()
            self._prefill = None

    def _drop_footer_and_error(self) -> None:
        for part in (self._footer, self._error):
            if part is not None:
                part.hide()
                part.deleteLater()
        self._footer = self._error = None

    def _set_accessible_text(self) -> None:
        who = "You" if self.is_users else f"Answer by {self._message.model or 'the model'}"
        self.setAccessibleName(who)
        self.view.setAccessibleName(f"{who}: message text")

    # -- slots ------------------------------------------------------------------------------

    def _on_wished(self, wish: str) -> None:
        if wish == "copy":
            QGuiApplication.clipboard().setText(self._message.content)
        elif wish == "edit":
            self.start_editing()
        else:
            self.wished.emit(wish)

    def _on_more(self) -> None:
        if self._more is not None:
            self._more.deleteLater()
            self._more = None
        self.view.set_text(self._message.content, plain=True)
        self._fit_bubble()

    def _on_edited(self, text: str) -> None:
        self._stop_editing()
        self.edited.emit(text)

    def _stop_editing(self) -> None:
        if self._editor is not None and self._bubble is not None:
            self._editor.deleteLater()
            self._editor = None
            self._bubble.show()
            self.setFocus()

    # -- Qt ---------------------------------------------------------------------------------

    def enterEvent(self, event: QEnterEvent) -> None:
        """Show the buttons."""
        super().enterEvent(event)
        if self._footer is not None:
            self._footer.show_actions(True)

    def leaveEvent(self, event: QEvent) -> None:
        """Hide the buttons, unless they are being used."""
        super().leaveEvent(event)
        if self._footer is not None and not self._is_last:
            focus = QGuiApplication.focusObject()
            inside = isinstance(focus, QWidget) and self.isAncestorOf(focus)
            self._footer.show_actions(inside or self.hasFocus())

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the buttons to the keyboard too."""
        super().focusInEvent(event)
        if self._footer is not None:
            self._footer.show_actions(True)
        self.update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer by menu what the buttons offer."""
        menu = QMenu(self)
        menu.addAction("Copy message", lambda: self._on_wished("copy"))
        if self.is_users:
            menu.addAction("Edit message", self.start_editing)
        else:
            menu.addAction("Answer again", lambda: self.wished.emit("regenerate"))
        menu.addSeparator()
        menu.addAction("Delete", lambda: self.wished.emit("delete"))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the bubble to the new width."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit_bubble()

    def _fit_bubble(self) -> None:
        """Make the bubble as wide as its text needs, and never wider than most of the column."""
        if self._bubble is None or self.width() < 100:
            return
        widest = int(self.width() * _BUBBLE_SHARE)
        document = self.view.document()
        document.setTextWidth(widest - 2 * _BUBBLE_PADDING)
        wanted = int(document.idealWidth()) + 2 * _BUBBLE_PADDING + 2
        self._bubble.setFixedWidth(max(48, min(widest, wanted)))
        QTimer.singleShot(0, self.view.updateGeometry)

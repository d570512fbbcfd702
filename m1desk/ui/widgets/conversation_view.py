"""The messages of a conversation, newest at the bottom; only those near the eye are real widgets.

Ten thousand widgets would take minutes and gigabytes, so a window of messages is realised: the
newest at first, earlier ones as one scrolls up, and those left far behind are dropped again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from m1desk.ui.theme import set_look
from m1desk.ui.widgets.markdown_highlight import Highlighter
from m1desk.ui.widgets.markdown_style import MarkdownStyle
from m1desk.ui.widgets.message_widget import MessageWidget

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from PySide6.QtGui import QResizeEvent

    from m1desk.chat import Message
    from m1desk.engines.turn import PrefillProgress
    from m1desk.ui.theme import Theme

FIRST: Final = 6
"""Messages made at once when a conversation opens: enough to fill a window."""
REALISED: Final = 50
"""Messages made soon after, while the window is idle."""
PAGE: Final = 30
"""Messages made at once when one scrolls towards an end."""
MOST: Final = 150
"""Messages that are widgets at any time."""

_NEAR_BOTTOM: Final = 32
_NEAR_END: Final = 600
_FLASH_MS: Final = 1600


class ConversationView(QScrollArea):
    """Shows messages and keeps the place that is being read, whatever grows above or below.

    Signals:
        wished: message id (int) and what is wanted of it (see `MessageWidget.wished`).
        edited: message id (int) and the new text of one's own message.
        link_clicked: an address in a message.
        earlier_wished: the first message known is close, and there are earlier ones.
    """

    wished = Signal(int, str)
    edited = Signal(int, str)
    link_clicked = Signal(str)
    earlier_wished = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._look = MarkdownStyle(theme.palette, theme.metrics)
        self.highlighter = Highlighter(self)
        self._messages: list[Message] = []
        self._growing: dict[int, Message] = {}
        self._has_earlier = False
        self._asked_earlier = False
        self._widgets: list[MessageWidget] = []
        self._first = 0  # index in _messages of the first widget
        self._stuck = True
        self._ready = False
        self._anchor: tuple[MessageWidget, int] | None = None
        self._moving = False
        self._idle = QTimer(self)
        self._idle.setInterval(0)
        self._idle.timeout.connect(self._realise_more)
        self._column = QWidget()
        self._layout = QVBoxLayout(self._column)
        self._latest = QPushButton("Jump to latest", self)
        self._set_up()
        self._connect()

    def _set_up(self) -> None:
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Conversation")
        self._layout.setSpacing(self._theme.metrics.space_l)
        self._layout.addStretch(1)
        self.setWidget(self._column)
        self._latest.setAccessibleName("Jump to the latest message")
        self._latest.setProperty("floating", True)
        self._latest.setIconSize(QSize(14, 14))
        self._latest.hide()
        self._tint()

    def _connect(self) -> None:
        self._theme.changed.connect(self._on_theme_changed)
        self._latest.clicked.connect(self.jump_to_latest)
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._on_scrolled)
        bar.rangeChanged.connect(self._restore_place)

    # -- what is shown ----------------------------------------------------------------------

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages known, whether they are widgets now or not."""
        return tuple(self._messages)

    @property
    def realised(self) -> tuple[MessageWidget, ...]:
        """The messages that are widgets now, in order."""
        return tuple(self._widgets)

    @property
    def is_at_latest(self) -> bool:
        """Whether the view follows the newest message."""
        return self._stuck

    def widget_of(self, message_id: int) -> MessageWidget | None:
        """Return the widget of a message, if it has one now."""
        return next((w for w in self._widgets if w.message.id == message_id), None)

    def set_messages(self, messages: Sequence[Message], *, has_earlier: bool) -> None:
        """Show these instead, from the newest on."""
        self._remove(self._widgets)
        self._widgets = []
        self._messages = list(messages)
        self._growing.clear()
        self._has_earlier = has_earlier
        self._asked_earlier = False
        self._stuck = True
        self._anchor = None
        self._first = len(self._messages)
        self._realise_before(FIRST)
        self._mark_last()
        self._idle.start()
        self._show_latest_button()

    def prepend(self, messages: Sequence[Message], *, has_earlier: bool) -> None:
        """Add earlier messages above."""
        self._messages[:0] = messages
        self._first += len(messages)
        self._has_earlier = has_earlier
        self._asked_earlier = False
        self._note_place()
        self._realise_before(PAGE)

    def append(self, message: Message) -> None:
        """Add a message at the end."""
        at_end = self._end == len(self._messages)
        self._messages.append(message)
        if at_end:
            self._widgets.append(self._add_widget(message, len(self._widgets)))
            self._mark_last()

    def replace(self, message: Message) -> None:
        """Show a message in its new state."""
        self._growing.pop(message.id, None)
        for index, known in enumerate(self._messages):
            if known.id == message.id:
                self._messages[index] = message
        widget = self.widget_of(message.id)
        if widget is not None:
            widget.show_message(message)
            self._mark_last()

    def cut_after(self, message_id: int | None) -> None:
        """Remove all messages after this one (all, for None): another branch follows."""
        ids = [message.id for message in self._messages]
        keep = ids.index(message_id) + 1 if message_id in ids else 0
        del self._messages[keep:]
        stay = max(0, keep - self._first)
        self._remove(self._widgets[stay:])
        del self._widgets[stay:]
        self._first = min(self._first, keep)
        self._stuck = True
        self._mark_last()

    def feed(self, message_id: int, kind: str, text: str) -> None:
        """Pass on more of an answer ("text") or of its thinking ("reasoning")."""
        self._grow(message_id, kind, text)
        widget = self.widget_of(message_id)
        if widget is not None:
            if kind == "reasoning":
                widget.append_reasoning(text)
            else:
                widget.append(text)

    def show_prefill(self, message_id: int, progress: PrefillProgress) -> None:
        """Show in an answer how far the prompt is read."""
        widget = self.widget_of(message_id)
        if widget is not None:
            widget.show_prefill(progress)

    def set_ready(self, ready: bool) -> None:  # noqa: FBT001 - a setter
        """Say whether a model is ready to answer."""
        self._ready = ready
        for widget in self._widgets:
            widget.set_ready(ready)

    def jump_to_latest(self) -> None:
        """Go to the newest message and follow it."""
        if self._end < len(self._messages):
            self._realise_around(len(self._messages) - 1)
        self._stuck = True
        self._restore_place()
        self._show_latest_button()

    def scroll_to(self, message_id: int) -> bool:
        """Bring a message to the top and mark it for a moment; False if it is not known."""
        ids = [message.id for message in self._messages]
        if message_id not in ids:
            return False
        if self.widget_of(message_id) is None:
            self._realise_around(ids.index(message_id))
        widget = self.widget_of(message_id)
        if widget is None:
            return False
        self._idle.stop()
        self._stuck = False
        self._anchor = (widget, self._theme.metrics.space_xl)
        self._restore_place()
        self._show_latest_button()
        set_look(widget, "found", True)
        QTimer.singleShot(_FLASH_MS, widget, lambda: set_look(widget, "found", False))
        return True

    # -- which messages are widgets ---------------------------------------------------------

    @property
    def _end(self) -> int:
        return self._first + len(self._widgets)

    def _add_widget(self, message: Message, index: int) -> MessageWidget:
        shown = self._growing.get(message.id, message)
        widget = MessageWidget(shown, self._theme, self._look, self.highlighter, ready=self._ready)
        message_id = message.id
        widget.wished.connect(lambda wish: self.wished.emit(message_id, wish))
        widget.edited.connect(lambda text: self.edited.emit(message_id, text))
        widget.link_clicked.connect(self.link_clicked)
        self._layout.insertWidget(index, widget)
        return widget

    def _grow(self, message_id: int, kind: str, text: str) -> None:
        """Note what has come, for when the answer's widget was dropped and is made again."""
        known = self._growing.get(message_id) or next(
            (m for m in reversed(self._messages) if m.id == message_id), None
        )
        if known is not None and kind == "reasoning":
            self._growing[message_id] = replace(known, reasoning=known.reasoning + text)
        elif known is not None:
            self._growing[message_id] = replace(known, content=known.content + text)

    def _realise_before(self, count: int) -> None:
        """Make widgets of up to `count` messages above the first one."""
        start = max(0, self._first - count)
        made = [
            self._add_widget(self._messages[index], index - start)
            for index in range(start, self._first)
        ]
        self._widgets[:0] = made
        self._first = start
        if len(self._widgets) > MOST:
            self._remove(self._widgets[MOST:])
            del self._widgets[MOST:]

    def _realise_after(self, count: int) -> None:
        """Make widgets of up to `count` messages below the last one."""
        for index in range(self._end, min(self._end + count, len(self._messages))):
            self._widgets.append(self._add_widget(self._messages[index], len(self._widgets)))
        surplus = len(self._widgets) - MOST
        if surplus > 0:
            self._remove(self._widgets[:surplus])
            del self._widgets[:surplus]
            self._first += surplus
        self._mark_last()

    def _realise_around(self, index: int) -> None:
        """Make widgets of the messages around one, and of no others."""
        self._remove(self._widgets)
        self._widgets = []
        self._anchor = None
        self._first = max(0, index - PAGE // 2)
        self._realise_after(PAGE)

    def _realise_more(self) -> None:
        """Make a few more widgets while the window has nothing else to do."""
        if self._first == 0 or len(self._widgets) >= REALISED:
            self._idle.stop()
            if not self._stuck and self.verticalScrollBar().value() < _NEAR_END:
                self._want_earlier()  # one has scrolled to the top meanwhile
            return
        self._note_place()
        self._realise_before(2)

    def _remove(self, widgets: Iterable[MessageWidget]) -> None:
        for widget in widgets:
            if self._anchor is not None and self._anchor[0] is widget:
                self._anchor = None
            self.highlighter.forget(widget.view.document())
            self._layout.removeWidget(widget)
            widget.hide()
            widget.deleteLater()

    def _mark_last(self) -> None:
        newest = self._messages[-1].id if self._messages else None
        for widget in self._widgets[-3:]:
            widget.set_last(widget.message.id == newest)

    # -- the place that is being read -------------------------------------------------------

    def _on_scrolled(self) -> None:
        if self._moving:
            return
        bar = self.verticalScrollBar()
        at_end = self._end == len(self._messages)
        self._stuck = at_end and bar.value() >= bar.maximum() - _NEAR_BOTTOM
        self._note_place()
        self._show_latest_button()
        if bar.value() < _NEAR_END and not self._idle.isActive():
            self._want_earlier()
        elif not at_end and bar.value() > bar.maximum() - _NEAR_END:
            self._realise_after(PAGE)

    def _want_earlier(self) -> None:
        if self._first > 0:
            self._realise_before(PAGE)
        elif self._has_earlier and not self._asked_earlier:
            self._asked_earlier = True
            self.earlier_wished.emit()

    def _note_place(self) -> None:
        """Remember which message is at the top, to hold it there."""
        if self._stuck:
            self._anchor = None
            return
        top = self.verticalScrollBar().value()
        for widget in self._widgets:
            if widget.geometry().bottom() >= top:
                self._anchor = (widget, widget.y() - top)
                return

    def _restore_place(self) -> None:
        bar = self.verticalScrollBar()
        self._moving = True
        if self._stuck:
            bar.setValue(bar.maximum())
        elif self._anchor is not None:
            widget, offset = self._anchor
            bar.setValue(widget.y() - offset)
        self._moving = False

    def _show_latest_button(self) -> None:
        self._latest.setVisible(not self._stuck and bool(self._messages))

    # -- Qt and the theme -------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the column readable and in the middle."""
        super().resizeEvent(event)
        metrics = self._theme.metrics
        side = max(metrics.space_xl, (self.viewport().width() - metrics.text_column) // 2)
        self._layout.setContentsMargins(side, metrics.space_xl, side, metrics.space_xl)
        size = self._latest.sizeHint()
        self._latest.move(
            (self.width() - size.width()) // 2, self.height() - size.height() - metrics.space_m
        )

    def _on_theme_changed(self) -> None:
        self._look = MarkdownStyle(self._theme.palette, self._theme.metrics)
        for widget in self._widgets:
            widget.set_look(self._look)
        self._tint()

    def _tint(self) -> None:
        self._latest.setIcon(self._theme.icon("arrow-down"))

"""The line below a message: its figures, its alternatives, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.message_stats import SEPARATOR, stats_details, stats_text

if TYPE_CHECKING:
    from m1desk.chat import Message
    from m1desk.ui.theme import Theme

_USER_STEPS = (("copy", "copy", "Copy message"), ("edit", "edit", "Edit message"))
_ANSWER_STEPS = (("copy", "copy", "Copy message"), ("refresh", "regenerate", "Answer again"))
_STOPPED = "You stopped this answer"
_LAST_STEP = ("trash", "delete", "Delete message and what follows it")


class MessageFooter(QWidget):
    """Figures at once; the buttons are made when the message is first pointed at or focused.

    A conversation shows fifty of these, and three hundred buttons would be felt on opening it.

    Signals:
        wished: "copy", "edit", "regenerate", "delete", "previous" or "next" (alternative).
    """

    wished = Signal(str)

    def __init__(self, theme: Theme, message: Message) -> None:
        super().__init__()
        self._theme = theme
        self._message = message
        self._actions: QWidget | None = None
        self._stats: ElidedLabel | None = None
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)
        self.setFixedHeight(30)
        if message.role == "user":
            self._layout.addStretch(1)
        if message.sibling_count > 1:
            self._layout.addWidget(self._make_switcher())
        self._add_stats()

    @property
    def stats(self) -> str:
        """The figures shown, or ""."""
        return "" if self._stats is None else self._stats.whole_text

    def show_actions(self, shown: bool) -> None:  # noqa: FBT001 - a setter
        """Show or hide the buttons; they are made when first shown."""
        if shown and self._actions is None:
            self._actions = self._make_actions()
            place = self._layout.count() if self._message.role == "user" else 0
            self._layout.insertWidget(place, self._actions)
        if self._actions is not None:
            self._actions.setVisible(shown)

    def _add_stats(self) -> None:
        stats = self._message.stats
        if self._message.role == "user":
            return
        parts = [_STOPPED] if self._message.state == "stopped" else []
        parts += [stats_text(stats)] if stats is not None else []
        if parts:
            self._stats = ElidedLabel(SEPARATOR.join(parts), tone="caption")
            self._layout.addWidget(self._stats, 1)
        if self._stats is not None and stats is not None:
            self._stats.set_detail(stats_details(stats))
        self._layout.addStretch(0 if parts else 1)

    def _make_switcher(self) -> QWidget:
        message = self._message
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        back = IconButton(self._theme, "chevron-left", "Previous alternative")
        forth = IconButton(self._theme, "chevron-right", "Next alternative")
        back.setEnabled(message.sibling_index > 0)
        forth.setEnabled(message.sibling_index + 1 < message.sibling_count)
        back.clicked.connect(lambda: self.wished.emit("previous"))
        forth.clicked.connect(lambda: self.wished.emit("next"))
        label = Label(f"{message.sibling_index + 1}/{message.sibling_count}", tone="caption")
        label.setAccessibleName(
            f"Alternative {message.sibling_index + 1} of {message.sibling_count}"
        )
        for widget in (back, label, forth):
            row.addWidget(widget)
        return box

    def _make_actions(self) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        steps = _USER_STEPS if self._message.role == "user" else _ANSWER_STEPS
        for icon, wish, name in (*steps, _LAST_STEP):
            button = IconButton(self._theme, icon, name)
            button.clicked.connect(lambda _=False, wish=wish: self.wished.emit(wish))
            row.addWidget(button)
        return box

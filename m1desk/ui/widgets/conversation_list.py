"""The panel of all conversations: new, search, and the list with its menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.widgets.conversation_rows import ConversationRows
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.search_results import SearchResults

if TYPE_CHECKING:
    from m1desk.chat import Conversation, SearchHit
    from m1desk.ui.theme import Theme

_TYPING_MS: Final = 150


class ConversationList(QFrame):
    """Shows conversations, or what a search over them found.

    Signals:
        new_wished: a new conversation.
        open_wished: conversation id, and the message id to go to or None.
        renamed: conversation id and its new title.
        delete_wished, export_wished: conversation id; for the second "markdown" or "json".
        searched: the words in the search field, a moment after the last key.
        left: Esc was pressed in the empty search field.
    """

    new_wished = Signal()
    open_wished = Signal(object, object)
    renamed = Signal(object, str)
    delete_wished = Signal(object)
    export_wished = Signal(object, str)
    searched = Signal(str)
    left = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setProperty("panel", True)
        self.field = _SearchField()
        self.rows = ConversationRows(theme)
        self.results = SearchResults(theme)
        self._new = QPushButton("New chat")
        self._nothing = Label("No conversations yet.", tone="faint", wraps=True)
        self._stack = QStackedWidget()
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._lay_out()
        self._connect()
        self._tint()

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self.field.setPlaceholderText("Search all chats")
        self.field.setAccessibleName("Search all conversations")
        self.field.setClearButtonEnabled(True)
        self._new.setToolTip("New chat (Ctrl+N)")
        self._new.setAccessibleName("New chat")
        self._nothing.setContentsMargins(metrics.space_s, 0, 0, 0)
        for widget in (self.rows, self.results):
            self._stack.addWidget(widget)
        top = QHBoxLayout()
        top.addWidget(self._new, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(metrics.space_m, metrics.space_m, metrics.space_m, 0)
        layout.setSpacing(metrics.space_s)
        layout.addLayout(top)
        layout.addWidget(self.field)
        layout.addWidget(self._nothing)
        layout.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self._theme.changed.connect(self._tint)
        self._new.clicked.connect(self.new_wished)
        self.field.textChanged.connect(lambda _: self._typing.start())
        self.field.left.connect(self.left)
        self.field.returnPressed.connect(self._on_return)
        self._typing.timeout.connect(lambda: self.searched.emit(self.field.text().strip()))
        self.rows.open_wished.connect(lambda id_: self.open_wished.emit(id_, None))
        self.rows.renamed.connect(self.renamed)
        self.rows.menu_wished.connect(self._on_menu)
        self.rows.delete_wished.connect(self.delete_wished)
        self.results.chosen.connect(self._on_hit_chosen)

    def set_conversations(self, conversations: tuple[Conversation, ...]) -> None:
        """Show these, in this order."""
        self.rows.set_rows(conversations)
        self._nothing.setVisible(not conversations and not self.field.text())

    def set_current(self, conversation_id: int | None) -> None:
        """Mark the conversation that is open."""
        self.rows.set_current(conversation_id)

    def set_hits(self, query: str, hits: tuple[SearchHit, ...]) -> None:
        """Show what was found; the list comes back for an empty query."""
        self._stack.setCurrentWidget(self.results if query else self.rows)
        self._nothing.setVisible(bool(query) and not hits)
        if query and not hits:
            self._nothing.setText(f"Nothing found for “{query}”.")
        elif not query:
            self._nothing.setText("No conversations yet.")
            self._nothing.setVisible(self.rows.is_empty)
        self.results.set_hits(hits)

    def focus_search(self) -> None:
        """Put the cursor into the search field."""
        self.field.setFocus()
        self.field.selectAll()

    def _on_return(self) -> None:
        if self._typing.isActive():
            self._typing.stop()
            self.searched.emit(self.field.text().strip())
        self.results.choose_current()

    def _on_hit_chosen(self, hit: object) -> None:
        found = cast("SearchHit", hit)
        self.open_wished.emit(found.conversation_id, found.message_id)

    def _on_menu(self, conversation_id: object, place: QPoint) -> None:
        menu = QMenu(self)
        menu.addAction("Rename", lambda: self.rows.start_renaming(conversation_id))
        menu.addAction(
            "Export as Markdown…", lambda: self.export_wished.emit(conversation_id, "markdown")
        )
        menu.addAction("Export as JSON…", lambda: self.export_wished.emit(conversation_id, "json"))
        menu.addSeparator()
        menu.addAction("Delete…", lambda: self.delete_wished.emit(conversation_id))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def _tint(self) -> None:
        self._new.setIcon(self._theme.icon("plus", self._theme.palette.text))


class _SearchField(QLineEdit):
    """Esc empties it; once it is empty, Esc leaves it."""

    left = Signal()

    def event(self, event: QEvent) -> bool:
        """Keep Esc from the window, where it would stop an answer, while there is text."""
        is_override = event.type() == QEvent.Type.ShortcutOverride
        if is_override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.setAccepted(bool(self.text()))
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.text():
            self.clear()
        else:
            self.left.emit()

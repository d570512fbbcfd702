"""What the chat page shows: the conversations, and the one that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from m1desk.ui.viewmodels.conversation import ConversationViewModel
from m1desk.ui.viewmodels.conversation_list import ConversationListViewModel

if TYPE_CHECKING:
    from m1desk.chat import ConversationStore, TurnRunner, TurnSource
    from m1desk.engines.status import EngineStatus
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.context_usage import CountTokens


class ChatViewModel(QObject):
    """Holds the two view models of the page and lets them know of each other.

    `runner` must emit into `bridge.post`; `store`, `runner` and `count`, which has the engine
    count the tokens of a conversation (by id), are used on the loop's thread.
    """

    def __init__(
        self,
        bridge: Bridge,
        store: ConversationStore,
        runner: TurnRunner,
        count: CountTokens | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.conversation = ConversationViewModel(bridge, store, runner, count, self)
        self.library = ConversationListViewModel(bridge, store, runner, self)
        self.conversation.list_stale.connect(self.library.refresh)
        self.library.changed.connect(self.conversation.on_list_changed)
        self.library.deleted.connect(self.conversation.on_deleted)

    def start(self, conversation_id: int | None = None) -> None:
        """Read the list and open a conversation: this one, or a new one."""
        self.library.refresh()
        if conversation_id is None:
            self.conversation.start_new()
        else:
            self.conversation.open(conversation_id)

    def set_engine(self, status: EngineStatus, source: TurnSource | None) -> None:
        """Take the engine's state, and who answers while it is ready."""
        self.conversation.set_engine(status, source)

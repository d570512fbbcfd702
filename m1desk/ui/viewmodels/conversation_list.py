"""All conversations: their list, search over them, renaming, deleting and exporting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from m1desk.chat import export_json, export_markdown
from m1desk.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.chat import Conversation, ConversationStore, SearchHit, TurnRunner
    from m1desk.ui.bridge import Bridge

ExportKind = Literal["markdown", "json"]


class ConversationListViewModel(QObject):
    """Keeps the list of conversations true and carries out what is asked of one of them.

    Signals:
        changed: all conversations (tuple of Conversation), most recently used first.
        found: the words searched for (str) and the hits (tuple of SearchHit).
        deleted: id of a conversation that is gone.
        exported: path (Path) of the file that was written.
        failed: the exception of something that did not work.
    """

    changed = Signal(object)
    found = Signal(str, object)
    deleted = Signal(object)
    exported = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        store: ConversationStore,
        runner: TurnRunner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._store = store
        self._runner = runner
        self._conversations: tuple[Conversation, ...] = ()
        self._query = ""

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """The list as it was last told."""
        return self._conversations

    def refresh(self, then: Callable[[], None] | None = None) -> None:
        """Read the list anew; `then` is called when it is there."""

        def on_done(conversations: tuple[Conversation, ...]) -> None:
            self._conversations = conversations
            self.changed.emit(conversations)
            if then is not None:
                then()

        self._bridge.submit(self._list(), on_done, self.failed.emit)

    def rename(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title."""
        self._bridge.submit(
            self._rename(conversation_id, title), lambda _: self.refresh(), self.failed.emit
        )

    def delete(self, conversation_id: int) -> None:
        """Delete a conversation for good; an answer being written in it is stopped first."""

        def on_done(_: None) -> None:
            self.deleted.emit(conversation_id)
            self.refresh()

        self._bridge.submit(self._delete(conversation_id), on_done, self.failed.emit)

    def search(self, query: str) -> None:
        """Find words in all conversations; only the newest search is answered."""
        self._query = query.strip()
        asked = self._query
        if not asked:
            self.found.emit("", ())
            return

        def on_done(hits: tuple[SearchHit, ...]) -> None:
            if asked == self._query:
                self.found.emit(asked, hits)

        self._bridge.submit(self._search(asked), on_done, self.failed.emit)

    def export(self, conversation_id: int, kind: ExportKind, path: Path) -> None:
        """Write a conversation to a file."""
        self._bridge.submit(
            self._export(conversation_id, kind, path),
            lambda _: self.exported.emit(path),
            self.failed.emit,
        )

    # -- on the loop's thread ---------------------------------------------------------------

    async def _list(self) -> tuple[Conversation, ...]:
        return self._store.list_conversations()

    async def _rename(self, conversation_id: int, title: str) -> None:
        self._store.rename(conversation_id, title)

    async def _delete(self, conversation_id: int) -> None:
        await self._runner.stop(conversation_id)
        self._store.delete(conversation_id)

    async def _search(self, query: str) -> tuple[SearchHit, ...]:
        return self._store.search(query)

    async def _export(self, conversation_id: int, kind: ExportKind, path: Path) -> None:
        write = export_markdown if kind == "markdown" else export_json
        text = write(self._store, conversation_id)
        try:
            await asyncio.to_thread(path.write_text, text, encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"The conversation could not be written to {path}.",
                str(error),
                "Choose another folder, or free some space.",
            ) from error

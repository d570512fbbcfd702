"""Questions about documents, answered by whatever model is loaded, with what it keeps on disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from m1desk.documents import (
    AskingEngine,
    DocumentSets,
    PreparedStates,
    QuestionRunner,
    state_name,
)
from m1desk.errors import EngineFailed
from m1desk.store import AppSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.documents import AskedQuestion, DocumentsText, Wish
    from m1desk.engines import LlamaEngine
    from m1desk.store import Database


class DocumentAsking:
    """Sets of documents, the questions about them, and the states prepared of them.

    Used on one asyncio loop. `folder` is where the engine keeps its prepared states; `post` takes
    every QuestionNotice.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        engine: LlamaEngine,
        post: Callable[[object], None],
    ) -> None:
        self.sets = DocumentSets(database)
        self.runner = QuestionRunner(self.sets, post)
        self.prepared = PreparedStates(folder)
        self.budget_bytes = AppSettings().prepared_budget_bytes
        self.client = engine.client
        self._engine = engine
        self._in_use: Counter[str] = Counter()

    async def ask(self, wish: Wish) -> AskedQuestion:
        """Ask the loaded model; what it has read of the documents is kept for the next question.

        Raises:
            BadInput, StorageError: as `QuestionRunner.ask`.
            EngineFailed: no model is ready.
        """
        client, settings, status = self.client(), self._engine.settings, self._engine.status
        if settings is None:
            raise EngineFailed("No model is loaded.", "", "Load a model, then ask again.")
        used: list[str] = []

        def name_of(documents: DocumentsText) -> str:
            name = state_name(wish.set_id, documents.sha256, settings.model_path, settings.kv_type)
            self.prepared.touch(name)
            self._in_use[name] += 1
            used.append(name)
            return name

        keeps = await client.supports_prepared()
        engine = AskingEngine(
            client, status.model_name, status.context_tokens, name_of if keeps else None
        )
        try:
            return await self.runner.ask(wish, engine)
        finally:
            try:
                await self.make_room(self.budget_bytes)
            finally:
                self._in_use.subtract(used)

    async def make_room(self, budget_bytes: int) -> None:
        """Delete states unused longest beyond the budget, none in use; raises StorageError."""
        keep = frozenset(name for name, count in self._in_use.items() if count > 0)
        await asyncio.to_thread(self.prepared.make_room, budget_bytes, keep)

    def recover(self) -> None:
        """Clear away what a crash left: unfinished answers, states of sets that are gone; blocks.

        Raises:
            StorageError: the database or a file refuses.
        """
        self.sets.recover()
        self.prepared.sweep({one.id for one in self.sets.all()})

    async def delete_set(self, set_id: int) -> None:
        """Delete a set, its questions, and the states prepared of it; raises StorageError."""
        await self.runner.stop(set_id)
        await asyncio.to_thread(self._delete_set, set_id)

    def _delete_set(self, set_id: int) -> None:
        # The states first: what is left of them after a crash would belong to nobody.
        self.prepared.delete_set(set_id)
        self.sets.delete(set_id)

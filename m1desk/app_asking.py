"""Questions about documents, answered by whatever model is loaded, with what it keeps on disk."""

from __future__ import annotations

import asyncio
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

    from m1desk.documents import AskedQuestion, Wish
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
        self._in_use: set[str] = set()

    async def ask(self, wish: Wish) -> AskedQuestion:
        """Ask the loaded model; what it has read of the documents is kept for the next question.

        Raises:
            BadInput, StorageError: as `QuestionRunner.ask`.
            EngineFailed: no model is ready.
        """
        name = await self._state_name(wish.set_id)
        status = self._engine.status
        engine = AskingEngine(self.client(), status.model_name, status.context_tokens, name)
        if name is None:
            return await self.runner.ask(wish, engine)
        self._in_use.add(name)
        try:
            await asyncio.to_thread(self.prepared.touch, name)
            return await self.runner.ask(wish, engine)
        finally:
            await asyncio.to_thread(
                self.prepared.make_room, self.budget_bytes, frozenset(self._in_use)
            )
            self._in_use.discard(name)

    async def delete_set(self, set_id: int) -> None:
        """Delete a set, its questions, and the states prepared of it; raises StorageError."""
        await self.runner.stop(set_id)
        await asyncio.to_thread(self._delete_set, set_id)

    async def _state_name(self, set_id: int) -> str | None:
        client, settings = self.client(), self._engine.settings
        if settings is None:
            raise EngineFailed("No model is loaded.", "", "Load a model, then ask again.")
        if not await client.supports_prepared():
            return None
        return state_name(set_id, settings.model_path, settings.kv_type)

    def _delete_set(self, set_id: int) -> None:
        self.sets.delete(set_id)
        for state in self.prepared.entries():
            if state.set_id == set_id:
                self.prepared.delete(state.name)

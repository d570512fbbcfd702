"""Questions about documents, answered by whatever model is loaded, with what it keeps on disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from m1desk.app_watch import AnswerWatch, WatchedClient
from m1desk.documents import (
    AskingEngine,
    DocumentSets,
    PreparedStates,
    QuestionRunner,
    state_name,
)
from m1desk.engines import Estimates
from m1desk.errors import EngineFailed
from m1desk.store import AppSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine
    from pathlib import Path
    from typing import Any

    from m1desk.documents import AskedQuestion, DocumentsText, TokenCounter, Wish
    from m1desk.engines import LocalEngine, PrepareFinished, ServerInUse
    from m1desk.store import Database


class DocumentAsking:
    """Sets of documents, the questions about them, and the states prepared of them.

    Used on one asyncio loop. `folder` is where the engine keeps its prepared states; `post` takes
    every QuestionNotice; `watch` learns from the answers how fast the engine is.

    Attributes:
        server: the remote server that is asked instead of the loaded model. Set it on the thread
            that asks, when it is shown: a question goes to whoever was seen when it was asked.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        engine: LocalEngine,
        post: Callable[[object], None],
        watch: AnswerWatch,
    ) -> None:
        self.sets = DocumentSets(database)
        self.runner = QuestionRunner(self.sets, post)
        self.prepared = PreparedStates(folder)
        self.budget_bytes = AppSettings().prepared_budget_bytes
        self.server: ServerInUse | None = None
        self._engine = engine
        self._watch = watch
        self._in_use: Counter[str] = Counter()

    def client(self) -> TokenCounter:
        """Who counts tokens: the loaded model, or an estimate where a server would be asked.

        Documents are sent to a server when they are asked about, and not before.

        Raises:
            EngineFailed: no model is ready.
        """
        return self._engine.client() if self.server is None else Estimates()

    def ask(self, wish: Wish) -> Coroutine[Any, Any, AskedQuestion]:
        """Ask; what the loaded model has read of the documents is kept for the next question.

        Raises:
            BadInput, StorageError: as `QuestionRunner.ask`.
            EngineFailed: no model is ready.
        """
        return self._ask(wish, self.server)

    async def _ask(self, wish: Wish, server: ServerInUse | None) -> AskedQuestion:
        if server is not None:
            asked = AskingEngine(server, server.model, server.context_tokens)
            async with server.needed():  # between two passes too
                return await self.runner.ask(wish, asked)
        async with self._asking_engine(wish.set_id) as engine:
            return await self.runner.ask(wish, engine)

    async def prepare(self, set_id: int) -> PrepareFinished | None:
        """Have the loaded model read a set and keep what it has read; None when it was stopped.

        Raises:
            M1DeskError: as `QuestionRunner.prepare`.
            EngineFailed: no model is ready.
        """
        async with self._asking_engine(set_id) as engine:
            return await self.runner.prepare(set_id, engine)

    @asynccontextmanager
    async def _asking_engine(self, set_id: int) -> AsyncIterator[AskingEngine]:
        """The loaded model for one question; then the states are brought within their budget.

        Passes after those that fill the budget are not kept: each would push out one that the next
        question could use.
        """
        client, settings, status = self._engine.client(), self._engine.settings, self._engine.status
        if settings is None:
            raise EngineFailed("No model is loaded.", "", "Load a model, then ask again.")
        used: list[str] = []

        def name_of(documents: DocumentsText) -> str | None:
            name = state_name(set_id, documents.sha256, settings.model_path, settings.kv_type)
            if used and self._size_bytes(used) >= self.budget_bytes:
                return None
            self.prepared.touch(name)
            self._in_use[name] += 1
            used.append(name)
            return name

        keeps = await client.supports_prepared()
        try:
            yield AskingEngine(
                WatchedClient(client, settings, self._watch),
                status.model_name,
                status.context_tokens,
                name_of if keeps else None,
            )
        finally:
            try:
                await self.make_room(self.budget_bytes)
            finally:
                self._in_use.subtract(used)

    def _size_bytes(self, names: Collection[str]) -> int:
        return sum(one.size_bytes for one in self.prepared.entries() if one.name in names)

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

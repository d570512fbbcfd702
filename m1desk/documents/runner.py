"""Works on sets of documents, one thing at a time for each: answers questions, reads ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from m1desk.documents.asking import prepare_text, refuse_empty, too_long
from m1desk.documents.budget import count_prompt
from m1desk.documents.citations import CitationChecker
from m1desk.documents.notices import PreparingEnded, PreparingStarted, PreparingStep, QuestionNotice
from m1desk.documents.prompt import lay_out
from m1desk.documents.question_run import AskedDocuments, AskingEngine, QuestionRun, Wish, told
from m1desk.documents.stopping import Stoppable
from m1desk.engines import PrepareFinished
from m1desk.errors import BadInput, EngineFailed

if TYPE_CHECKING:
    from m1desk.documents.prompt import DocumentsText
    from m1desk.documents.set_values import AskedQuestion
    from m1desk.documents.sets import DocumentSets

__all__ = ["AskingEngine", "QuestionRunner", "Wish"]


class QuestionRunner:
    """Runs questions, one per set at a time; belongs to the thread of one event loop.

    `emit` gets every notice in order, on the loop's thread, and must not block.
    """

    def __init__(self, sets: DocumentSets, emit: Callable[[QuestionNotice], None]) -> None:
        self._sets = sets
        self._emit = emit
        self._running: dict[int, Stoppable] = {}
        self._last: tuple[str, CitationChecker] | None = None

    @property
    def running(self) -> frozenset[int]:
        """Ids of the sets that are being asked about, or prepared."""
        return frozenset(self._running)

    async def ask(self, wish: Wish, engine: AskingEngine) -> AskedQuestion:
        """Ask, and return the question with its answer when it has ended, however it ended.

        Raises:
            BadInput: an empty question, a set without text, one that is being worked on, or a
                question that can't be gone on with.
            StorageError: the answer can't be kept.
        """
        run = QuestionRun(self._sets, self._emit, wish, engine)
        async with self._alone(wish.set_id, run):
            refuse_empty(wish.question)
            asked = await asyncio.to_thread(self._documents, wish.set_id)
            return await run.run(asked, self._checker)

    async def prepare(self, set_id: int, engine: AskingEngine) -> PrepareFinished | None:
        """Read a set's documents and keep what was read; None when that was stopped.

        A question does the same before it is asked. How it goes and ends is told as notices too.

        Raises:
            BadInput: a set without text, one that is being worked on, or one that does not fit.
            M1DeskError: the engine failed, or keeps nothing.
        """
        run = Stoppable()
        async with self._alone(set_id, run):
            self._emit(PreparingStarted(set_id))
            run.listen()
            try:
                finished = await self._prepare(set_id, engine)
            except asyncio.CancelledError:
                self._emit(PreparingEnded(set_id))
                if not run.take_stop():
                    raise
                return None
            except Exception as error:
                self._emit(PreparingEnded(set_id, error=told(error)))
                raise
            self._emit(PreparingEnded(set_id, finished))
            return finished

    async def stop(self, set_id: int) -> None:
        """Stop what is done with a set and wait for its end; what arrived is kept."""
        running = self._running.get(set_id)
        if running is not None:
            running.stop()
            await running.ended.wait()

    async def stop_all(self) -> None:
        """Stop everything and wait for the ends."""
        await asyncio.gather(*(self.stop(set_id) for set_id in self.running))

    # -- inside ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _alone(self, set_id: int, work: Stoppable) -> AsyncIterator[None]:
        """Do one thing at a time with a set."""
        if set_id in self._running:
            raise BadInput(
                "These documents are still being worked on.", "", "Wait for the end, or stop it."
            )
        self._running[set_id] = work
        try:
            yield
        finally:
            del self._running[set_id]
            work.ended.set()

    async def _prepare(self, set_id: int, engine: AskingEngine) -> PrepareFinished:
        text = (await asyncio.to_thread(self._documents, set_id)).text
        name = engine.state_name(text) if engine.state_name is not None else None
        if name is None:
            raise BadInput(
                "This engine keeps no documents.", "", "Ask about them: they are read each time."
            )
        tokens = await count_prompt(engine.client, text, "")
        if tokens > engine.context_tokens:
            raise too_long(tokens, 0, engine.context_tokens)
        preparing = prepare_text(engine.client, text, name, engine.checkpoint)
        async with aclosing(preparing) as steps:
            async for step in steps:
                if isinstance(step, PrepareFinished):
                    return step
                self._emit(PreparingStep(set_id, step))
        raise EngineFailed("The documents could not be prepared.", "", "Try again.")

    def _documents(self, set_id: int) -> AskedDocuments:
        used = [one.document for one in self._sets.files(set_id) if one.included and one.document]
        if not used:
            raise BadInput(
                "There is no text to ask about.",
                "No file of this set could be read, or all are left out.",
                "Add documents, or take some of them in again.",
            )
        return AskedDocuments(tuple(used), lay_out(used))

    def _checker(self, documents: DocumentsText) -> CitationChecker:
        """Make a checker, or take the last one: it reads all the text."""
        known = self._last
        if known is None or known[0] != documents.text:
            known = (documents.text, CitationChecker(documents))
            self._last = known
        return known[1]

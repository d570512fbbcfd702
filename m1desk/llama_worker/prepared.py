"""Prepared documents: the beginning that later prompts share, read once and kept on disk."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.generation import Broken, Done, Event, Generation, Progress
from m1desk.llama_worker.output import OutputParser
from m1desk.llama_worker.prepared_saver import NotSaved, Preparation, Saved
from m1desk.llama_worker.requests import PrepareRequest, SamplingOptions
from m1desk.llama_worker.sampling import Sampler
from m1desk.llama_worker.slots import common_prefix
from m1desk.llama_worker.states_manifest import NAME_RULE, StateRefused, is_name
from m1desk.wire import PreparedEntry, PreparedSummary, StateRefusal, Timings

if TYPE_CHECKING:
    from m1desk.llama_worker.engine import Engine
    from m1desk.llama_worker.prompts import Prompts
    from m1desk.llama_worker.states import SavedState, StateStore

Json = dict[str, object]

NO_STATES: Final = "This engine keeps no prepared documents: it was started without --states."

_CONTINUATIONS: Final = ("\n\nWhat is this?", " and so on", "s", "1.", "<end>")
"""How a content may go on: each would join another kind of last token, if the vocabulary has it."""


class PreparationBusy(Exception):
    """A document of that name is being prepared right now."""


@dataclass(slots=True, eq=False)
class PreparationTicket:
    """A preparation in the scheduler's hands, and where its events arrive.

    Attributes:
        total: tokens of the state to be made.
        refused: why a saved state was not gone on with.
        generation: None when the state is there already and nothing is read.
        state_bytes: of the state that is there already.
    """

    name: str
    total: int
    refused: StateRefusal | None = None
    generation: Generation | None = None
    state_bytes: int = 0
    events: asyncio.Queue[Event | Saved | NotSaved] = field(default_factory=asyncio.Queue)
    began: float = field(default_factory=time.perf_counter)

    async def chunks(self) -> AsyncIterator[Json]:
        """The JSON objects of the stream, ending with `prepared` or `error`."""
        if self.refused is not None:
            yield {"refused": self.refused}
        if self.generation is None:
            yield self._summary(self.state_bytes, None)
            return
        timings: Timings | None = None
        end: Saved | NotSaved | None = None
        # the reading and the last save come to their ends on different threads
        while timings is None or end is None:
            event = await self.events.get()
            if isinstance(event, Broken):
                yield _error(event.message, "server_error")
                return
            if isinstance(event, Done):
                timings = event.timings
                use = event.prepared
                if use is not None and not use["used"]:
                    yield {"refused": {"reason": use["reason"], "message": use["message"]}}
                if event.finish_reason == "length":  # the cache ran out of cells before its end
                    yield _error("The document found no room in the context.", "server_error")
                    return
            elif isinstance(event, Saved | NotSaved):
                end = event if event.complete else None
                yield _saved_chunk(event)
            elif isinstance(event, Progress):
                yield {"prompt_progress": event.progress}
        if isinstance(end, Saved):
            yield self._summary(end.state["bytes"], timings)
        else:
            yield _error(end.refusal["message"], end.refusal["reason"])

    def _summary(self, size: int, timings: Timings | None) -> Json:
        return {
            "prepared": PreparedSummary(
                name=self.name,
                tokens=self.total,
                bytes=size,
                restored_tokens=timings["cache_n"] if timings else self.total,
                read_tokens=timings["prompt_n"] if timings else 0,
                seconds=time.perf_counter() - self.began,
            )
        }


class Preparations:
    """Makes, finds and removes prepared documents, free of HTTP. For the server's loop."""

    def __init__(self, engine: Engine, prompts: Prompts, store: StateStore) -> None:
        self._engine = engine
        self._prompts = prompts
        self._store = store
        self._busy: set[str] = set()

    async def open(self, name: str, request: PrepareRequest) -> PreparationTicket:
        """Begin, or go on with, the preparation of a document; `close` must follow.

        Raises:
            RequestError: the name, the conversation or its template can't be used.
            ContextExceeded: the document is longer than the context.
            PreparationBusy: the name is being prepared.
        """
        _check_name(name)
        if name in self._busy:
            raise PreparationBusy(f"{name!r} is being prepared already.")
        self._busy.add(name)
        try:
            ticket = await asyncio.to_thread(self._begin, name, request)
        except BaseException:
            self._busy.discard(name)
            raise
        if ticket.generation is not None:
            self._submit(ticket, ticket.generation, request)
        return ticket

    def close(self, ticket: PreparationTicket) -> None:
        """The client is gone or served; what is not complete is given up, checkpoints stay."""
        self._busy.discard(ticket.name)
        if ticket.generation is not None:
            self._engine.scheduler.cancel(ticket.generation)

    def find(self, name: str, prompt: Sequence[int]) -> SavedState:
        """The verified state of a document that `prompt` begins with; reads all of the file once.

        Raises:
            StateRefused: there is none, or it can't be used for this prompt.
        """
        state = self._store.open(name)
        shared = common_prefix(state.tokens, prompt)
        if shared < state.count:
            raise StateRefused(
                "other_tokens",
                f"It was made of another text: only {shared:,} of its {state.count:,} tokens are "
                "what this prompt begins with.",
            )
        self._store.verify(state)
        return state

    async def entries(self) -> list[PreparedEntry]:
        """All prepared documents, usable or not."""
        return await asyncio.to_thread(self._store.entries)

    async def delete(self, name: str) -> bool:
        """Remove one; False when there is none of that name.

        Raises:
            RequestError: no document can be called so.
            PreparationBusy: the name is being prepared.
            OSError: the system does not allow it.
        """
        _check_name(name)
        if name in self._busy:
            raise PreparationBusy(f"{name!r} is being prepared. Stop that first.")
        self._busy.add(name)  # what begins meanwhile would be deleted with what was there
        try:
            return await asyncio.to_thread(self._store.delete, name)
        finally:
            self._busy.discard(name)

    # On a thread of its own: a thousand pages take seconds

    def _begin(self, name: str, request: PrepareRequest) -> PreparationTicket:
        tokens = self._shared_tokens(request)
        self._prompts.check_length(tokens, "messages")
        ticket = PreparationTicket(name, len(tokens))
        saved = None
        try:
            saved = self.find(name, tokens)
        except StateRefused as refused:
            if refused.reason != "not_found":
                ticket.refused = refused.refusal()
        if saved is not None and saved.count == len(tokens):
            ticket.state_bytes = saved.manifest.size
        else:
            ticket.generation = self._generation(tokens, saved)
        return ticket

    def _shared_tokens(self, request: PrepareRequest) -> list[int]:
        """The tokens that every prompt begins with whose last content begins with this one."""
        *history, last = request.messages
        versions = [
            self._prompts.render(
                [*history, {**last, "content": f"{last['content']}{more}"}],
                None,
                request.template_arguments,
                opening=True,
            )
            for more in _CONTINUATIONS
        ]
        return self._prompts.shared_tokens(versions)

    def _generation(self, tokens: list[int], saved: SavedState | None) -> Generation:
        engine = self._engine
        return Generation(
            prompt=tokens,
            output=OutputParser(
                stops=(), starts_in_think=False, parse_think=False, parse_tool_calls=False
            ),
            deliver=lambda _event: None,
            sampler=Sampler(engine.native, engine.model, SamplingOptions(), None),
            saved=saved,
            # a question parts from the document right behind it
            snapshot_positions=(len(tokens),),
        )

    def _submit(
        self, ticket: PreparationTicket, generation: Generation, request: PrepareRequest
    ) -> None:
        loop = asyncio.get_running_loop()

        def deliver(event: Event | Saved | NotSaved) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker is ending
                loop.call_soon_threadsafe(ticket.events.put_nowait, event)

        generation.deliver = deliver
        generation.preparation = Preparation(ticket.name, request.plan, deliver)
        self._engine.scheduler.submit(generation)


def _check_name(name: str) -> None:
    if not is_name(name):
        raise RequestError(f"The name {NAME_RULE}", "name")


def _saved_chunk(event: Saved | NotSaved) -> Json:
    if isinstance(event, Saved):
        return {"saved": event.state}
    return {"save_failed": event.refusal}


def _error(message: str, kind: str) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": 500}}

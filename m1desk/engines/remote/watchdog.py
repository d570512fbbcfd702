"""A watch over answers that come as streams: tells a long silence of work from a lost server.

A server that has lost one of its machines goes on saying that it is well, and its streams go
silent. What tells it from one that reads a long prompt are its counters of tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx

from m1desk.errors import EngineStalled

_T = TypeVar("_T")
_LONGEST_GAP_TIMES: Final = 3


@dataclass(frozen=True, slots=True)
class StallPatience:
    """When a silent stream counts as stalled (seconds).

    Attributes:
        first_seconds: without a sign of work since the request began. A server's first request
            may have to compile for a while.
        silence_seconds: after signs of work; three times the longest pause between two of them
            where that is more.
        blind_seconds: as silence_seconds for a server that answers but shows no counters, once
            the answer has begun; before that nothing tells a long prompt from a stall.
        look_seconds: between two looks at the server while nothing comes.
        answer_seconds: how long the server may take to answer a look.
    """

    first_seconds: float = 90.0
    silence_seconds: float = 14.0
    blind_seconds: float = 180.0
    look_seconds: float = 2.0
    answer_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a look at a server showed.

    Attributes:
        answers: it answered at all.
        counters: its counters of work, which are equal while nothing is read or written; None
            when it shows none.
    """

    answers: bool
    counters: tuple[float, ...] | None = None


Look = Callable[[], Awaitable[Pulse]]


class WatchTransport(httpx.AsyncBaseTransport):
    """Watches over the requests that have no time limit; the others end by theirs."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, look: Look, patience: StallPatience
    ) -> None:
        self._inner = inner
        self._look = look
        self._patience = patience

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            EngineStalled: nothing came, and the server does nothing; also while the body is read.
        """
        if request.extensions.get("timeout", {}).get("read") is not None:
            return await self._inner.handle_async_request(request)
        watch = StallWatch(self._look, self._patience)
        response = await watch.over(self._inner.handle_async_request(request))
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous transport gave a stream of another kind")
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_WatchedStream(response.stream, watch),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class StallWatch:
    """Watches over one answer."""

    def __init__(self, look: Look, patience: StallPatience) -> None:
        self._look = look
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._last_sign = self._loop.time()
        self._longest_gap = 0.0
        self._has_worked = False
        self._has_begun = False
        self._counters: tuple[float, ...] | None = None
        self._verdict: EngineStalled | None = None

    async def over(self, waiting: Awaitable[_T]) -> _T:
        """Wait for something from the server, as long as it shows any sign of work.

        Raises:
            EngineStalled: it shows none.
        """
        try:
            async with asyncio.timeout(None) as limit:
                looking = asyncio.create_task(self._look_on(limit), name="stall watch")
                try:
                    return await waiting
                finally:
                    looking.cancel()
        except TimeoutError:
            if self._verdict is None:  # somebody else's limit
                raise
            raise self._verdict from None

    def note_answer(self) -> None:
        """Note that a piece of the answer came."""
        self._has_begun = True
        self._note_sign()

    async def _look_on(self, limit: asyncio.Timeout) -> None:
        while True:
            await asyncio.sleep(self._patience.look_seconds)
            pulse = await self._look()
            before, self._counters = self._counters, pulse.counters
            if before is not None and pulse.counters is not None and before != pulse.counters:
                self._note_sign()
            silent = self._loop.time() - self._last_sign
            allowed = self._allowed(pulse)
            if allowed is not None and silent >= allowed:
                self._verdict = stalled(pulse, silent)
                limit.reschedule(self._loop.time())
                return

    def _allowed(self, pulse: Pulse) -> float | None:
        """How long a silence may last; None where nothing can be told."""
        is_blind = pulse.answers and pulse.counters is None
        if is_blind and not self._has_begun:
            return None
        if not self._has_worked:
            return self._patience.first_seconds
        usual = self._patience.blind_seconds if is_blind else self._patience.silence_seconds
        return max(usual, _LONGEST_GAP_TIMES * self._longest_gap)

    def _note_sign(self) -> None:
        now = self._loop.time()
        if self._has_worked:
            self._longest_gap = max(self._longest_gap, now - self._last_sign)
        self._has_worked = True
        self._last_sign = now


def stalled(pulse: Pulse, seconds: float) -> EngineStalled:
    """Say what a silence of so many seconds means, by the last look at the server.

    The words hold for a server elsewhere and for an engine of this machine.
    """
    if not pulse.answers:
        return EngineStalled(
            "The engine can't be reached any more.",
            f"Nothing has come for {seconds:.0f} seconds, and it does not answer other questions.",
            "Check that it runs, and the network where it is elsewhere, then have the answer "
            "written again.",
        )
    seen = (
        "it shows no counters to tell whether it works"
        if pulse.counters is None
        else "its counters say that it reads and writes nothing"
    )
    return EngineStalled(
        "The engine has stopped working on the answer.",
        f"Nothing has come for {seconds:.0f} seconds; it answers other questions, but {seen}.",
        "One of its processes or machines may be lost: check its log and start it again, then "
        "have the answer written again.",
    )


class _WatchedStream(httpx.AsyncByteStream):
    """The body of an answer; each piece is waited for under the watch."""

    def __init__(self, inner: httpx.AsyncByteStream, watch: StallWatch) -> None:
        self._inner = inner
        self._watch = watch

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._inner.__aiter__()
        while True:
            piece = await self._watch.over(anext(pieces, None))
            if piece is None:
                return
            self._watch.note_answer()
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()

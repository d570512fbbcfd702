"""How a streamed answer arrives: as it is written, or held back on the way."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from m1desk.engines.json_values import as_mapping
from m1desk.engines.refusal import is_error, refusal_from_json
from m1desk.engines.sse import SseDecoder
from m1desk.errors import EngineRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

_PAUSE_SECONDS: Final = 0.05  # shorter ones are the network's, or of whoever waits for a core
_LONG_PAUSE_SECONDS: Final = 0.4  # what is written in less time may well come at once
_AT_ONCE_SECONDS: Final = 0.1
_FEW_EVENTS: Final = 4  # an engine sends one for each token or two
_TELLING_EVENTS: Final = 8
_ENOUGH_SECONDS: Final = 0.4
_ENOUGH_PIECES: Final = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """What came without a pause in it.

    Attributes:
        first, last: when it began and ended to come (seconds since the answer was asked for).
        events: how many events ended in it.
        is_whole: it ended with an event, and not in the midst of one.
    """

    first: float
    last: float
    events: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a streamed answer arrived.

    Attributes:
        pieces: at least one, in their order, with pauses between them.
        progress: whether the server said how far it had read the prompt.
    """

    pieces: tuple[Piece, ...]
    progress: bool = False

    def is_held_back(self, until_first_token: float) -> bool | None:
        """Whether it waited on the way for more of it; None if it came too quickly to tell.

        A proxy that fills a buffer pauses in the midst of events, which no engine does. One that
        waits for the end, or for its clock, lets many events go at once after a long pause. How
        many come at once tells nothing alone: on a busy machine they do so anyway.

        Args:
            until_first_token: how long an answer of one token took (seconds).
        """
        cut = sum(not piece.is_whole for piece in self.pieces[:-1])
        if cut > 1 and 2 * cut >= len(self.pieces):
            return True
        events = sum(piece.events for piece in self.pieces)
        if events >= _TELLING_EVENTS and 2 * self._late_events(until_first_token) >= events:
            return True
        took = self.pieces[-1].last - min(until_first_token, self.pieces[0].first)
        return None if len(self.pieces) == 1 and took < _LONG_PAUSE_SECONDS else False

    def _late_events(self, until_first_token: float) -> int:
        """Events that came at once with others after a long pause."""
        start = Piece(0.0, until_first_token, 0, is_whole=True)
        return sum(
            piece.events
            for before, piece in pairwise((start, *self.pieces))
            if piece.first - before.last >= _LONG_PAUSE_SECONDS
            and piece.last - piece.first <= _AT_ONCE_SECONDS
            and piece.events > _FEW_EVENTS
        )


async def note_arrival(response: httpx.Response, began: float) -> Arrival:
    """Read a streamed answer until it is known how it comes; `began` is of `time.monotonic`.

    Raises:
        EngineRefused: it is empty, or an error is in it.
        httpx.HTTPError: the connection was lost.
    """
    decoder = SseDecoder()
    pieces: list[Piece] = []
    progress = False
    async for received in response.aiter_bytes():
        chunks = _chunks(decoder.feed(received))
        for chunk in chunks:
            if is_error(chunk):
                raise refusal_from_json(response.status_code, chunk)
            progress = progress or "prompt_progress" in chunk
        now = time.monotonic() - began
        is_whole = not decoder.is_within_event
        if pieces and now - pieces[-1].last < _PAUSE_SECONDS:
            events = pieces[-1].events + len(chunks)
            pieces[-1] = replace(pieces[-1], last=now, events=events, is_whole=is_whole)
        elif chunks or pieces:
            pieces.append(Piece(now, now, len(chunks), is_whole))
        if len(pieces) >= _ENOUGH_PIECES and now - pieces[0].first >= _ENOUGH_SECONDS:
            break
    if not any(piece.events for piece in pieces):
        raise EngineRefused(
            "The stream was empty.", "It ended without an answer.", "", status=response.status_code
        )
    return Arrival(tuple(pieces), progress)


def _chunks(events: list[str]) -> list[Mapping[str, Any]]:
    """The JSON objects among the events; an end mark is none."""
    chunks = []
    for event in events:
        try:
            chunks.append(as_mapping(json.loads(event)))
        except (ValueError, RecursionError):
            continue
    return [chunk for chunk in chunks if chunk]

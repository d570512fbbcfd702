"""The one client for every engine: the OpenAI dialect over HTTP, with its faults made readable."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx

from m1desk.engines.metrics import EngineMetrics, parse_metrics
from m1desk.engines.prepared import (
    PrepareFinished,
    prepare_body,
    read_document,
    read_prepare_chunk,
)
from m1desk.engines.refusal import is_error, refusal_from_json, refusal_from_response
from m1desk.engines.sse import SseDecoder
from m1desk.engines.turn import PreparedUse
from m1desk.engines.turn_stream import TurnReader, request_body
from m1desk.errors import EngineRefused, EngineUnreachable

if TYPE_CHECKING:
    from m1desk.engines.prepared import CheckpointPlan, PreparedDocument, PrepareEvent
    from m1desk.engines.status import Endpoint
    from m1desk.engines.turn import ChatMessage, ChatRequest, TurnEvent

_log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 60.0
_COUNT_SECONDS: Final = 300.0  # a million tokens take a while to count
_MOST_ERROR_BYTES: Final = 256 * 1024
_DONE: Final = "[DONE]"
_PREPARED: Final = "prepared"
_PREPARED_PATH: Final = "/v1/prepared"
_KEEPS_NONE: Final = "This engine keeps no prepared documents."
_STREAMING: Final = httpx.Timeout(_CONNECT_SECONDS, read=None, write=None)
"""No limit on reading: the prefill of a whole book may take hours before the first byte."""


class EngineClient:
    """A model at an endpoint. Use it on one loop, and close it with `aclose`."""

    _TEXT_FIELD = "content"  # where the tokenizer's endpoint takes a bare text

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Make no connection yet.

        Args:
            endpoint: where the model answers.
            headers: sent with every request beside the key.
            transport: the way there, for other than a plain connection.
        """
        self._endpoint = endpoint
        self._keeps_prepared: bool | None = None  # None: not asked yet
        bearer = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._http = httpx.AsyncClient(
            base_url=endpoint.base_url,
            headers={**bearer, **(headers or {})},
            transport=transport or plain_transport(endpoint),
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=False,  # a proxy of the user's has no business between us and this machine
        )

    @property
    def model(self) -> str:
        """The model's id in the API."""
        return self._endpoint.model

    @property
    def counts_exactly(self) -> bool:
        """Whether it counts conversations as the model reads them, and does not estimate."""
        return True

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def stream_turn(self, request: ChatRequest) -> AsyncGenerator[TurnEvent, None]:
        """Answer a conversation, piece by piece; the last event is TurnFinished.

        Closing the generator closes the connection at once, and with that the engine gives the
        answer up.

        Raises:
            EngineRefused: the engine answered with an error, before or in the middle.
            EngineUnreachable: no connection, or it ended before the answer did.
        """
        reader = TurnReader()
        unused: PreparedUse | None = None
        if request.prepared is not None and not await self.supports_prepared():
            unused = PreparedUse(
                request.prepared, used=False, reason="unsupported", message=_KEEPS_NONE
            )
            request = replace(request, prepared=None)
        body = self._turn_body(request)
        async with (
            self._open_stream("/v1/chat/completions", body) as response,
            aclosing(_chunks(response)) as chunks,
        ):
            async for chunk in chunks:
                for event in reader.read(chunk):
                    yield event
        finished = reader.finished()
        if finished is None:
            raise _cut_off("The stream ended without an end of the answer.")
        yield finished if unused is None else replace(finished, prepared=unused)

    async def supports_prepared(self) -> bool:
        """Ask whether the engine keeps prepared documents; most do not. Asked once.

        Raises:
            EngineUnreachable: as for `stream_turn`.
        """
        if self._keeps_prepared is None:
            try:
                extensions = (await self.props()).get("extensions")
            except EngineRefused:  # it has no /props at all
                extensions = None
            self._keeps_prepared = isinstance(extensions, list) and _PREPARED in extensions
        return self._keeps_prepared

    async def prepare(
        self,
        name: str,
        messages: Sequence[ChatMessage],
        checkpoint: CheckpointPlan | None = None,
    ) -> AsyncGenerator[PrepareEvent, None]:
        """Have the beginning of later prompts read and kept; the last event is PrepareFinished.

        Closing the generator ends the work; what was saved on the way stays, and preparing it
        again goes on from there.

        Args:
            name: 1 to 64 characters of a-z, 0-9 and "-", the first one not "-".
            messages: the last one is the user's; later contents begin with its content.
            checkpoint: when the state is saved on the way; None leaves it to the engine.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`; also when the state can't be
                saved at the end.
        """
        finished = False
        async with (
            self._open_stream(
                f"{_PREPARED_PATH}/{quote(name)}", prepare_body(messages, checkpoint)
            ) as response,
            aclosing(_chunks(response)) as chunks,
        ):
            async for chunk in chunks:
                event = read_prepare_chunk(chunk)
                if event is not None:
                    finished = isinstance(event, PrepareFinished)
                    yield event
        if not finished:
            raise _cut_off("The stream ended before the document was prepared.")

    async def list_prepared(self) -> tuple[PreparedDocument, ...]:
        """List the prepared documents, usable or not.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        response = await self._ask("GET", _PREPARED_PATH)
        entries = _object(response).get("data")
        if not isinstance(entries, list):
            raise _not_understood(response)
        return tuple(read_document(entry) for entry in entries if isinstance(entry, dict))

    async def delete_prepared(self, name: str) -> None:
        """Remove a prepared document.

        Raises:
            EngineRefused: there is none of that name, it is being prepared, or the system does
                not allow it.
            EngineUnreachable: as for `stream_turn`.
        """
        await self._ask("DELETE", f"{_PREPARED_PATH}/{quote(name)}")

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Count a conversation's tokens as the model would read them, template included.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        sent = [{"role": one.role, "content": one.content} for one in messages]
        return await self._count({"messages": sent})

    async def count_text(self, text: str) -> int:
        """Count the tokens of a bare text, without any template.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        return await self._count({self._TEXT_FIELD: text})

    async def _count(self, what: Mapping[str, object]) -> int:
        # The ids of a million tokens would cost as much as the counting; who doesn't know the
        # wish for the count alone sends them all the same.
        body = {"model": self.model, **what, "count_only": True}
        response = await self._ask("POST", "/tokenize", json=body, seconds=_COUNT_SECONDS)
        count = _object(response).get("count")
        if not isinstance(count, int):
            raise _not_understood(response)
        return count

    async def props(self) -> Mapping[str, Any]:
        """Read the engine's properties, as it names them.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        return _object(await self._ask("GET", "/props"))

    async def models(self) -> tuple[str, ...]:
        """List the models' ids.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        response = await self._ask("GET", "/v1/models")
        cards = _object(response).get("data")
        if not isinstance(cards, list):
            raise _not_understood(response)
        return tuple(str(card["id"]) for card in cards if isinstance(card, dict) and "id" in card)

    async def metrics(self) -> EngineMetrics:
        """Read the engine's counters.

        Raises:
            EngineRefused, EngineUnreachable: as for `stream_turn`.
        """
        response = await self._ask("GET", self._metrics_path())
        try:
            return parse_metrics(response.text, time.monotonic())
        except ValueError as error:
            raise _not_understood(response) from error

    def _metrics_path(self) -> str:
        return "/metrics"

    def _turn_body(self, request: ChatRequest) -> dict[str, object]:
        return request_body(self.model, request)

    def _explain(self, error: httpx.HTTPError | httpx.StreamError) -> EngineUnreachable:
        return _unreachable(error)

    def _refuse_closed(self) -> None:
        if self._http.is_closed:
            raise EngineUnreachable(
                "The model was unloaded.", "", "Load it again, then send it again."
            )

    async def _ask(
        self, method: str, path: str, *, json: object = None, seconds: float = _ANSWER_SECONDS
    ) -> httpx.Response:
        limits = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        self._refuse_closed()
        try:
            response = await self._http.request(method, path, json=json, timeout=limits)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._explain(error) from error
        if not response.is_success:
            raise refusal_from_response(response.status_code, response.content)
        return response

    @asynccontextmanager
    async def _open_stream(self, path: str, body: object) -> AsyncIterator[httpx.Response]:
        self._refuse_closed()
        try:
            async with self._http.stream("POST", path, json=body, timeout=_STREAMING) as response:
                kind = response.headers.get("content-type", "")
                if not response.is_success or not kind.startswith("text/event-stream"):
                    raise refusal_from_response(response.status_code, await _beginning(response))
                yield response
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._explain(error) from error


def plain_transport(endpoint: Endpoint) -> httpx.AsyncHTTPTransport:
    """Make the way to an endpoint: a connection, or its socket."""
    socket = None if endpoint.socket is None else str(endpoint.socket)
    return httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None), uds=socket)


async def _chunks(response: httpx.Response) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield the JSON objects of a stream, up to its end mark.

    Raises:
        EngineRefused: one of them is an error.
        EngineUnreachable: something else than a stream of JSON came.
    """
    decoder = SseDecoder()
    async for received in response.aiter_bytes():
        try:
            events = decoder.feed(received)
            chunks = [json.loads(data) for data in events if data.strip() != _DONE]
        except (ValueError, RecursionError) as error:
            _log.warning("a stream of the engine's can't be read: %s", error)
            raise _cut_off("What came is not what an engine sends.") from error
        for chunk in chunks:
            if not isinstance(chunk, dict):
                continue
            if is_error(chunk):
                raise refusal_from_json(response.status_code, chunk)
            yield chunk
        if any(data.strip() == _DONE for data in events):
            return


async def _beginning(response: httpx.Response) -> bytes:
    """Read as much of an error as could be worth showing."""
    body = b""
    async for received in response.aiter_bytes():
        body += received
        if len(body) > _MOST_ERROR_BYTES:
            break
    return body


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        answer = response.json()
    except (ValueError, RecursionError) as error:
        raise _not_understood(response) from error
    if not isinstance(answer, dict):
        raise _not_understood(response)
    return answer


def _not_understood(response: httpx.Response) -> EngineRefused:
    return refusal_from_response(response.status_code, response.content[:_MOST_ERROR_BYTES])


def _unreachable(error: httpx.HTTPError | httpx.StreamError) -> EngineUnreachable:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return EngineUnreachable(
            "The engine does not answer.",
            "No connection could be made.",
            "Check that the model is loaded, then send it again.",
        )
    if isinstance(error, httpx.TimeoutException):
        return EngineUnreachable(
            "The engine takes too long to answer.", "", "Wait until it is less busy and try again."
        )
    _log.warning("a connection to the engine was lost: %s: %s", type(error).__name__, error)
    return _cut_off("The connection to the engine broke off.")


def _cut_off(why: str) -> EngineUnreachable:
    return EngineUnreachable(
        "The answer was cut off.",
        why,
        "Check that the model is still loaded, then have the answer written again.",
    )

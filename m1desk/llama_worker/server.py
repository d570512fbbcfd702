"""The worker's HTTP face: routes, the key, limits, errors in OpenAI's shape, event streams."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from m1desk.llama_worker.answers import (
    AnswerFormat,
    ChatFormat,
    CompletionFormat,
    Json,
    Ticket,
)
from m1desk.llama_worker.bodies import load_json
from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.prepared import NO_STATES, PreparationBusy, Preparations
from m1desk.llama_worker.prompts import ContextExceeded
from m1desk.llama_worker.requests import (
    parse_chat,
    parse_completion,
    parse_detokenize,
    parse_prepare,
    parse_tokenize,
)
from m1desk.llama_worker.service import Service

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from m1desk.llama_worker.engine import Engine

_MOST_BODY_BYTES = 64 << 20
"""A million tokens are about 4 MB of text; this leaves room for any escape of it."""

_TOO_LARGE = f"The request body is larger than {_MOST_BODY_BYTES:,} bytes."

_OPEN_PATHS = frozenset({"/health"})


class Server:
    """The ASGI application, before and after the model is loaded."""

    def __init__(self, api_key: str) -> None:
        """An empty key leaves the door open: only for trying things by hand."""
        self.load_fraction = 0.0
        self._engine: Engine | None = None
        self._service: Service | None = None
        routes = [
            Route("/health", self._health),
            Route("/props", self._props),
            Route("/metrics", self._metrics),
            Route("/tokenize", self._tokenize, methods=["POST"]),
            Route("/detokenize", self._detokenize, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/completions", self._complete, methods=["POST"]),
            Route("/v1/prepared", self._list_prepared),
            Route("/v1/prepared/{name}", self._prepare, methods=["POST"]),
            Route("/v1/prepared/{name}", self._delete_prepared, methods=["DELETE"]),
        ]
        self.app = Starlette(
            routes=routes,
            middleware=[Middleware(_KeyGuard, api_key=api_key)] if api_key else [],
            exception_handlers={
                RequestError: _on_request_error,
                ContextExceeded: _on_context_exceeded,
                PreparationBusy: _on_busy,
                HTTPException: _on_http_error,
                ClientDisconnect: _on_client_gone,
                Exception: _on_bug,
            },
        )

    def attach(self, engine: Engine) -> None:
        """The model is loaded: answer from now on. Safe from another thread."""
        self._engine = engine
        self._service = Service(engine)

    @property
    def _ready(self) -> Service:
        if self._service is None:
            raise HTTPException(503, "The model is still loading.")
        return self._service

    async def _health(self, _request: Request) -> Response:
        if self._service is None:
            return JSONResponse({"status": "loading", "fraction": self.load_fraction}, 503)
        return JSONResponse({"status": "ok"})

    async def _props(self, _request: Request) -> Response:
        return JSONResponse(self._ready.props())

    async def _metrics(self, _request: Request) -> Response:
        return Response(self._ready.metrics(), media_type="text/plain; version=0.0.4")

    async def _models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._ready.model_card()]})

    async def _tokenize(self, request: Request) -> Response:
        service, raw = self._ready, await _read_body(request)

        def work() -> Response:
            return JSONResponse(service.tokenize(parse_tokenize(load_json(raw))))

        return await asyncio.to_thread(work)

    async def _detokenize(self, request: Request) -> Response:
        service, raw = self._ready, await _read_body(request)

        def work() -> Response:
            return JSONResponse(service.detokenize(parse_detokenize(load_json(raw))))

        return await asyncio.to_thread(work)

    async def _chat(self, request: Request) -> Response:
        service, raw = self._ready, await _read_body(request)
        body = await asyncio.to_thread(
            lambda: parse_chat(load_json(raw), service.sampling_defaults)
        )
        ticket = await service.open_chat(body)
        return await _answer(request, service, ticket, ChatFormat(service.model, body))

    async def _complete(self, request: Request) -> Response:
        service, raw = self._ready, await _read_body(request)
        body = await asyncio.to_thread(
            lambda: parse_completion(load_json(raw), service.sampling_defaults)
        )
        ticket = await service.open_completion(body)
        return await _answer(request, service, ticket, CompletionFormat(service.model, body))

    @property
    def _preparations(self) -> Preparations:
        preparations = self._ready.preparations
        if preparations is None:
            raise HTTPException(404, NO_STATES)
        return preparations

    async def _list_prepared(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": await self._preparations.entries()})

    async def _prepare(self, request: Request) -> Response:
        preparations, raw = self._preparations, await _read_body(request)
        body = await asyncio.to_thread(lambda: parse_prepare(load_json(raw)))
        ticket = await preparations.open(request.path_params["name"], body)
        return _event_stream(ticket.chunks(), lambda: preparations.close(ticket))

    async def _delete_prepared(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            deleted = await self._preparations.delete(name)
        except OSError as error:
            raise HTTPException(
                500, f"{name!r} could not be deleted: {error.strerror or error}."
            ) from error
        if not deleted:
            raise HTTPException(404, f"There is no prepared document {name!r}.")
        return JSONResponse({"name": name, "deleted": True})


async def _answer(
    request: Request, service: Service, ticket: Ticket, answer: AnswerFormat
) -> Response:
    if answer.is_streamed:
        return _event_stream(answer.chunks(ticket), lambda: service.cancel(ticket))
    collecting = asyncio.ensure_future(answer.collect(ticket))
    leaving = asyncio.ensure_future(_client_leaves(request))
    try:
        await asyncio.wait({collecting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not collecting.done():
            return _gone()
        status, body = collecting.result()
        return JSONResponse(body, status)
    finally:
        service.cancel(ticket)
        for task in (collecting, leaving):
            task.cancel()


async def _client_leaves(request: Request) -> None:
    """Returns when the client closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _event_stream(chunks: AsyncIterator[Json], on_end: Callable[[], None]) -> Response:
    return StreamingResponse(
        _events(chunks, on_end),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache"},
    )


async def _events(chunks: AsyncIterator[Json], on_end: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"
    finally:
        # reached too when the client leaves in the middle: the work is given up within a step
        on_end()


async def _read_body(request: Request) -> bytes:
    """The request's whole body. Whoever parses it does so on a thread: it may be a whole book.

    Raises:
        HTTPException: it is too large.
        ClientDisconnect: the client left before it was complete.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > _MOST_BODY_BYTES:
        raise HTTPException(413, _TOO_LARGE)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > _MOST_BODY_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        parts.append(part)
    return b"".join(parts)


class _KeyGuard:
    """Lets through only requests that carry the key."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._expected = f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        refusal = _error_response(401, "The key is missing or wrong.", "authentication_error")
        await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self._expected)


def _error_response(
    status: int, message: str, kind: str, *, param: str | None = None, **more: object
) -> JSONResponse:
    error = {"message": message, "type": kind, "param": param, "code": status, **more}
    return JSONResponse({"error": error}, status)


async def _on_request_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - registered for this class alone
    return JSONResponse(error.body(), 400)


async def _on_context_exceeded(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ContextExceeded)  # noqa: S101 - registered for this class alone
    return _error_response(
        400,
        str(error),
        "exceed_context_size_error",
        n_prompt_tokens=error.prompt_tokens,
        n_ctx=error.context_tokens,
    )


async def _on_busy(_request: Request, error: Exception) -> Response:
    return _error_response(409, str(error), "busy_error")


async def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    kind = "unavailable_error" if error.status_code == 503 else "invalid_request_error"
    return _error_response(error.status_code, error.detail, kind)


async def _on_client_gone(_request: Request, _error: Exception) -> Response:
    return _gone()


def _gone() -> Response:
    """What nobody reads any more; the status is nginx's word for a client that left."""
    return Response(status_code=499)


async def _on_bug(_request: Request, error: Exception) -> Response:
    return _error_response(500, f"The worker failed: {type(error).__name__}.", "server_error")

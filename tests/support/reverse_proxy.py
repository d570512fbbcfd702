"""A reverse proxy as one stands before an engine, with its usual faults on demand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@dataclass
class ReverseProxy:
    """What stands before `upstream`, and how it behaves; `app` is to be served.

    Attributes:
        prefix: only paths below it are passed on, without it.
        only: only paths that begin with one of these are passed on; () for all.
        buffers: hold a stream back until it is complete.
        piece_seconds: wait so long before each piece of a stream, as a slow model would.
        opens: let everybody in here, whoever asks: the key is not passed on but replaced.
        down: pass nothing on, as when the engine is not running.
    """

    upstream: str
    prefix: str = ""
    only: tuple[str, ...] = ()
    buffers: bool = False
    piece_seconds: float = 0.0
    opens: dict[str, str] = field(default_factory=dict)
    down: bool = False
    heard: list[dict[str, str]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/{path:path}", self._pass_on, methods=["GET", "POST", "DELETE"])]
        )

    async def _pass_on(self, request: Request) -> Response:
        self.heard.append(dict(request.headers))
        path = request.url.path
        if not path.startswith(f"{self.prefix}/"):
            return _page(404, "404 Not Found")
        path = path.removeprefix(self.prefix)
        if self.only and not path.startswith(self.only):
            return _page(404, "404 Not Found")
        headers = {k: v for k, v in request.headers.items() if k not in _OWN_HEADERS}
        if path in self.opens:
            headers["authorization"] = f"Bearer {self.opens[path]}"
        if self.down:
            return _page(502, "502 Bad Gateway")
        client = httpx.AsyncClient(base_url=self.upstream, trust_env=False, timeout=60)
        asked = client.build_request(
            request.method, path, headers=headers, content=await request.body()
        )
        try:
            answer = await client.send(asked, stream=True)
        except httpx.HTTPError:
            await client.aclose()
            return _page(502, "502 Bad Gateway")
        told = {k: v for k, v in answer.headers.items() if k not in _OWN_HEADERS}
        pieces = self._pieces(client, answer)
        if not self.buffers:
            return StreamingResponse(pieces, answer.status_code, told)
        whole = b"".join([piece async for piece in pieces])
        return Response(whole, answer.status_code, told)

    async def _pieces(
        self, client: httpx.AsyncClient, answer: httpx.Response
    ) -> AsyncIterator[bytes]:
        is_stream = answer.headers.get("content-type", "").startswith("text/event-stream")
        try:
            async for piece in answer.aiter_raw():
                if is_stream:
                    await asyncio.sleep(self.piece_seconds)
                yield piece
        finally:
            await answer.aclose()
            await client.aclose()


def _page(status: int, title: str) -> HTMLResponse:
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return HTMLResponse(body, status)

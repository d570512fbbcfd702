"""A server that begins an answer and goes silent, with counters that a test moves or holds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


@dataclass
class LostNode:
    """How it behaves; `app` is to be served.

    Attributes:
        says: pieces of text before it goes silent.
        goes_on_after: looks at its counters or its health after which it ends the answer; 0:
            never.
        moves: its counters move with each look at them.
        shows_metrics: it has counters at all.
        counters_at: where they are.
        gone: while it is silent, a proxy answers in its place that it is not there.
        breaks_off: instead of going silent, it ends the connection in the middle.
        refuses_progress: it refuses a request that asks for progress, as strict servers do.
    """

    says: tuple[str, ...] = ("Once",)
    goes_on_after: int = 0
    moves: bool = False
    shows_metrics: bool = True
    counters_at: str = "/metrics"
    gone: bool = False
    breaks_off: bool = False
    refuses_progress: bool = False
    looks: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    silent: bool = False

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/health", self._health),
                Route(self.counters_at, self._metrics),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )

    async def _models(self, _request: Request) -> Response:
        card = {"id": "lost", "owned_by": "vllm", "max_model_len": 4096}
        return JSONResponse({"data": [card]})

    async def _health(self, _request: Request) -> Response:
        self.looks += self.silent
        if self.gone and self.silent:
            return Response("<title>502 Bad Gateway</title>", 502)
        return Response()

    async def _metrics(self, _request: Request) -> Response:
        if not self.shows_metrics or (self.gone and self.silent):
            return Response(status_code=404)
        self.looks += self.silent
        count = self.looks if self.moves else 7
        text = (
            "# TYPE vllm:num_requests_running gauge\n"
            'vllm:num_requests_running{engine="0"} 1.0\n'
            "# TYPE vllm:generation_tokens counter\n"
            f'vllm:generation_tokens_total{{engine="0"}} {count}.0\n'
        )
        return Response(text, media_type="text/plain")

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        if self.refuses_progress and "return_progress" in body:
            message = "Unrecognized request argument supplied: return_progress"
            return JSONResponse({"error": {"message": message}}, 400)
        return StreamingResponse(self._answer(), media_type="text/event-stream")

    async def _answer(self) -> AsyncIterator[bytes]:
        for piece in self.says:
            yield _event({"delta": {"content": piece}, "finish_reason": None})
        if self.breaks_off:
            raise ConnectionError("in the middle, on purpose")
        if not self.refuses_progress:
            self.silent = True
            while not 0 < self.goes_on_after <= self.looks:
                await asyncio.sleep(0.02)
        yield _event({"delta": {}, "finish_reason": "stop"})
        yield b"data: [DONE]\n\n"


def _event(choice: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"

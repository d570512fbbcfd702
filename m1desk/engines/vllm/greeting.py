"""The first answer of a vLLM that listens: it may be healthy and yet fail at its first request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx

from m1desk.engines.client import plain_transport
from m1desk.engines.refusal import refusal_from_response
from m1desk.errors import EngineUnreachable
from m1desk.wire import Ready

if TYPE_CHECKING:
    from m1desk.engines.status import Endpoint
    from m1desk.engines.vllm.settings import VllmSettings

_PAUSE_SECONDS: Final = 0.1
_HEALTH_SECONDS: Final = 10.0


async def greet(endpoint: Endpoint, settings: VllmSettings) -> Ready:
    """Wait until it answers, have it write one token, and say what it is ready for.

    There is no time limit: whoever supervises sees when nothing happens any more.

    Raises:
        EngineRefused: it answered with an error.
        EngineUnreachable: it broke off.
    """
    async with httpx.AsyncClient(
        base_url=endpoint.base_url,
        headers={"Authorization": f"Bearer {endpoint.api_key}"},
        transport=plain_transport(endpoint),
        timeout=_HEALTH_SECONDS,
    ) as http:
        while not await _is_healthy(http):  # noqa: ASYNC110 - another process tells no event
            await asyncio.sleep(_PAUSE_SECONDS)
        await _write_a_token(http, endpoint.model)
    return Ready(settings.name, settings.wish.context_tokens, settings.wish.parallel)


async def _is_healthy(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health")).is_success
    except httpx.TransportError:
        return False


async def _write_a_token(http: httpx.AsyncClient, model: str) -> None:
    body = {"model": model, "prompt": "a", "max_tokens": 1}
    try:
        response = await http.post("/v1/completions", json=body, timeout=None)
    except httpx.TransportError as error:
        raise EngineUnreachable("It broke off at its first request.", str(error)) from error
    if not response.is_success:
        raise refusal_from_response(response.status_code, response.content)

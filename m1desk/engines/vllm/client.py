"""The client of a vLLM of ours: like any engine's, with a watch over answers that fall silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from m1desk.engines.client import EngineClient, plain_transport
from m1desk.engines.remote.abilities import ServerAbilities, take_metrics
from m1desk.engines.remote.watchdog import Pulse, StallPatience, WatchTransport
from m1desk.engines.turn_stream import THINKING_FIELD

if TYPE_CHECKING:
    from m1desk.engines.status import Endpoint
    from m1desk.engines.turn import ChatRequest

_METRICS: Final = "/metrics"


class VllmClient(EngineClient):
    """A client that says so when the engine stops working on an answer."""

    _TEXT_FIELD = "prompt"

    def __init__(self, endpoint: Endpoint, patience: StallPatience | None = None) -> None:
        """Make no connection yet.

        Args:
            endpoint: where the model answers.
            patience: when a silent answer counts as stalled.
        """
        limits = patience or StallPatience()
        self._looking = httpx.AsyncClient(
            base_url=endpoint.base_url,
            transport=plain_transport(endpoint),
            timeout=limits.answer_seconds,
        )
        watched = WatchTransport(plain_transport(endpoint), self._look, limits)
        super().__init__(endpoint, transport=watched)

    async def aclose(self) -> None:
        """Close every connection."""
        await super().aclose()
        await self._looking.aclose()

    def _turn_body(self, request: ChatRequest) -> dict[str, object]:
        body = super()._turn_body(request)
        if THINKING_FIELD in body:
            body[ServerAbilities("vllm").thinking_field] = body.pop(THINKING_FIELD)
        return body

    async def _look(self) -> Pulse:
        try:
            return Pulse(answers=True, counters=await take_metrics(self._looking, _METRICS))
        except httpx.HTTPError:
            return Pulse(answers=False)

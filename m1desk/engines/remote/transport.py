"""The way of a request to a remote server: through its tunnel, and again where that is safe."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from m1desk.engines.remote.tls import causes, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m1desk.engines.remote.profiles import ServerProfile
    from m1desk.engines.remote.tunnel import Tunnel

_HERE: Final = "127.0.0.1"
_TOO_MANY: Final = 429
_NOT_NOW: Final = frozenset({_TOO_MANY, 502, 503, 504})
_REPEATABLE: Final = frozenset({"GET", "POST"})
_BEFORE_ANY_ANSWER: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)
"""All of them before the head of an answer was read: later, the body's own reading raises them."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a request is tried again (seconds).

    Attributes:
        first_pause_seconds: before the second try; each further pause is twice as long, unless
            the server says how long to wait.
        budget_seconds: no new try begins later than this after the first. A time limit of a proxy
            (504) is longer as a rule, and would only be met again.
    """

    tries: int = 4
    first_pause_seconds: float = 0.5
    budget_seconds: float = 20.0


def server_transport(profile: ServerProfile, tunnel: Tunnel | None) -> httpx.AsyncBaseTransport:
    """Make the plain way to a server, without any second try; raises BadInput for bad files."""
    verify = tls_context(profile) if profile.address.is_encrypted else True
    direct = httpx.AsyncHTTPTransport(
        verify=verify, limits=httpx.Limits(max_connections=None), trust_env=False
    )
    return direct if tunnel is None else TunnelTransport(direct, tunnel)


class TunnelTransport(httpx.AsyncBaseTransport):
    """Sends what is meant for a server to the tunnel's port on this machine.

    The server's own name stays in the Host header and in TLS.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, tunnel: Tunnel) -> None:
        self._inner = inner
        self._tunnel = tunnel

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises EngineUnreachable when the tunnel can't be opened."""
        port = await self._tunnel.local_port()
        moved = httpx.Request(
            request.method,
            request.url.copy_with(scheme=request.url.scheme, host=_HERE, port=port),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return await self._inner.handle_async_request(moved)

    async def aclose(self) -> None:
        """Close the connections; the tunnel is its owner's."""
        await self._inner.aclose()


class RetryTransport(httpx.AsyncBaseTransport):
    """Tries again what failed before the first byte of an answer; never half an answer."""

    def __init__(self, inner: httpx.AsyncBaseTransport, policy: RetryPolicy) -> None:
        self._inner = inner
        self._policy = policy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, several times if need be."""
        last_start = asyncio.get_running_loop().time() + self._policy.budget_seconds
        pauses = self._pauses() if request.method in _REPEATABLE else iter(())
        while True:
            pause = next(pauses, None)
            try:
                response = await self._inner.handle_async_request(request)
            except _BEFORE_ANY_ANSWER as error:
                if pause is None or _is_lasting(error) or _too_late(pause, last_start):
                    raise
            else:
                pause = _pause_asked(response, pause)
                if pause is None or _too_late(pause, last_start):
                    return response
                await response.aclose()
            await asyncio.sleep(pause)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _pauses(self) -> Iterator[float]:
        for number in range(self._policy.tries - 1):
            yield self._policy.first_pause_seconds * 2**number


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds a server asks to wait, from a Retry-After in either form; None when it asks none."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _pause_asked(response: httpx.Response, pause: float | None) -> float | None:
    """How long to wait before this answer is asked for again; None to take it as it is."""
    if pause is None or response.status_code not in _NOT_NOW:
        return None
    asked = retry_after(response.headers)
    if response.status_code == _TOO_MANY:
        return asked
    return pause if asked is None else asked


def _too_late(pause: float, last_start: float) -> bool:
    return asyncio.get_running_loop().time() + pause > last_start


def _is_lasting(error: BaseException) -> bool:
    """Whether it would be the same a second later: an untrusted certificate, an unknown name."""
    return any(isinstance(cause, ssl.SSLError | socket.gaierror) for cause in causes(error))

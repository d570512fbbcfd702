"""The first steps of a server's test: its address, a tunnel, its name, a connection, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from m1desk.engines.remote.profiles import checked
from m1desk.engines.remote.tls import (
    expires_soon,
    explain_tls,
    handshake,
    shown_fingerprint,
    tls_context,
)
from m1desk.engines.remote.transport import server_transport
from m1desk.engines.remote.tunnel import Tunnel
from m1desk.engines.remote.verdicts import Look, Step, StepVerdict, failed, ok, warning
from m1desk.errors import BadInput, EngineUnreachable, M1DeskError

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    import httpx

    from m1desk.engines.remote.profiles import ServerProfile
    from m1desk.store import Folders

_REACH_SECONDS: Final = 10.0
_HANG_UP_SECONDS: Final = 1.0
_HERE: Final = "127.0.0.1"


class Road:
    """The way to a server, one step after the other; what it opens, `held` closes."""

    def __init__(self, profile: ServerProfile, folders: Folders, held: AsyncExitStack) -> None:
        self.profile = profile
        self._folders = folders
        self._held = held
        self._tunnel: Tunnel | None = None
        self._is_usable = False

    def steps(self) -> list[tuple[Step, Look]]:
        """The steps after the address that this server has."""
        if not self._is_usable:
            return [(Step.TCP, self._connect)]
        address, has_tunnel = self.profile.address, self.profile.tunnel is not None
        looks: list[tuple[bool, Step, Look]] = [
            (has_tunnel, Step.TUNNEL, self._open_tunnel),
            (not has_tunnel and not address.is_number, Step.NAME, self._resolve),
            (True, Step.TCP, self._connect),
            (address.is_encrypted, Step.TLS, self._shake_hands),
        ]
        return [(step, look) for applies, step, look in looks if applies]

    def transport(self) -> httpx.AsyncBaseTransport:
        """The way for requests, once the steps have gone well."""
        return server_transport(self.profile, self._tunnel)

    async def check_address(self) -> StepVerdict:
        """Read the address and the other values."""
        try:
            self.profile = checked(self.profile)
            address = self.profile.address
        except BadInput as error:
            return _failure(Step.ADDRESS, error)
        self._is_usable = True
        is_open = not (address.is_encrypted or address.is_this_machine or self.profile.tunnel)
        if is_open:
            return warning(
                Step.ADDRESS,
                f"{address.base_url}: what is sent there is not encrypted.",
                "Whoever is on the way can read the prompts, the answers and the key.",
                "Use https://, or an SSH tunnel, unless the network is yours alone.",
            )
        return ok(Step.ADDRESS, address.base_url)

    async def _open_tunnel(self) -> StepVerdict:
        way = self.profile.tunnel
        if way is None:
            raise RuntimeError("this step is for servers with a tunnel")
        self._tunnel = Tunnel(way, self.profile.address, self._folders)
        self._held.push_async_callback(self._tunnel.close)
        try:
            port = await self._tunnel.local_port()
        except EngineUnreachable as error:
            return _failure(Step.TUNNEL, error)
        return ok(
            Step.TUNNEL,
            f"Port {port} of this machine leads to {self._tunnel.target} by {way.destination}.",
        )

    async def _resolve(self) -> StepVerdict:
        host, port = self.profile.address.host, self.profile.address.port
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return failed(
                Step.NAME,
                f"The name {host} is not known.",
                f"The system says: {reason}.",
                "Check the spelling, and whether a VPN is needed.",
            )
        numbers = dict.fromkeys(str(entry[4][0]) for entry in found)
        return ok(Step.NAME, f"{host} is {', '.join(numbers)}.")

    async def _connect(self) -> StepVerdict:
        try:
            host, port = await self._reach()
            async with asyncio.timeout(_REACH_SECONDS):
                reader, writer = await asyncio.open_connection(host, port)
        except (TimeoutError, OSError, EngineUnreachable) as error:
            return self._no_connection(error)
        try:
            if self._tunnel is not None and await _is_hung_up(reader):
                return self._dead_end()
        finally:
            writer.transport.abort()
        return ok(Step.TCP, f"{self.profile.address.origin} takes connections.")

    async def _shake_hands(self) -> StepVerdict:
        address = self.profile.address
        try:
            context = tls_context(self.profile)
            host, port = await self._reach()
            certificate = await handshake(host, port, address.host, context, _REACH_SECONDS)
        except M1DeskError as error:
            return _failure(Step.TLS, error)
        except TimeoutError:
            return failed(
                Step.TLS,
                "The server does not answer the beginning of TLS.",
                f"Nothing came for {_REACH_SECONDS:.0f} seconds.",
                "Check that the port is that of its https.",
            )
        except OSError as error:  # ssl.SSLError is one
            shown = await shown_fingerprint(host, port, address.host, _REACH_SECONDS)
            problem = explain_tls(error, address.host, shown)
            verdict = failed(Step.TLS, problem.what, problem.why, problem.todo)
            is_pinnable = isinstance(error, ssl.SSLCertVerificationError)
            return replace(verdict, fingerprint=shown) if is_pinnable else verdict
        if end := expires_soon(certificate):
            return warning(
                Step.TLS,
                f"The certificate ends on {end}.",
                "From then on the server is not trusted any more.",
                "Have it renewed.",
            )
        return ok(
            Step.TLS,
            "The certificate is the pinned one."
            if self.profile.pinned_sha256
            else f"The certificate is trusted and is for {address.host}.",
        )

    async def _reach(self) -> tuple[str, int]:
        """Where to connect to: the server, or the near end of its tunnel."""
        if self._tunnel is not None:
            return _HERE, await self._tunnel.local_port()
        return self.profile.address.host, self.profile.address.port

    def _no_connection(self, error: Exception) -> StepVerdict:
        origin = self.profile.address.origin
        if isinstance(error, EngineUnreachable):
            return _failure(Step.TCP, error)
        if isinstance(error, ConnectionRefusedError):
            return failed(
                Step.TCP,
                f"{origin} refuses connections.",
                "The machine is there, but nothing listens at that port.",
                "Start the server, or check the port.",
            )
        if isinstance(error, TimeoutError):
            return failed(
                Step.TCP,
                f"{origin} does not answer.",
                f"No connection came about within {_REACH_SECONDS:.0f} seconds.",
                "Check that the machine runs, and that no firewall is in the way.",
            )
        reason = getattr(error, "strerror", None) or str(error)
        return failed(
            Step.TCP,
            f"{origin} can't be reached.",
            f"The system says: {reason}.",
            "Check the network, or a VPN it may need.",
        )

    def _dead_end(self) -> StepVerdict:
        tunnel = self._tunnel
        target, said = ("", "") if tunnel is None else (tunnel.target, tunnel.complaint())
        return failed(
            Step.TCP,
            f"The tunnel is open, but nothing answers at {target} behind it.",
            f"ssh says: {said}" if said else "The other machine hung up.",
            "Start the server there, or check where the tunnel leads.",
        )


async def _is_hung_up(reader: asyncio.StreamReader) -> bool:
    """Whether a connection is ended by the other side at once: ssh takes one before it has two."""
    try:
        async with asyncio.timeout(_HANG_UP_SECONDS):
            return not await reader.read(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def _failure(step: Step, error: M1DeskError) -> StepVerdict:
    return failed(step, error.what, error.why, error.todo)

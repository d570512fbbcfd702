"""The system's ssh, holding a local port open that leads to a server behind another machine."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING, Final

import psutil

from m1desk.engines.log import EngineLog
from m1desk.engines.process import GuardedProcess
from m1desk.engines.spec import child_environment
from m1desk.errors import EngineUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from m1desk.engines.process import ProcessEnd
    from m1desk.engines.remote.profiles import ServerAddress, SshTunnel
    from m1desk.store import Folders

_LOG_NAME: Final = "ssh.log"
_READY_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05
_ATTEMPTS: Final = 3  # another program may take the port between its choice and its use
_LAST_LINES: Final = 30
_NO_FORWARD: Final = "open failed"
_HERE: Final = "127.0.0.1"
_OPTIONS: Final[Mapping[str, str]] = {
    "BatchMode": "yes",  # nobody is there to be asked
    "ExitOnForwardFailure": "yes",
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    # a connection shared with other sessions would outlive this one, and end with theirs
    "ControlMaster": "no",
    "ControlPath": "none",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "LogLevel": "INFO",
}


class Tunnel:
    """One ssh with one forwarded port. Use it on one loop, and close it with `close`.

    The guard of engines watches over it too: whatever ends, and however, no ssh is left.
    """

    def __init__(self, way: SshTunnel, address: ServerAddress, folders: Folders) -> None:
        """Prepare a way to the server at `address`; nothing is started."""
        self._way = way
        self._target = (way.forward_host or address.host, way.forward_port or address.port)
        self._runs = folders.runs
        self._log = EngineLog(folders.logs / _LOG_NAME)
        self._process: GuardedProcess | None = None
        self._turn = asyncio.Lock()
        self._port = 0

    @property
    def target(self) -> str:
        """Where it leads, as seen from the other machine."""
        host, port = self._target
        return f"{host}:{port}"

    @property
    def is_up(self) -> bool:
        """Whether ssh runs and holds the port."""
        return self._port != 0 and self._process is not None and not self._process.ended.done()

    async def local_port(self) -> int:
        """Return the port on 127.0.0.1, after opening the tunnel where it is not up.

        Raises:
            EngineUnreachable: ssh could not open it, with what it said.
        """
        async with self._turn:
            for attempts_left in reversed(range(_ATTEMPTS)):
                if self.is_up:
                    break
                await self._end()
                await self._open(may_fail=attempts_left > 0)
            return self._port

    async def close(self) -> None:
        """End ssh; returns when nothing is left of it. Closing twice is harmless."""
        async with self._turn:
            await self._end()

    def complaint(self) -> str:
        """What ssh said last of a connection it could not forward; "" if nothing."""
        lines = [line for line in self._log.tail(_LAST_LINES) if _NO_FORWARD in line]
        return lines[-1].strip() if lines else ""

    async def _open(self, *, may_fail: bool) -> None:
        port = _free_port()
        argv = ssh_command(self._way, port, self.target)
        self._log.add(f"--- {' '.join(argv)}")
        try:
            process = await GuardedProcess.start(
                argv,
                child_environment(),
                runs=self._runs,
                log=self._log,
                on_line=lambda _line: None,
                grace_seconds=1.0,
            )
        except OSError as error:
            raise _not_opened(self._way, f"The system says: {error}.", "") from error
        self._process = process
        try:
            ready = await _wait_until_held(process, port)
        except BaseException:
            await process.stop()
            raise
        if ready:
            self._port = port
            return
        await process.stop()
        said = "\n".join(self._log.tail(_LAST_LINES)).rpartition("--- ")[2].partition("\n")[2]
        if may_fail and "Address already in use" in said:
            return
        raise explain_ssh(self._way, said, process.ended.result())

    async def _end(self) -> None:
        process, self._process, self._port = self._process, None, 0
        if process is not None:
            await process.stop()


def ssh_command(way: SshTunnel, port: int, target: str) -> tuple[str, ...]:
    """Write ssh's command line; no secret is in it."""
    options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
    where = ["-F", way.config_file] if way.config_file else []
    where += ["-p", str(way.port)] if way.port else []
    forward = f"{_HERE}:{port}:{_bracketed(target)}"
    return ("ssh", "-N", "-T", *options, *where, "-L", forward, "--", way.destination)


def explain_ssh(way: SshTunnel, said: str, end: ProcessEnd) -> EngineUnreachable:
    """Say why ssh ended, from what it wrote."""
    for pattern, why, todo in _CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            return _not_opened(way, why, todo.format(destination=way.destination))
    if end.failed is not None:
        return _not_opened(
            way, end.failed.detail, "Install ssh (openssh-client), or reach the server without it."
        )
    last = said.strip().splitlines()
    return _not_opened(
        way,
        f"ssh says: {last[-1]}" if last else "ssh ended without a word.",
        f"Try `ssh {way.destination}` in a terminal.",
    )


_CAUSES: Final = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "The other machine shows another host key than it used to.",
        "Ask whoever runs it; then remove the old key with `ssh-keygen -R`.",
    ),
    (
        r"Host key verification failed",
        "The other machine's host key is not known here.",
        "Run `ssh {destination}` once in a terminal and accept the key.",
    ),
    (
        r"Permission denied|Too many authentication failures|no mutual signature",
        "The other machine does not let us in without asking.",
        "Make `ssh {destination}` work without a password, with a key that the agent knows.",
    ),
    (
        r"Could not resolve hostname",
        "Its name is not known.",
        "Check the name, or add it to ssh's configuration.",
    ),
    (
        r"Connection refused|Connection reset|Connection closed by|kex_exchange_identification",
        "No ssh server let us in at that machine and port.",
        "Check the port, and that its ssh server runs.",
    ),
    (
        r"timed out|No route to host|Network is unreachable",
        "The other machine can't be reached.",
        "Check the network, or a VPN it may need.",
    ),
    (
        r"administratively prohibited|forwarding (is )?disabled|request failed",
        "The other machine does not allow forwarding.",
        "Have AllowTcpForwarding switched on in its ssh server.",
    ),
)


def _not_opened(way: SshTunnel, why: str, todo: str) -> EngineUnreachable:
    return EngineUnreachable(f"The SSH tunnel to {way.destination} could not be opened.", why, todo)


async def _wait_until_held(process: GuardedProcess, port: int) -> bool:
    """Wait until ssh itself listens at `port`; False when it ended or took too long.

    That the port answers is not enough: another program could have taken it.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _READY_SECONDS
    while not process.ended.done() and loop.time() < deadline:
        if process.engine_pid is not None and await asyncio.to_thread(
            _listens, process.engine_pid, port
        ):
            return True
        await asyncio.wait([process.ended], timeout=_LOOK_SECONDS)
    return False


def _listens(pid: int, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HERE, 0))
        port: int = probe.getsockname()[1]
        return port


def _bracketed(target: str) -> str:
    """Put an IPv6 address into brackets, as ssh wants it."""
    host, _, port = target.rpartition(":")
    return f"[{host}]:{port}" if ":" in host else target

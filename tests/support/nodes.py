"""Machines of a cluster, made of namespaces: network, host name, processes, shared memory.

Nothing of them has a name on this machine but one end of a cable, and that goes with its other
end. A machine lives as long as its first process, whose standard input is a pipe of the tests':
however the tests end, the kernel ends every process of the machine, and takes its mounts and
cables away.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERFACE: Final = "group0"
"""On every machine the one that leads to the others."""
PRIVATE: Final = Path("/mnt")
"""A folder that each machine has for itself, in memory."""
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SPACES: Final = ("--net", "--uts", "--ipc", "--mount", "--pid")
_BIRTH: Final = """
set -e
mount -t tmpfs -o size=2g tmpfs /dev/shm
mount -t tmpfs -o size=1g tmpfs {private}
hostname {name}
ip link set lo up
# A connection whose process is gone holds its network: without these, for minutes where the other
# end is gone as well.
(echo 1 >/proc/sys/net/ipv4/tcp_orphan_retries) 2>/dev/null || true
(echo 2 >/proc/sys/net/ipv4/tcp_fin_timeout) 2>/dev/null || true
echo born
exec cat
"""
_SECONDS: Final = 60


@dataclass
class Node:
    """A machine.

    Attributes:
        name: its host name.
        address: as the other machines reach it.
        front: as this machine reaches it; "" for those that it does not reach.
        first: its first process.
        started: what `start` started; it is waited for when the machine has ended.
        number: of its first process's child, as this machine counts: the first one inside.
    """

    name: str
    address: str
    front: str
    first: subprocess.Popen[str]
    started: list[subprocess.Popen[bytes]]
    number: int = field(init=False)

    def __post_init__(self) -> None:
        (child,) = psutil.Process(self.first.pid).children()
        self.number = child.pid

    def command(self, *words: str) -> list[str]:
        """What runs `words` on that machine."""
        return [_need("nsenter"), "--target", str(self.number), *_SPACES, "--", *words]

    def run(self, *words: str) -> str:
        """What they print; raises CalledProcessError."""
        done = subprocess.run(
            self.command(*words), check=True, text=True, capture_output=True, timeout=_SECONDS
        )
        return done.stdout

    def start(self, folder: Path, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Let `words` run there in a folder, with an environment of that machine's own."""
        private = str(PRIVATE)
        environment = {"PATH": PATH, "HOME": private, "TMPDIR": private, "LANG": "C.UTF-8"}
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command("env", "--chdir", str(folder), *words),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def processes(self) -> dict[int, str]:
        """What runs there, but for its first process and whoever asks."""
        lines = self.run("ps", "-e", "-o", "pid=,stat=,args=").splitlines()
        found = [line.split(maxsplit=2) for line in lines]
        return {
            int(number): words
            for number, state, words in found
            if number != "1" and not state.startswith("Z") and not words.startswith("ps -e")
        }

    def lose(self) -> None:
        """Cut its power: its cables go dead at once, so that nobody hears its processes end."""
        self.run("ip", "link", "set", INTERFACE, "down")
        psutil.Process(self.number).kill()
        self.first.wait(_SECONDS)


@contextmanager
def running_nodes(count: int) -> Iterator[tuple[Node, ...]]:
    """Machines with a network between them; the first one is reached from here as well.

    A third network, the switch, holds the other ends of the cables, so that a machine's end is no
    news for the others.
    """
    with ExitStack() as held:
        group, front = "10.77.0", f"198.18.{secrets.randbelow(250)}"
        switch = held.enter_context(_born("switch", "", ""))
        switch.run("ip", "link", "add", "name", "switch", "type", "bridge")
        switch.run("ip", "link", "set", "switch", "up")
        nodes = []
        for rank in range(count):
            own = held.enter_context(
                _born(f"node{rank}", f"{group}.{rank + 1}", f"{front}.2" if rank == 0 else "")
            )
            _plug(f"port{rank}", str(switch.number), own, INTERFACE, own.address)
            switch.run("ip", "link", "set", f"port{rank}", "master", "switch", "up")
            nodes.append(own)
        here = f"m1desk{secrets.token_hex(4)}"
        _plug(here, str(os.getpid()), nodes[0], "front0", nodes[0].front)
        held.callback(_unplug, here)
        _ip("address", "add", f"{front}.1/24", "dev", here)
        _ip("link", "set", here, "up")
        yield tuple(nodes)


@functools.cache
def why_no_nodes() -> str:
    """Why this system can't have such machines; "" if it can."""
    programs = ("unshare", "nsenter", "ip", "ps", "pkill", "hostname")
    missing = [name for name in programs if shutil.which(name, path=PATH) is None]
    if missing:
        return f"needs {', '.join(missing)} (Debian: iproute2, procps, util-linux, hostname)"
    try:
        with running_nodes(1):
            return ""
    except (OSError, subprocess.SubprocessError, AssertionError):
        return "network namespaces need root, and a kernel or container that allows them"


def skip_without_nodes() -> None:
    """Skip, and say why, where there are no namespaces."""
    if why := why_no_nodes():
        pytest.skip(why)


@contextmanager
def _born(name: str, address: str, front: str) -> Iterator[Node]:
    birth = _BIRTH.format(private=PRIVATE, name=name)
    first = subprocess.Popen(
        [_need("unshare"), *_SPACES, "--fork", "--kill-child", "--mount-proc", "sh", "-c", birth],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": PATH},
    )
    assert first.stdin is not None
    assert first.stdout is not None
    started: list[subprocess.Popen[bytes]] = []
    try:
        assert first.stdout.readline() == "born\n", f"{name} can't be made"
        yield Node(name, address, front, first, started)
    finally:
        first.stdin.close()
        first.wait(_SECONDS)
        first.stdout.close()
        for process in started:
            process.wait(_SECONDS)


def _plug(here: str, ours: str, node: Node, there: str, address: str) -> None:
    """A cable between an interface of the network that process `ours` is in and one of a node."""
    far = ("peer", "name", there, "netns", str(node.number))
    _ip("link", "add", "name", here, "netns", ours, "type", "veth", *far)
    node.run("ip", "address", "add", f"{address}/24", "dev", there)
    node.run("ip", "link", "set", there, "up")


def _unplug(here: str) -> None:
    """Take a cable away; one whose other end is gone is gone itself."""
    subprocess.run([_need("ip"), "link", "delete", here], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run([_need("ip"), *words], check=True, capture_output=True, timeout=_SECONDS)


def _need(program: str) -> str:
    return shutil.which(program, path=PATH) or program

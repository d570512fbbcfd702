"""A real ssh server on a high port of this machine, with keys of its own, for whoever has sshd."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import free_port, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SSHD = shutil.which("sshd", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
needs_sshd = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None,
    reason="no ssh server here (Debian: openssh-server and openssh-client)",
)


@dataclass(frozen=True)
class RunningSshd:
    """Where to log in, and the settings that let ssh in without asking."""

    destination: str
    config: Path
    folder: Path
    process: subprocess.Popen[bytes]


@contextmanager
def running_sshd(
    folder: Path, *, address: str = "127.0.0.1", before: Sequence[str] = ()
) -> Iterator[RunningSshd]:
    """An sshd that lets this user in with a key made for it.

    Args:
        folder: for its files.
        address: where it listens.
        before: words before its command line, such as those that run it on another machine.
    """
    assert SSHD is not None
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("host", "user"):
        _make_key(folder / name)
    authorized = folder / "authorized"
    authorized.write_bytes((folder / "user.pub").read_bytes())
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress {address}\nHostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {authorized}\nPidFile none\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
    )
    config = folder / "ssh_config"
    host_key = (folder / "host.pub").read_text()
    (folder / "known").write_text(f"[{address}]:{port} {host_key}")
    config.write_text(
        f"Host test-gate\n  HostName {address}\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {folder / 'user'}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder / 'known'}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it for root
    process = subprocess.Popen(
        [*before, SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port, process, host=address)
        yield RunningSshd("test-gate", config, folder, process)
    finally:
        process.terminate()
        process.wait(10)


def _make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)

"""Servers that others wrote, run at a port of this machine, and nginx among them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from support.certificates import CertificateFiles

NGINX = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx here (Debian: nginx-light)")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(
    port: int, process: subprocess.Popen[bytes], *, host: str = "127.0.0.1", seconds: float = 120
) -> None:
    """Wait until somebody listens there; fails when the process ends first."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError:
            assert process.poll() is None, f"{process.args!r} ended"
            assert time.monotonic() < deadline, f"{process.args!r} does not answer"
            time.sleep(0.05)
        else:
            return


@contextmanager
def running(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A server that answers at `port`, ended afterwards."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def running_nginx(
    folder: Path, files: CertificateFiles, locations: Mapping[str, str]
) -> Iterator[str]:
    """An nginx with TLS; gives its address.

    Args:
        folder: for its files.
        files: its certificate.
        locations: what stands in the braces of each location: {"/team/": "proxy_pass ...;"}.
    """
    assert NGINX is not None
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; {user} pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events {}\nhttp {\naccess_log off;\n" + temporary + "server {\n"
        f"listen 127.0.0.1:{port} ssl;\nssl_certificate {files.certificate};\n"
        f"ssl_certificate_key {files.key};\n"
        + "".join(f"location {place} {{ {told} }}\n" for place, told in locations.items())
        + "}\n}\n"
    )
    command = [NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    with running(command, port):
        yield f"https://127.0.0.1:{port}"

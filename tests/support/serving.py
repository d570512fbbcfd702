"""An ASGI application answering on this machine for the length of a `with`, with TLS if wanted."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp
    from support.certificates import CertificateFiles


@contextmanager
def serving(
    app: ASGIApp, files: CertificateFiles | None = None, *, clients: Path | None = None
) -> Iterator[str]:
    """Give the address, https with `files`; with `clients`, only those whom that CA vouches for."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_level="critical",
            lifespan="off",
            timeout_graceful_shutdown=1,
            ssl_certfile=files and files.certificate,
            ssl_keyfile=files and files.key,
            ssl_ca_certs=clients and str(clients),
            ssl_cert_reqs=2 if clients else 0,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="serving")
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"{'https' if files else 'http'}://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def shaking_hands(files: CertificateFiles, *, clients: Path | None = None) -> Iterator[str]:
    """Shake hands by TLS with whoever comes, and hang up; `clients` as for `serving`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_shake_hands, args=(listener, context), name="shaking hands")
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # shut down
            return
        with connection:
            connection.settimeout(10)
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                pass

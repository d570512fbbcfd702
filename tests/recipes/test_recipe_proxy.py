"""The reverse proxy: what passes, read by a parser, and by nginx itself where there is one."""

from __future__ import annotations

import http.client
import http.server
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import crossplane
import pytest
from support.programs import NGINX, free_port, wait_for_port

from m1desk.recipes import ClusterPlan, RecipeOptions, make_recipe, write_recipe

Planner = Callable[..., ClusterPlan]
OPEN = ["/v1/models", "/v1/chat/completions", "/health"]
CLOSED = [
    "/", "/invocations", "/tokenize", "/metrics", "/docs", "/healthy", "/v1/../invocations",
    "/v1/%2e%2e/invocations", "//invocations", "/V1/models", "/key",
]  # fmt: skip
KEY = "key-of-the-tests"
LARGE = 2 * 1024 * 1024
"""Bytes of a question: more than nginx keeps in memory of its own accord."""


def test_a_parser_of_nginx_reads_every_line(planned: Planner, tmp_path: Path) -> None:
    write_recipe(make_recipe(planned("8xH100"), "shell"), tmp_path)
    parsed = crossplane.parse(str(tmp_path / "nginx.conf"), strict=True)
    assert parsed["errors"] == []
    (http_block,) = (one for one in parsed["config"][0]["parsed"] if one["directive"] == "http")
    (server,) = (one for one in http_block["block"] if one["directive"] == "server")
    settings = {one["directive"]: one["args"] for one in server["block"]}
    assert settings["proxy_buffering"] == ["off"]
    assert settings["proxy_read_timeout"] == ["2h"]
    assert settings["proxy_next_upstream"] == ["off"]
    locations = [one["args"] for one in server["block"] if one["directive"] == "location"]
    assert locations == [["/v1/"], ["=", "/health"], ["=", "/v1/metrics"], ["=", "/key"], ["/"]]


class _Engine(http.server.BaseHTTPRequestHandler):
    """Answers everything, as vLLM does, below /v1 for its key, and streams in two halves."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # the name is http.server's
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, str(len(body)).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:  # the name is http.server's
        has_key = self.headers["Authorization"] == f"Bearer {KEY}"
        if self.path != "/v1/stream":
            is_guarded = self.path.startswith("/v1") and not has_key
            self._answer(401 if is_guarded else 200, self.path.encode())
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.server.go_on.wait(30)  # type: ignore[attr-defined]
        self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


@dataclass(frozen=True)
class Proxied:
    """A running nginx, and what lets the stream's second half go."""

    port: int
    certificate: Path
    go_on: threading.Event

    def connect(self) -> http.client.HTTPSConnection:
        trusting = ssl.create_default_context(cafile=str(self.certificate))
        return http.client.HTTPSConnection("localhost", self.port, timeout=30, context=trusting)

    def status(self, path: str, key: str = KEY) -> int:
        return self.ask("GET", path, key)[0]

    def ask(self, method: str, path: str, key: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = self.connect()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text


@pytest.fixture
def proxied(planned: Planner, tmp_path: Path) -> Iterator[Proxied]:
    """proxy.sh in front of an engine; the certificate's path is a hostile one."""
    if NGINX is None or shutil.which("openssl") is None:
        pytest.skip("needs nginx (Debian: nginx-light) and openssl")
    tls = tmp_path / "a $(b) 'c\""
    tls.mkdir()
    certificate, key = tls / "own.pem", tls / "own.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    engine = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Engine)
    go_on = threading.Event()
    engine.go_on = go_on  # type: ignore[attr-defined]
    serving = threading.Thread(target=engine.serve_forever)
    serving.start()
    options = RecipeOptions(
        port=free_port(), engine_port=engine.server_address[1],
        certificate=str(certificate), certificate_key=str(key),
    )  # fmt: skip
    folder = tmp_path / "recipe"
    write_recipe(make_recipe(planned("8xH100"), "shell", options), folder)
    proxy = subprocess.Popen(["./proxy.sh"], cwd=folder, env=os.environ)
    try:
        wait_for_port(options.port, proxy)
        yield Proxied(options.port, certificate, go_on)
    finally:
        go_on.set()
        proxy.terminate()
        proxy.wait(timeout=30)
        engine.shutdown()
        engine.server_close()
        serving.join()


def test_nginx_lets_v1_and_health_through_and_nothing_else(proxied: Proxied) -> None:
    assert {path: proxied.status(path) for path in OPEN} == dict.fromkeys(OPEN, 200)
    assert {path: proxied.status(path) for path in CLOSED} == dict.fromkeys(CLOSED, 404)


def test_nginx_passes_a_stream_as_it_comes(proxied: Proxied) -> None:
    connection = proxied.connect()
    connection.request("GET", "/v1/stream")
    answer = connection.getresponse()
    assert answer.read(5) == b"first"  # while the engine still waits
    proxied.go_on.set()
    assert answer.read() == b"last"
    connection.close()


def test_nginx_shows_the_counters_to_those_with_the_engines_key(proxied: Proxied) -> None:
    assert proxied.ask("GET", "/v1/metrics", KEY) == (200, b"/metrics")
    for key in ("", "another-key"):
        assert proxied.status("/v1/metrics", key) == 401


def test_nginx_passes_a_question_of_any_length(proxied: Proxied) -> None:
    asked = proxied.ask("POST", "/v1/chat/completions", KEY, b"x" * LARGE)
    assert asked == (200, str(LARGE).encode())

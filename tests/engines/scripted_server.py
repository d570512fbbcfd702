"""A local HTTP server that answers with the bytes a test gives it, and notes what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

HANG = object()
"""In a script: stay silent, with the connection open, until the client leaves."""

DROP = object()
"""In a script: reset the connection."""


def answer(status: str, body: bytes, kind: str = "application/json") -> list[bytes | object]:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return [head.encode() + body]


def stream(*pieces: bytes | object) -> list[bytes | object]:
    """A streamed answer with status 200, piece by piece, ended by closing."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return [head, *pieces]


def data(chunk: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


@dataclass
class ScriptedServer:
    """The server: where it is, what it will answer, and what it heard."""

    script: list[bytes | object] = field(default_factory=list)
    base_url: str = ""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._read_request(reader)
            for piece in self.script:
                if piece is DROP:
                    writer.transport.abort()
                    return
                if piece is HANG:
                    await reader.read()
                    self.client_left.set()
                    return
                assert isinstance(piece, bytes)
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            self.client_left.set()
        finally:
            writer.close()

    async def _read_request(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.splitlines()
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((first, headers, json.loads(body) if body else None))


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """A server on a free port of this machine."""
    scripted = ScriptedServer()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield scripted

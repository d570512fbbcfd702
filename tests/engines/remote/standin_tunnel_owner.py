"""A program that holds a tunnel open and waits to be killed; run as a program."""

from __future__ import annotations

import asyncio
import sys

from m1desk.engines.remote.profiles import SshTunnel, parse_address
from m1desk.engines.remote.tunnel import Tunnel
from m1desk.store import Folders


async def own(destination: str, config: str) -> None:
    way = SshTunnel(destination, config_file=config)
    tunnel = Tunnel(way, parse_address("http://127.0.0.1:1"), Folders.resolve())
    await tunnel.local_port()
    print("open", flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(own(*sys.argv[1:]))

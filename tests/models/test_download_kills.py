"""kill -9 at random moments: the file is right in the end, and nothing finished comes twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from test_downloads import MEBIBYTE, write_random

if TYPE_CHECKING:
    from support.hub_server import HubServer, Served

KILLS = 20
PROGRAM = """
import asyncio, sys
from pathlib import Path
from m1desk.models import Hub, HubSettings
from m1desk.models.downloads import DownloadManager
from m1desk.models.downloads.manager import DownloadLimits
from m1desk.store import Database

async def main(endpoint, folder):
    settings = HubSettings(endpoint)
    with Database(folder / "downloads.sqlite3") as database:
        manager = DownloadManager(
            database, lambda: settings, limits=DownloadLimits(reserve_bytes=0)
        )
        found = await manager.recover()
        if not found:
            repository = Hub(settings).repository("me/big")
            found = [await manager.add(repository, repository.variants[0], folder / "models")]
        done = await manager.wait(found[0].id)
        await manager.close()
        sys.exit(0 if done.state == "done" else str(done.failure))

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


def test_killed_twenty_times_the_file_is_right_and_nothing_came_twice(
    tmp_path: Path, hub_server: HubServer
) -> None:
    parts = [
        write_random(tmp_path / "hub" / f"big-Q8_0-0000{n}-of-00003.gguf", 8 * MEBIBYTE, n)
        for n in (1, 2, 3)
    ]
    hub_server.add("me/big", {part.name: part for part in parts}, "gguf")
    hub_server.fault("storage", bytes_per_second=5 * MEBIBYTE)
    folder = tmp_path / "models" / "me" / "big"
    chance = random.Random(4)
    finished = {part.name: 0 for part in parts}
    in_the_middle = 0
    for _ in range(KILLS):
        asked = len(hub_server.served)
        kill_after_a_while(start(hub_server, tmp_path), hub_server, chance)
        check_nothing_came_twice(hub_server.served[asked:], finished)
        finished = {part.name: bytes_there(folder / part.name) for part in parts}
        in_the_middle += 0 < sum(finished.values()) < 24 * MEBIBYTE
    asked = len(hub_server.served)
    hub_server.faults.clear()
    assert start(hub_server, tmp_path).wait(60) == 0
    check_nothing_came_twice(hub_server.served[asked:], finished)
    assert sorted(path.name for path in folder.iterdir()) == [part.name for part in parts]
    for part in parts:
        assert (folder / part.name).read_bytes() == part.read_bytes()
    assert in_the_middle > KILLS // 2


def start(server: HubServer, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, server.endpoint, str(folder)])


def kill_after_a_while(
    program: subprocess.Popen[bytes], server: HubServer, chance: random.Random
) -> None:
    """Let it fetch for a random moment; kill it, sometimes with its transfer process."""
    asked = len(server.served)
    while len(server.served) == asked and program.poll() is None:
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 0.4))
    transfers = psutil.Process(program.pid).children() if program.poll() is None else []
    if chance.random() < 0.5:
        for transfer in transfers:
            transfer.kill()
    program.kill()
    program.wait()
    _, alive = psutil.wait_procs(transfers, timeout=10)
    assert not alive, "a transfer outlived the program it worked for"


def bytes_there(target: Path) -> int:
    part = target.with_name(target.name + ".part")
    for path in (target, part):
        if path.exists():
            return path.stat().st_size
    return 0


def check_nothing_came_twice(served: list[Served], finished: dict[str, int]) -> None:
    for answer in served:
        assert answer.start >= finished[answer.path], "finished bytes were fetched again"
        assert finished[answer.path] < 8 * MEBIBYTE, "a finished part was fetched again"

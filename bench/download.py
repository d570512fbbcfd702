"""Throughput of a download against huggingface_hub's own call, from a server on this machine.

Run: python -m bench.download [--megabytes 2048] [--rounds 3]; ends with 1 below 0.9 of plain.

Both fetch the same file from the same server, turn by turn, each in a process of its own, measured
as a person sees it, the process's start and all. "Plain" is hf_hub_download; "call" is the call
alone, everything imported before. Ours is from the order to a verified file on the disk
("verified"), and to its last byte ("arrived"). Plain neither verifies nor syncs, so "arrived" is
like for like.
Results are ratios of neighbours in time, the median over the rounds: on a busy machine only they
mean something. Where others take most of the processor not even they do; the processor's time that
each took ("cpu", start and imports of both included, the server's left out) does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from m1desk.models import (  # noqa: E402 - after the path
    Download,
    DownloadManager,
    DownloadState,
    Hub,
    HubSettings,
)
from m1desk.models.downloads.manager import DownloadLimits  # noqa: E402
from m1desk.store import Database  # noqa: E402

NAME = "bench-Q8_0.gguf"
LEAST_RATIO = 0.9
PLAIN = """
import sys, time
from huggingface_hub import hf_hub_download
import huggingface_hub.file_download
started = time.monotonic()
hf_hub_download("local/files", sys.argv[2], local_dir=sys.argv[3], endpoint=sys.argv[1])
print(time.monotonic() - started)
"""


@dataclass(frozen=True)
class Ours:
    """Seconds of one download of ours, from its first order."""

    arrived: float
    verified: float


def processor_seconds() -> float:
    """Of this process and of its children that have ended; 0.0 for these on Windows."""
    return sum(os.times()[:4])


def plain(endpoint: str, folder: Path) -> dict[str, float]:
    """Seconds of one plain download with its process, and of the call alone."""
    command = [sys.executable, "-c", PLAIN, endpoint, NAME, str(folder)]
    began = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    return {"plain": time.monotonic() - began, "call": float(done.stdout)}


async def ours(endpoint: str, folder: Path) -> Ours:
    """One download through the manager, its process's start and all."""
    settings = HubSettings(endpoint)
    repository = await asyncio.to_thread(Hub(settings).repository, "local/files")
    marks: dict[str, float] = {}

    def on_change(download: Download) -> None:
        if download.bytes_done == download.bytes_total:
            marks.setdefault("arrived", time.monotonic())
        if download.state is DownloadState.VERIFYING:
            marks.setdefault("arrived", time.monotonic())

    with Database(folder / "bench.sqlite3") as database:
        limits = DownloadLimits(reserve_bytes=0)
        manager = DownloadManager(database, lambda: settings, on_change, limits=limits)
        began = time.monotonic()
        download = await manager.add(repository, repository.variants[0], folder / "models")
        done = await manager.wait(download.id)
        ended = time.monotonic()
        await manager.close()
    if done.state is not DownloadState.DONE:
        raise SystemExit(str(done.failure))
    return Ours(marks["arrived"] - began, ended - began)


def measure(endpoint: str, place: Path, rounds: int, size: int) -> dict[str, float]:
    """Run both turn by turn; MB per second, medians, and their ratios."""
    results: dict[str, list[float]] = {"plain": [], "call": [], "arrived": [], "verified": []}
    processor: dict[str, list[float]] = {"plain": [], "ours": []}
    for number in range(rounds):
        for kind in ("plain", "ours") if number % 2 == 0 else ("ours", "plain"):
            folder = place / f"{kind}-{number}"
            folder.mkdir()
            before = processor_seconds()
            if kind == "plain":
                seconds = plain(endpoint, folder)
            else:
                one = asyncio.run(ours(endpoint, folder))
                seconds = {"arrived": one.arrived, "verified": one.verified}
            for name, value in seconds.items():
                results[name].append(size / value / 1e6)
                print(f"round {number + 1}  {name:<9} {size / value / 1e6:8.0f} MB/s", flush=True)
            processor[kind].append(processor_seconds() - before)
            print(f"round {number + 1}  {kind:<9} {processor[kind][-1]:8.2f} s of processor time")
            shutil.rmtree(folder)
            os.sync()  # so that one's writing back does not slow the next
    medians = {name: statistics.median(values) for name, values in results.items()}
    for name, other in (("arrived", "plain"), ("verified", "plain"), ("arrived", "call")):
        medians[f"{name}_over_{other}"] = ratio_of(
            f"{name} over {other}", results[name], results[other]
        )
    medians["plain_cpu_over_ours"] = ratio_of("cpu", processor["plain"], processor["ours"])
    return medians


def ratio_of(name: str, over: list[float], under: list[float]) -> float:
    """The median of the rounds' ratios."""
    ratios = [one / other for one, other in zip(over, under, strict=True)]
    print(f"{name}, ratio by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    return statistics.median(ratios)


def write_file(path: Path, megabytes: int) -> int:
    block = random.Random(1).randbytes(1_000_000)
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    return megabytes * 1_000_000


def main() -> int:
    """Print the table, and the medians as JSON; 0 if the limit is held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    options = parser.parse_args()
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "0"}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        place = Path(name)
        size = write_file(place / NAME, options.megabytes)
        command = [sys.executable, "-m", "support.hub_server", str(place / NAME)]
        env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        ) as server:
            assert server.stdout is not None
            try:
                endpoint = server.stdout.readline().strip()
                os.environ["HF_ENDPOINT"] = endpoint
                found = measure(endpoint, place, options.rounds, size)
            finally:
                server.terminate()
    print(json.dumps(found, indent=2))
    held = found["arrived_over_plain"] >= LEAST_RATIO
    print("holds" if held else "does not hold")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

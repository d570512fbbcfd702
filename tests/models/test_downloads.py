"""Downloads as a person meets them: several at once, paused, resumed, refused, verified."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from gguf_making import write_split
from support.hub_server import HubServer
from support.transfers import running_transfers

from m1desk.errors import BadInput
from m1desk.models import Hub, HubSettings, read_gguf_header
from m1desk.models.downloads import Download, DownloadManager, DownloadState
from m1desk.models.downloads.manager import DownloadLimits
from m1desk.models.downloads.runner import RetryPolicy, Speedometer
from m1desk.models.hub_values import HubRepository
from m1desk.store import Database

MEBIBYTE = 1024 * 1024
FAST = RetryPolicy((0.01, 0.01, 0.01))
LIMITS = DownloadLimits(at_once=2, reserve_bytes=0)


class Desk:
    """A manager with what it keeps, as the app has it, for the length of a test."""

    def __init__(self, folder: Path, server: HubServer, **options: Any) -> None:
        self.models = folder / "models"
        self.settings = HubSettings(server.endpoint)
        self.seen: list[Download] = []
        self.removed: list[int] = []
        self.database = Database(folder / "downloads.sqlite3")
        self.moved = asyncio.Event()
        self.manager = DownloadManager(
            self.database,
            lambda: self.settings,
            self._on_change,
            self.removed.append,
            **{"limits": LIMITS, "retries": FAST, **options},
        )

    def _on_change(self, download: Download) -> None:
        self.seen.append(download)
        self.moved.set()

    async def add(self, repo_id: str, name: str) -> Download:
        repository = await self.repository(repo_id)
        variant = repository.variant(name)
        assert variant is not None
        return await self.manager.add(repository, variant, self.models)

    async def repository(self, repo_id: str) -> HubRepository:
        return await asyncio.to_thread(Hub(self.settings).repository, repo_id)

    async def until(self, is_so: Callable[[Download], bool]) -> Download:
        """Wait for a change after which `is_so` holds of the download that changed."""
        while True:
            for download in self.seen:
                if is_so(download):
                    return download
            self.moved.clear()
            await asyncio.wait_for(self.moved.wait(), 30)


@asynccontextmanager
async def desk(folder: Path, server: HubServer, **options: Any) -> AsyncIterator[Desk]:
    one = Desk(folder, server, **options)
    try:
        yield one
    finally:
        await one.manager.close()
        one.database.close()


def write_random(path: Path, size: int, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


@pytest.fixture
def big(tmp_path: Path, hub_server: HubServer) -> Path:
    """Eight MiB at the hub, as me/big's Q4_K_M."""
    path = write_random(tmp_path / "at-the-hub" / "big.gguf", 8 * MEBIBYTE)
    hub_server.add("me/big", {"big-Q4_K_M.gguf": path, "README.md": b"# Big"}, "gguf")
    return path


async def test_a_model_arrives_where_it_belongs(
    tmp_path: Path, hub_server: HubServer, tiny_llama: Path
) -> None:
    hub_server.add("me/tiny", {"tiny-F32.gguf": tiny_llama}, "gguf")
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/tiny", "F32")
        done = await one.manager.wait(begun.id)
    assert done.state is DownloadState.DONE
    assert done.main_path == tmp_path / "models" / "me" / "tiny" / "tiny-F32.gguf"
    assert done.main_path.read_bytes() == tiny_llama.read_bytes()
    assert read_gguf_header(done.main_path).architecture == "llama"
    assert [path.name for path in done.folder.iterdir()] == ["tiny-F32.gguf"]
    assert (done.fraction, done.bytes_verified) == (1.0, tiny_llama.stat().st_size)
    states = [state for state, _ in _runs(one.seen)]
    assert states[:2] == [DownloadState.QUEUED, DownloadState.DOWNLOADING]
    assert states[-1] is DownloadState.DONE


def _runs(seen: list[Download]) -> list[tuple[DownloadState, int]]:
    runs: list[tuple[DownloadState, int]] = []
    for download in seen:
        if not runs or runs[-1][0] is not download.state:
            runs.append((download.state, download.bytes_done))
    return runs


async def test_the_parts_of_a_model_are_one_download(tmp_path: Path, hub_server: HubServer) -> None:
    parts = write_split(tmp_path)
    hub_server.add("me/split", {part.name: part for part in parts}, "gguf")
    async with desk(tmp_path, hub_server) as one:
        done = await one.manager.wait((await one.add("me/split", "big")).id)
    assert done.state is DownloadState.DONE
    assert len(done.files) == 3
    assert len(read_gguf_header(done.main_path).parts) == 3
    assert done.bytes_total == sum(part.stat().st_size for part in parts)


async def test_a_checkpoint_arrives_with_its_config(tmp_path: Path, hub_server: HubServer) -> None:
    files: dict[str, Path | bytes] = {
        "config.json": b'{"architectures": ["X"]}',
        "model.safetensors": write_random(tmp_path / "hub" / "w", 200_000),
        "onnx/model.onnx": b"not wanted",
    }
    hub_server.add("me/check", files)
    async with desk(tmp_path, hub_server) as one:
        done = await one.manager.wait((await one.add("me/check", "safetensors")).id)
    assert done.state is DownloadState.DONE
    assert {path.name for path in done.folder.iterdir()} == {"config.json", "model.safetensors"}


async def test_only_so_many_run_at_once(tmp_path: Path, hub_server: HubServer) -> None:
    for number in range(4):
        path = write_random(tmp_path / "hub" / f"{number}.gguf", 600_000, number)
        hub_server.add(f"me/m{number}", {"m-Q8_0.gguf": path}, "gguf")
    hub_server.fault("storage", bytes_per_second=2_000_000)
    async with desk(tmp_path, hub_server) as one:
        begun = [await one.add(f"me/m{number}", "Q8_0") for number in range(4)]
        most = 0
        for download in begun:
            await one.manager.wait(download.id)
        states: dict[int, DownloadState] = {}
        for download in one.seen:
            states[download.id] = download.state
            most = max(most, sum(state.is_active for state in states.values()))
        assert {download.state for download in one.manager.downloads} == {DownloadState.DONE}
    assert most == 2


async def test_pause_and_resume_go_on_where_it_was(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=4_000_000)
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/big", "Q4_K_M")
        moving = await one.until(lambda each: each.bytes_done > 2 * MEBIBYTE)
        assert moving.bytes_per_second is None or moving.bytes_per_second > 0
        await one.manager.pause(begun.id)
        (paused,) = one.manager.downloads
        assert paused.state is DownloadState.PAUSED
        part = paused.folder / "big-Q4_K_M.gguf.part"
        there = part.stat().st_size
        slow.times = 0
        await one.manager.resume(begun.id)
        done = await one.manager.wait(begun.id)
    assert done.state is DownloadState.DONE
    assert [served.start for served in hub_server.served] == [0, there]
    assert done.main_path.read_bytes() == big.read_bytes()


async def test_a_new_start_goes_on_with_what_was_under_way(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=4_000_000)
    async with desk(tmp_path, hub_server) as one:
        await one.add("me/big", "Q4_K_M")
        await one.until(lambda each: each.bytes_done > 2 * MEBIBYTE)
    there = (one.models / "me" / "big" / "big-Q4_K_M.gguf.part").stat().st_size
    slow.times = 0
    async with desk(tmp_path, hub_server) as two:
        (found,) = await two.manager.recover()
        assert found.bytes_done == there
        done = await two.manager.wait(found.id)
    assert done.state is DownloadState.DONE
    assert hub_server.served[-1].start == there


async def test_a_paused_one_stays_paused_over_a_start(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    hub_server.fault("storage", bytes_per_second=2_000_000)
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/big", "Q4_K_M")
        await one.manager.pause(begun.id)
    async with desk(tmp_path, hub_server) as two:
        (found,) = await two.manager.recover()
        assert found.state is DownloadState.PAUSED


async def test_after_a_crash_of_the_system_only_what_was_synced_counts(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=4_000_000)
    async with desk(tmp_path, hub_server) as one:
        await one.add("me/big", "Q4_K_M")
        await one.until(lambda each: each.bytes_done > 2 * MEBIBYTE)
    notes = one.models / "me" / "big" / "big-Q4_K_M.gguf.part.json"
    text = notes.read_text()
    boot = text.split('"boot": "')[1].split('"')[0]
    notes.write_text(text.replace(boot, "before").replace('"synced": 0', '"synced": 1000000'))
    slow.times = 0
    async with desk(tmp_path, hub_server) as two:
        (found,) = await two.manager.recover()
        done = await two.manager.wait(found.id)
    assert hub_server.served[-1].start == 1_000_000
    assert done.main_path.read_bytes() == big.read_bytes()


async def test_asking_again_for_the_same_goes_on_with_it(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/big", "Q4_K_M")
        await one.manager.pause(begun.id)
        again = await one.add("me/big", "Q4_K_M")
        assert again.id == begun.id
        assert (await one.manager.wait(begun.id)).state is DownloadState.DONE


async def test_a_file_that_is_there_already_is_checked_and_not_fetched(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    place = tmp_path / "models" / "me" / "big" / "big-Q4_K_M.gguf"
    place.parent.mkdir(parents=True)
    place.write_bytes(big.read_bytes())
    async with desk(tmp_path, hub_server) as one:
        done = await one.manager.wait((await one.add("me/big", "Q4_K_M")).id)
        assert done.state is DownloadState.DONE
        assert hub_server.served == []
        await one.manager.cancel(done.id)
        assert place.exists()


async def test_another_file_in_the_place_is_never_overwritten(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    place = tmp_path / "models" / "me" / "big" / "big-Q4_K_M.gguf"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"something else")
    async with desk(tmp_path, hub_server) as one:
        failed = await one.manager.wait((await one.add("me/big", "Q4_K_M")).id)
        assert failed.state is DownloadState.FAILED
        assert "is there already" in str(failed.failure)
        await one.manager.cancel(failed.id)
    assert place.read_bytes() == b"something else"


async def test_cancelling_removes_what_had_arrived(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    hub_server.fault("storage", bytes_per_second=4_000_000)
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/big", "Q4_K_M")
        await one.until(lambda each: each.bytes_done > MEBIBYTE)
        await one.manager.cancel(begun.id)
        assert one.manager.downloads == ()
        assert one.removed == [begun.id]
    assert not (tmp_path / "models" / "me").exists()


async def test_wrong_bytes_are_not_kept(tmp_path: Path, hub_server: HubServer, big: Path) -> None:
    fault = hub_server.fault("storage", wrong_bytes=True)
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/big", "Q4_K_M")
        failed = await one.manager.wait(begun.id)
        assert failed.state is DownloadState.FAILED
        assert failed.failure is not None
        assert failed.failure.kind == "checksum"
        assert {path.suffix for path in failed.folder.iterdir()} <= {".lock"}
        fault.times = 0
        await one.manager.resume(begun.id)
        assert (await one.manager.wait(begun.id)).state is DownloadState.DONE


@pytest.mark.parametrize(
    "faults",
    [
        [{"cut_after": 3_000_000, "times": 2}],
        [{"status": 500, "times": 2}],
        [{"status": 429, "retry_after": 1, "times": 1}],
        [{"status": 403, "times": 1}],
        [{"cut_after": 3_000_000, "times": 1}, {"status": 403, "times": 1}] * 2,
    ],
)
async def test_passing_faults_of_the_storage_are_overcome(
    tmp_path: Path, hub_server: HubServer, big: Path, faults: list[dict[str, int]]
) -> None:
    for fault in faults:
        hub_server.fault("storage", **fault)
    async with desk(tmp_path, hub_server) as one:
        done = await one.manager.wait((await one.add("me/big", "Q4_K_M")).id)
    assert done.state is DownloadState.DONE, done.failure
    assert done.main_path.read_bytes() == big.read_bytes()
    starts = [served.start for served in hub_server.served if served.status in {200, 206}]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("where", "fault", "kind"),
    [
        ("resolve", {"status": 401, "code": "GatedRepo"}, "gated"),
        ("resolve", {"status": 403}, "forbidden"),
        ("resolve", {"status": 404, "code": "EntryNotFound"}, "not_found"),
        ("resolve", {"status": 404, "code": "RepoNotFound"}, "not_found"),
        ("resolve", {"status": 500}, "server"),
        ("resolve", {"status": 429, "retry_after": 86_400}, "rate_limited"),
        ("storage", {"status": 403}, "forbidden"),
        ("storage", {"status": 404}, "not_found"),
        ("storage", {"endless": True}, "answer"),
        ("storage", {"other_range": True, "wrong_bytes": True}, "checksum"),
    ],
)
async def test_lasting_faults_end_in_words(
    tmp_path: Path, hub_server: HubServer, big: Path, where: str, fault: dict[str, Any], kind: str
) -> None:
    async with desk(tmp_path, hub_server) as one:
        repository = await one.repository("me/big")
        hub_server.fault(where, path="*big-Q4_K_M.gguf", **fault)
        begun = await one.manager.add(repository, repository.variants[0], one.models)
        failed = await one.manager.wait(begun.id)
    assert failed.state is DownloadState.FAILED
    assert failed.failure is not None
    assert failed.failure.kind == kind, failed.failure
    assert failed.failure.what


async def test_a_server_without_ranges_still_ends_well(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    hub_server.fault("storage", cut_after=3 * MEBIBYTE, times=1)
    hub_server.fault("storage", no_ranges=True)
    async with desk(tmp_path, hub_server) as one:
        done = await one.manager.wait((await one.add("me/big", "Q4_K_M")).id)
    assert done.state is DownloadState.DONE, done.failure
    assert done.main_path.read_bytes() == big.read_bytes()


async def test_the_token_goes_to_the_hub_and_not_to_the_storage(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    hub_server.repositories["me/big"].needs_token = "secret-token"
    async with desk(tmp_path, hub_server) as one:
        failed = await one.manager.wait((await one.add("me/big", "Q4_K_M")).id)
        assert failed.failure is not None
        assert failed.failure.kind == "gated"
        one.settings = replace(one.settings, token="secret-token")
        await one.manager.resume(failed.id)
        assert (await one.manager.wait(failed.id)).state is DownloadState.DONE
    assert hub_server.requests[-1][2]
    assert not any(served.authorized for served in hub_server.served)


async def test_too_little_space_is_said_before_anything_is_fetched(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    async with desk(tmp_path, hub_server, space=lambda _: 8 * MEBIBYTE - 1) as one:
        with pytest.raises(BadInput, match="not enough space"):
            await one.add("me/big", "Q4_K_M")
        assert one.manager.downloads == ()
    assert hub_server.served == []


async def test_space_that_others_will_need_counts(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    hub_server.add("me/big2", {"other-Q4_0.gguf": big}, "gguf")
    hub_server.fault("storage", bytes_per_second=1_000_000)
    async with desk(tmp_path, hub_server, space=lambda _: 12 * MEBIBYTE) as one:
        await one.add("me/big", "Q4_K_M")
        with pytest.raises(BadInput, match="other downloads"):
            await one.add("me/big2", "Q4_0")


LIMITED = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 1024 * 1024, 3 * 1024 * 1024))
runpy.run_module("m1desk.models.downloads.transfer", run_name="__main__")
"""


async def test_a_disk_that_takes_no_more_is_said_and_what_came_is_kept(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    async with desk(tmp_path, hub_server, command=(sys.executable, "-c", LIMITED)) as one:
        failed = await one.manager.wait((await one.add("me/big", "Q4_K_M")).id)
    assert failed.failure is not None
    assert failed.failure.kind == "disk"
    assert "can't be written" in failed.failure.what
    assert (failed.folder / "big-Q4_K_M.gguf.part").stat().st_size == 3 * MEBIBYTE
    async with desk(tmp_path, hub_server) as two:
        (found,) = await two.manager.recover()
        await two.manager.resume(found.id)
        assert (await two.manager.wait(found.id)).state is DownloadState.DONE
    assert hub_server.served[-1].start == 3 * MEBIBYTE


async def test_a_disk_that_fills_up_stops_it_before_it_is_full(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    all_there_is = DownloadLimits(reserve_bytes=1 << 60)
    async with desk(tmp_path, hub_server, limits=all_there_is, space=lambda _: 1 << 62) as one:
        failed = await one.manager.wait((await one.add("me/big", "Q4_K_M")).id)
    assert failed.failure is not None
    assert failed.failure.kind == "disk_full"


async def test_offline_nothing_is_begun(tmp_path: Path, hub_server: HubServer, big: Path) -> None:
    async with desk(tmp_path, hub_server) as one:
        repository = await one.repository("me/big")
        one.settings = replace(one.settings, offline=True)
        begun = await one.manager.add(repository, repository.variants[0], one.models)
        failed = await one.manager.wait(begun.id)
    assert failed.failure is not None
    assert failed.failure.kind == "offline"
    assert hub_server.served == []


async def test_a_transfer_that_is_killed_is_begun_again_by_itself(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    slow = hub_server.fault("storage", bytes_per_second=4_000_000)
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/big", "Q4_K_M")
        await one.until(lambda each: each.bytes_done > MEBIBYTE)
        slow.times = 0
        (child,) = running_transfers()
        child.kill()
        done = await one.manager.wait(begun.id)
    assert done.state is DownloadState.DONE
    assert len(hub_server.served) == 2
    assert hub_server.served[1].start >= MEBIBYTE


async def test_one_download_is_not_fetched_by_two_programs(
    tmp_path: Path, hub_server: HubServer, big: Path
) -> None:
    async with desk(tmp_path, hub_server) as one:
        begun = await one.add("me/big", "Q4_K_M")
        await one.manager.pause(begun.id)
        # A process that lives and is not this one: our parent.
        parent = psutil.Process(os.getppid())
        one.database.execute(
            "UPDATE downloads SET owner_pid = ?, owner_started = ?",
            (parent.pid, parent.create_time()),
        )
        two = DownloadManager(one.database, lambda: one.settings, limits=LIMITS)
        assert await two.recover() == ()
        repository = await one.repository("me/big")
        with pytest.raises(BadInput, match="already"):
            await two.add(repository, repository.variants[0], one.models)
        await two.close()


async def test_a_variant_that_lacks_parts_is_refused(tmp_path: Path, hub_server: HubServer) -> None:
    parts = write_split(tmp_path)
    hub_server.add("me/split", {part.name: part for part in parts[:2]}, "gguf")
    async with desk(tmp_path, hub_server) as one:
        with pytest.raises(BadInput, match="lacks 1 of its parts"):
            await one.add("me/split", "big")


def test_speed_is_that_of_the_last_ten_seconds() -> None:
    now = 0.0
    meter = Speedometer(lambda: now)
    assert meter.mark(0) is None
    now = 5.0
    assert meter.mark(100) == 20.0
    now = 20.0
    assert meter.mark(100) is None
    now = 30.0
    assert meter.mark(400) == 30.0

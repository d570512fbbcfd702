"""How the worker chooses its settings: by measuring, and not by what others did meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from m1desk.llama_worker.calibrate import (
    Measurement,
    OtherLoad,
    Setting,
    choose,
    choose_flash_attention,
)
from m1desk.llama_worker.threads import default_threads, thread_candidates, usable_processors

if TYPE_CHECKING:
    from pathlib import Path

BASE = Setting(threads=8, flash_attention=True, extra_buffers=False)


def measured(speed: float, **changes: object) -> Measurement:
    return Measurement(replace(BASE, **changes), speed, 100.0)  # type: ignore[arg-type]


def test_another_setting_must_be_clearly_better() -> None:
    first = measured(100)
    assert choose([first, measured(104, threads=4)], disturbed=False) == first
    better = measured(110, threads=4)
    assert choose([first, better], disturbed=False) == better


def test_on_a_busy_machine_the_number_of_threads_stays_the_sane_one() -> None:
    """Others on the cores make many threads look bad; extra buffers are compared fairly."""
    extra = measured(60, extra_buffers=True)
    chosen = choose([measured(50), measured(300, threads=1), extra], disturbed=True)
    assert chosen == extra


@pytest.mark.parametrize(
    ("without", "disturbed", "stays"),
    [(104, False, True), (120, False, False), (120, True, True), (80, False, True)],
)
def test_flash_attention_stays_unless_it_is_clearly_slower(
    without: float, disturbed: bool, stays: bool
) -> None:
    flash, plain = measured(100), measured(without, flash_attention=False)
    chosen = choose_flash_attention(flash, plain, disturbed=disturbed)
    assert chosen.setting.flash_attention is stays


def test_other_programs_are_noticed_and_the_own_work_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = {"busy": 0.0, "own": 0.0, "now": 0.0}
    monkeypatch.setattr("m1desk.llama_worker.calibrate._busy_seconds", lambda: clock["busy"])
    monkeypatch.setattr("time.process_time", lambda: clock["own"])
    monkeypatch.setattr("time.perf_counter", lambda: clock["now"])
    monkeypatch.setattr("m1desk.llama_worker.calibrate.usable_processors", lambda: 8)
    load = OtherLoad()
    clock.update(now=10.0, own=40.0, busy=42.0)
    assert load.processors == pytest.approx(0.2)
    assert not load.is_disturbing
    clock.update(busy=52.0)
    assert load.is_disturbing


_AS_SHORT_AS_CAN_BE = """
from m1desk.llama_worker import calibrate
calibrate._SETTINGS_SECONDS = calibrate._FLASH_SECONDS = 0.0
calibrate.run_calibration(allow_extra_buffers=False)
"""


def test_measuring_ends_with_a_choice_that_was_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AS_SHORT_AS_CAN_BE],
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    *tried, chosen = (json.loads(line) for line in done.stdout.splitlines())
    assert chosen.pop("event") == "chosen"
    gain, others = chosen.pop("flash_attention_gain"), chosen.pop("others_processors")
    assert gain > 0
    assert others >= 0
    disturbed = chosen.pop("disturbed")
    assert {"event": "measured", **chosen} in tried
    if disturbed:
        assert chosen["threads"] == default_threads()


def group(root: Path, path: str, **files: str) -> None:
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)


def own_groups(root: Path, text: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text)


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 64 if logical else 32)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)


@pytest.mark.usefixtures("many_cores")
def test_threads_are_physical_cores(tmp_path: Path) -> None:
    assert default_threads(tmp_path) == 32
    assert thread_candidates(tmp_path) == [32, 64, 16, 8]


@pytest.mark.usefixtures("many_cores")
def test_a_container_gets_as_many_threads_as_its_quota_allows(tmp_path: Path) -> None:
    own_groups(tmp_path, "0::/a/b\n")
    group(tmp_path, "a", cpu_max="350000 100000\n")
    group(tmp_path, "a/b", cpu_max="max 100000\n")
    assert usable_processors(tmp_path) == 4
    assert default_threads(tmp_path) == 4
    assert thread_candidates(tmp_path) == [4, 2]


@pytest.mark.usefixtures("many_cores")
def test_the_older_control_groups_are_understood_too(tmp_path: Path) -> None:
    own_groups(tmp_path, "5:cpu,cpuacct:/box\n1:name=systemd:/\n")
    folder = tmp_path / "sys/fs/cgroup/cpu,cpuacct/box"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("200000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (folder.parent / "cpu.cfs_quota_us").write_text("-1\n")
    assert default_threads(tmp_path) == 2


@pytest.mark.usefixtures("many_cores")
def test_pinned_processors_bound_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5}, raising=False)
    assert default_threads(tmp_path) == 2


def test_an_unreadable_machine_still_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: None)
    assert default_threads(tmp_path) == 1

"""Where the probes read from: this machine, or a recorded one."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import psutil

from m1desk.hardware.engine_view import ask_engine
from m1desk.hardware.machine import EngineView, Ram


class Nvml(Protocol):
    """What is used of the module `pynvml`, or of a recording of its answers."""

    NVMLError: type[Exception]

    def __getattr__(self, name: str) -> Callable[..., Any]: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a probe asks of the outside.

    Attributes:
        platform: `sys.platform`.
        root: the folder that holds /proc, /sys and /usr.
        sysctl: the value of one of macOS's kernel variables, "" when there is none.
        load_nvml: the module pynvml; raises ImportError when it isn't installed.
        ask_engine: the engine's own list of devices.
        read_ram: the memory as the operating system sees it, without control groups.
        core_counts: physical cores (None if unknown), logical cores, those this process may run on.
    """

    platform: str
    root: Path
    sysctl: Callable[[str], str]
    load_nvml: Callable[[], Nvml]
    ask_engine: Callable[[], EngineView]
    read_ram: Callable[[], Ram]
    core_counts: Callable[[], tuple[int | None, int, int]]

    @classmethod
    def of_this_machine(cls) -> Sources:
        """The machine this runs on."""
        return cls(
            platform=sys.platform,
            root=Path("/"),
            sysctl=_sysctl,
            load_nvml=_load_nvml,
            ask_engine=ask_engine,
            read_ram=_read_ram,
            core_counts=_core_counts,
        )


def _sysctl(name: str) -> str:
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name],
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _load_nvml() -> Nvml:
    return cast("Nvml", importlib.import_module("pynvml"))


def _read_ram() -> Ram:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Ram(
        total_bytes=memory.total,
        available_bytes=memory.available,
        swap_total_bytes=swap.total,
        swap_free_bytes=swap.free,
    )


def _core_counts() -> tuple[int | None, int, int]:
    logical = psutil.cpu_count(logical=True) or 1
    if sys.platform == "darwin":  # macOS has no affinity
        return psutil.cpu_count(logical=False), logical, logical
    return psutil.cpu_count(logical=False), logical, len(psutil.Process().cpu_affinity() or [0])

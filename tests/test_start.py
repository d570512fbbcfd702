"""start.py: what it installs, when it does nothing, and what it says when it can't go on."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "installers"))

from bootstrap import backends  # noqa: E402 - found through the line above
from bootstrap.backends import Found  # noqa: E402
from bootstrap.checks import Check, all_checks, run  # noqa: E402
from bootstrap.console import Console, ProgramError, SetupError  # noqa: E402
from bootstrap.environment import RECORD, Environment, fingerprint  # noqa: E402
from bootstrap.main import has_display  # noqa: E402
from bootstrap.options import Options, parse  # noqa: E402
from bootstrap.setup import Setup  # noqa: E402

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "cache" / "setup.log")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment in a folder of its own, as start.py makes it."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "sources").mkdir()
    (root / "sources" / "from_the_checkout.py").write_text("HERE = True\n")
    Environment(root / ".venv").create(root / "sources", Console(root / "setup.log"))
    return root


@pytest.fixture
def checkout(made: Path) -> Iterator[Path]:
    """The folder of a checkout whose every part is recorded as installed."""
    shutil.copytree(ROOT / "requirements", made / "requirements")
    setup = Setup(made, apt=False, backend="cpu")
    for part, key in setup.wanted(dev=True).items():
        setup.environment.record(part, key)
    setup.environment.record("backend", "cpu")
    yield made
    shutil.rmtree(made / "requirements")
    shutil.rmtree(made / ".cache", ignore_errors=True)


# The command line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Options("app")),
        (["test"], Options("test")),
        (["test", "-k", "chat"], Options("test", rest=("-k", "chat"))),
        (["setup"], Options("setup")),
        (["--help"], Options("help")),
        (["doctor", "--json"], Options("app", rest=("doctor", "--json"))),
        (["--", "--help"], Options("app", rest=("--help",))),
        (["--no-apt", "--backend", "cuda", "test"], Options("test", "cuda", apt=False)),
        (["--backend=cpu", "chat", "m.gguf"], Options("app", "cpu", rest=("chat", "m.gguf"))),
        (["--screenshot", "x.png"], Options("app", rest=("--screenshot", "x.png"))),
    ],
)
def test_words_after_start(words: list[str], expected: Options) -> None:
    assert parse(words) == expected


@pytest.mark.parametrize("words", [["--backend", "quantum"], ["--backend"], ["--backend="]])
def test_an_unknown_backend_is_refused_with_the_known_ones(words: list[str]) -> None:
    with pytest.raises(SetupError, match="no backend") as caught:
        parse(words)
    assert "cuda" in caught.value.todo


def test_help_and_a_bad_option_end_without_setting_up() -> None:
    def start(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "start.py"), *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    helped = start("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "python3 start.py test" in helped.stdout
    refused = start("--backend", "quantum")
    assert refused.returncode == 1
    assert refused.stderr.startswith("There is no backend named 'quantum'.")
    assert "Traceback" not in refused.stderr


def test_start_itself_is_readable_for_pythons_that_are_too_old() -> None:
    ast.parse((ROOT / "start.py").read_text(), feature_version=(3, 7))


# The environment and its record


def test_a_new_environment_is_sound_and_runs_the_checkout(made: Path) -> None:
    environment = Environment(made / ".venv")
    assert environment.is_sound()
    code = "import from_the_checkout, pip; print(from_the_checkout.HERE)"
    done = subprocess.run(
        [environment.python, "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr


def test_no_environment_is_not_sound(tmp_path: Path) -> None:
    assert not Environment(tmp_path / ".venv").is_sound()
    assert Environment(tmp_path / ".venv").installed("app") == ""


def test_a_moved_environment_is_not_sound(made: Path) -> None:
    moved = (made / ".venv").rename(made / "moved")
    try:
        assert not Environment(moved).is_sound()
    finally:
        moved.rename(made / ".venv")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "made": ""}'])
def test_a_damaged_record_is_not_sound(made: Path, text: str) -> None:
    record = made / ".venv" / RECORD
    good = record.read_text()
    record.write_text(text)
    try:
        assert not Environment(made / ".venv").is_sound()
        assert Environment(made / ".venv").installed("app") == ""
    finally:
        record.write_text(good)


def test_an_environment_whose_making_failed_is_not_taken_for_one(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_base_executable", "/nowhere/python3")
    environment = Environment(tmp_path / ".venv")
    with pytest.raises(ProgramError):
        environment.create(tmp_path, console)
    assert (environment.folder / RECORD).exists()
    assert not environment.is_sound()


def test_an_environment_that_someone_made_is_kept_and_a_broken_one_is_not(
    made: Path, console: Console
) -> None:
    environment = Environment(made / ".venv")
    marker = environment.folder / "of-the-user"
    marker.touch()
    (environment.folder / RECORD).unlink()
    environment.create(made / "sources", console)
    assert environment.is_sound()
    assert marker.exists()
    (environment.folder / RECORD).write_text(json.dumps({"format": 1, "made": "elsewhere"}))
    environment.create(made / "sources", console)
    assert environment.is_sound()
    assert not marker.exists()


def test_a_part_counts_only_when_it_is_whole(made: Path) -> None:
    environment = Environment(made / ".venv")
    environment.record("app", "abc")
    assert environment.installed("app") == "abc"
    environment.record("app", "")  # written before pip starts: what follows may be interrupted
    assert environment.installed("app") == ""


def test_a_fingerprint_changes_with_each_file_and_word(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text("one==1\n")
    first = fingerprint([lock], "x")
    assert fingerprint([lock], "x") == first
    assert fingerprint([lock], "y") != first
    lock.write_text("one==2\n")
    assert fingerprint([lock], "x") != first


# What is missing


def test_nothing_is_missing_when_all_is_installed(checkout: Path) -> None:
    setup = Setup(checkout, apt=False, backend="")
    assert setup.missing(dev=True) == []
    setup.ensure(dev=True)  # does nothing: there is no network in a test
    assert not (checkout / ".cache").exists()


@pytest.mark.parametrize("part", ["build", "app", "dev", "engine"])
def test_a_changed_lock_file_makes_its_part_missing(checkout: Path, part: str) -> None:
    with (checkout / "requirements" / f"{part}.lock").open("a") as lock:
        lock.write("# newer\n")
    assert Setup(checkout, apt=False, backend="").missing(dev=True) == [part]


def test_another_backend_or_other_cmake_arguments_make_the_engine_missing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Setup(checkout, apt=False, backend="vulkan").missing(dev=False) == ["engine"]
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_BLAS=ON")
    assert Setup(checkout, apt=False, backend="").missing(dev=False) == ["engine"]


def test_without_an_environment_all_is_missing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    missing = Setup(tmp_path, apt=False, backend="").missing(dev=False)
    assert missing == ["venv", "build", "app", "engine"]


BACKEND = """
import os, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tiny_engine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        info = "tiny_engine-1.0.dist-info/"
        wheel.writestr("tiny_engine.py", f"BUILT = {os.environ['CMAKE_ARGS']!r}")
        metadata = "Metadata-Version: 2.1", "Name: tiny-engine", "Version: 1.0", ""
        wheel.writestr(info + "METADATA", "\\n".join(metadata))
        tags = "Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any", ""
        wheel.writestr(info + "WHEEL", "\\n".join(tags))
        wheel.writestr(info + "RECORD", "")
    return name
"""


@pytest.fixture
def tiny_engine(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose engine is built in no time, and knows the arguments it was built with."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n[project]\nname = "tiny-engine"\nversion = "1.0"\n',
        "backend.py": BACKEND,
        "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.0\n",
    }
    archive = tmp_path / "tiny_engine-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            tar.add(tmp_path / name, f"tiny_engine-1.0/{name}")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    lock = checkout / "requirements" / "engine.lock"
    lock.write_text(f"tiny-engine @ {archive.as_uri()} --hash=sha256:{digest}\n")
    Environment(checkout / ".venv").record("build", "")  # its pip is Python's own, not the locked
    monkeypatch.delenv("CMAKE_ARGS", raising=False)
    return checkout


def built_with(checkout: Path) -> str:
    code = "import tiny_engine; print(tiny_engine.BUILT)"
    python = Environment(checkout / ".venv").python
    argv = [python, "-I", "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_the_engine_is_built_for_the_chosen_backend_and_each_build_is_kept(
    tiny_engine: Path,
) -> None:
    for backend, argument in (("cpu", "LLAVA"), ("vulkan", "GGML_VULKAN"), ("cpu", "LLAVA")):
        setup = Setup(tiny_engine, apt=False, backend=backend)
        setup.install_engine(setup.wanted(dev=False)["engine"])
        assert argument in built_with(tiny_engine).rsplit("-D", 1)[-1]
        assert "engine" not in Setup(tiny_engine, apt=False, backend="").missing(dev=False)
    assert len(list((tiny_engine / ".cache" / "engine").glob("*/*.whl"))) == 2


def test_an_engine_that_does_not_build_says_why_and_what_else_to_try(tiny_engine: Path) -> None:
    lock = tiny_engine / "requirements" / "engine.lock"
    lock.write_text(re.sub(r"sha256:\w{6}", "sha256:000000", lock.read_text()))
    setup = Setup(tiny_engine, apt=False, backend="cuda")
    before = setup.environment.installed("engine")
    with pytest.raises(SetupError, match="did not build for NVIDIA") as caught:
        setup.install_engine(setup.wanted(dev=False)["engine"])
    assert "HASHES" in caught.value.what
    assert "--backend cpu" in caught.value.todo
    assert setup.environment.installed("engine") == before  # the one that is there still works


# The engine's backend

CUDA = Found(nvcc="/usr/local/cuda/bin/nvcc", nvidia_gpu=True)


@pytest.mark.parametrize(
    ("asked", "built", "cmake_args", "found", "expected"),
    [
        ("", "", "", Found(), "cpu"),
        ("", "", "", CUDA, "cuda"),
        ("", "", "", Found(nvcc="/usr/bin/nvcc"), "cpu"),
        ("", "", "", Found(nvidia_gpu=True), "cpu"),
        ("", "", "", Found(hipconfig="/opt/rocm/bin/hipconfig", vulkan_sdk=True), "cpu"),
        ("", "", "", Found(macos=True), "metal"),
        ("", "cuda", "", Found(), "cuda"),
        ("", "cpu", "", CUDA, "cpu"),
        ("vulkan", "cpu", "", CUDA, "vulkan"),
        ("", "cpu", "-DGGML_BLAS=ON", CUDA, "custom"),
        ("", "custom", "", Found(), "cpu"),
    ],
)
def test_choice_of_backend(
    asked: str, built: str, cmake_args: str, found: Found, expected: str
) -> None:
    assert backends.choose(asked, built, cmake_args, found).backend == expected


def test_the_users_cmake_arguments_come_last_and_so_win() -> None:
    build = backends.choose("cuda", "", "-DGGML_CUDA=OFF", CUDA)
    assert build.cmake_args.endswith("-DGGML_CUDA=ON -DGGML_CUDA=OFF")
    assert build.environment == {"CUDACXX": "/usr/local/cuda/bin/nvcc"}


def test_advice_names_the_command_for_each_other_backend() -> None:
    found = Found(nvidia_gpu=True, vulkan_sdk=True)
    toolkit, vulkan = backends.advice("cpu", found)
    assert "nvcc" in toolkit
    assert vulkan.endswith("start.py --backend vulkan")
    assert backends.advice("cuda", CUDA) == []


# The checks, and the files that name them


def test_every_check_runs_even_if_one_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checks = [
        Check("bad", (sys.executable, "-c", "raise SystemExit(1)")),
        Check("good", (sys.executable, "-c", "print('1 passed')")),
    ]
    assert run(checks, tmp_path) == 1
    shown = capfd.readouterr()
    assert shown.out.splitlines() == ["== bad", "== good", "1 passed"]
    assert shown.err == "Failed: bad\n"
    assert run(checks[1:], tmp_path) == 0


def test_pytest_is_the_last_check_and_gets_the_words() -> None:
    checks = all_checks(Environment(ROOT / ".venv"), ["-k", "chat"])
    assert checks[-1].argv[1:] == ("-m", "pytest", "-k", "chat")
    assert {"ruff check", "ruff format", "mypy", "import rules"} < {check.name for check in checks}


def test_the_build_machine_runs_the_readmes_command() -> None:
    commands = re.findall(r"^python3 start\.py.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    script = (ROOT / ".ci" / "run").read_text()
    last = script.strip().splitlines()[-1]
    assert last == "python3 start.py test"
    assert last in commands
    assert "set -euo pipefail" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(
    ("variables", "system", "seen"),
    [
        ({}, "Linux", False),
        ({"DISPLAY": ""}, "Linux", False),
        ({"DISPLAY": ":0"}, "Linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "Linux", True),
        ({}, "Darwin", True),
        ({}, "Windows", True),
    ],
)
def test_where_a_window_can_be_seen(variables: dict[str, str], system: str, seen: bool) -> None:
    assert has_display(variables, system) is seen


# The lock files


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_name_no_index_and_hash_every_package(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^--|^-[a-z]", text, re.MULTILINE)
    packages = re.findall(r"^[A-Za-z0-9].*(?:\n    .*)*", text, re.MULTILINE)
    assert packages
    for package in packages:
        assert "==" in package.splitlines()[0]
        assert "--hash=sha256:" in package


def test_locks_hold_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    def names(requirements: list[str]) -> set[str]:
        found = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
        return {match[0].lower().replace("_", "-") for match in found if match}

    def locked(part: str) -> set[str]:
        return names((ROOT / "requirements" / f"{part}.lock").read_text().splitlines())

    assert {lock.stem for lock in LOCKS} == {"build", "app", "engine", "dev"}
    assert names(project["project"]["dependencies"]) <= locked("app") | locked("engine")
    assert "llama-cpp-python" not in locked("app")
    assert names(project["dependency-groups"]["dev"]) <= locked("dev")

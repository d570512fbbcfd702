"""start.py and the system: Debian's packages, and the programs it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "installers"))

from bootstrap import debian  # noqa: E402 - found through the line above
from bootstrap.console import Console, ProgramError  # noqa: E402
from bootstrap.debian import Need  # noqa: E402
from bootstrap.setup import PipNews, Setup  # noqa: E402


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "cache" / "setup.log")


# The system's packages


def test_the_window_needs_what_the_linker_does_not_find() -> None:
    missing = debian.missing_for_window(loads=lambda name: not name.startswith("libxcb"))
    packages = {need.package for need in missing} - {debian.FONT.package}
    assert packages == {"libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxcb-shape0"}


def test_wayland_needs_no_libraries_of_x11() -> None:
    def loads(name: str) -> bool:
        return name != "libxcb-cursor.so.0"

    assert debian.missing_libraries(x11=False, loads=loads) == []
    assert debian.missing_libraries(x11=True, loads=loads) == [
        Need("libxcb-cursor.so.0", "libxcb-cursor0")
    ]


def test_the_linker_is_asked() -> None:
    assert debian.can_load("libc.so.6")
    assert not debian.can_load("libno-such-thing.so.1")


def test_apt_is_asked_for_no_more_than_the_packages() -> None:
    command = debian.apt_command(["libgl1", "g++"])
    assert command == ["apt-get", "install", "--yes", "--no-install-recommends", "libgl1", "g++"]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that fails until `apt-get update` ran; returns the list of its calls."""
    calls = tmp_path / "calls"
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$1" >> {calls}\n[ "$1" = update ] || grep -q update {calls}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return calls


def test_old_package_lists_are_updated_once(apt: Path, console: Console) -> None:
    assert debian.install([Need("libGL.so.1", "libgl1")], console, allowed=True)
    assert apt.read_text().split() == ["install", "update", "install"]


def test_apt_is_left_alone_when_it_may_not_run(
    apt: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = Need("a C++ compiler", "g++")
    assert not debian.install([need], console, allowed=False)
    assert debian.how_to_get([need]) == "apt-get install g++"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert debian.how_to_get([need]) == "sudo apt-get install g++"
    assert not apt.exists()


def test_other_systems_are_told_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert debian.how_to_get([Need("libGL.so.1", "libgl1")]) == "install libGL.so.1"


def test_missing_compilers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    missing = debian.missing_for_setup(venv=False, engine=True)
    assert [need.package for need in missing] == ["gcc", "g++"]
    assert debian.missing_for_setup(venv=False, engine=False) == []


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return tmp_path / "policy-rc.d"


def programs(folder: Path, scripts: dict[str, str]) -> str:
    """A PATH with these programs in front."""
    folder.mkdir()
    for name, script in scripts.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return os.pathsep.join([str(folder), "/usr/bin", "/bin"])


@pytest.mark.skipif(sys.platform == "win32", reason="Debian's")
@pytest.mark.parametrize("status", [0, 1])
def test_a_service_that_is_installed_for_the_tests_is_not_started(
    tmp_path: Path, policy: Path, status: int
) -> None:
    seen = tmp_path / "seen"
    path = programs(
        tmp_path / "bin",
        {
            "apt-get": f'"{policy}"; echo "may start: $?" >>{seen}; exit {status}',
            "update-rc.d": f'echo "$@" >>{seen}',
        },
    )
    command = debian.quietly(["apt-get"], ["nginx", "ssh"], policy)
    done = subprocess.run(command, env={"PATH": path}, check=False)
    assert done.returncode == status
    assert not policy.exists()
    disabled = ["nginx disable", "ssh disable"] if status == 0 else []
    assert seen.read_text().splitlines() == ["may start: 101", *disabled]


@pytest.mark.skipif(sys.platform == "win32", reason="Debian's")
def test_a_policy_of_the_systems_own_is_left_as_it_is(tmp_path: Path, policy: Path) -> None:
    policy.write_text("its own")
    path = programs(tmp_path / "bin", {"apt-get": "", "update-rc.d": ""})
    command = debian.quietly(["apt-get"], ["nginx"], policy)
    subprocess.run(command, env={"PATH": path}, check=True)
    assert policy.read_text() == "its own"


@pytest.mark.skipif(sys.platform != "linux", reason="the programs are Linux's")
def test_tests_that_are_skipped_for_want_of_a_program_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = Setup(tmp_path, apt=False, backend="")
    monkeypatch.setattr(debian, "_SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", {"nginx": "", "sshd": ""}))
    there = {"nginx", "sshd"}
    assert there.isdisjoint(need.name for need in debian.missing_for_tests())
    monkeypatch.setenv("PATH", "/nowhere")
    setup.ensure_test_programs()
    said = capsys.readouterr().err
    assert "nginx, sshd, ssh, ip, ps, openssl are skipped" in said


# Progress


def test_a_programs_news_are_shown_and_its_output_logged(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "print('[1/2] one'); print('noise')"
    console.run([sys.executable, "-c", code], pick=PipNews(), every=0.0)
    assert "[1/2]" in capsys.readouterr().err
    assert "noise" in console.log.read_text()


def test_a_failed_program_is_reported_with_its_last_words(console: Console) -> None:
    code = "print('disk full'); raise SystemExit(3)"
    with pytest.raises(ProgramError) as caught:
        console.run([sys.executable, "-c", code])
    assert "disk full" in caught.value.report()
    assert "ended with 3" in caught.value.report()


def test_a_program_that_is_not_there_is_reported(console: Console) -> None:
    with pytest.raises(ProgramError, match="can't be started"):
        console.run(["/nowhere/program"])


def test_notes_from_pip_and_from_the_engines_build() -> None:
    news = PipNews()
    assert news("  [12/140] /usr/bin/g++ -O3 -c /tmp/x/ggml-cpu.cpp\n") == "[12/140] ggml-cpu.cpp"
    assert news("  [13/140] : && /usr/bin/g++ -shared -o libggml.so\n") == "[13/140] linking"
    wheel = "  Downloading pyside6_essentials-6.11.3-cp310-abi3-manylinux.whl (97.0 MB)\n"
    assert news(wheel) == "pyside6_essentials-6.11.3 97.0 MB"
    assert news("Progress 50000000 of 97000000\n") == "pyside6_essentials-6.11.3: 50 of 97 MB"
    assert news("Requirement already satisfied: httpx\n") == ""

"""`m1desk engines` as a person or a script meets it, with a stand-in for vLLM's package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.standin_wheels import only_from, write_wheel

from m1desk.cli.commands import run_command_line

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nothing else."""
    return only_from(tmp_path / "wheels", monkeypatch)


def run(*words: str) -> int:
    return run_command_line(["engines", *words])


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_m1_gets_its_version_and_it_is_listed_tested_and_removed(
    wheels: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("0.22.1", "0.23.0", "0.32.0"):
        write_wheel(wheels, version)
    chosen = ("--for", "MiniMax-M1-80k", "--package", "vllm")
    assert run("install", "vllm", *chosen) == 0
    said = capsys.readouterr()
    assert "vLLM 0.32.0 does not know this architecture" in said.err
    assert "Installing vllm==0.23.0 as vllm-0.23.0." in said.err
    assert said.out.startswith("vllm-0.23.0: vllm 0.23.0; Python 3.")

    assert run("list", "--json") == 0
    report = printed(capsys)
    assert set(report) == {"environments", "llama_cpp"}
    (listed,) = report["environments"]
    assert set(listed) == {
        "name", "usable", "problem", "failed_test", "rollback", "engine", "package", "version",
        "python", "image", "managed", "size_bytes", "python_version", "runs_on", "architectures",
    }  # fmt: skip
    assert listed["usable"] is True
    assert Path(listed["python"]).is_relative_to(home / "data" / "engines" / "vllm-0.23.0")

    assert run("test", "vllm-0.23.0", "--json") == 0
    assert printed(capsys) == listed
    assert run("add", "mine", "--python", listed["python"]) == 0
    assert "mine: vllm 0.23.0" in capsys.readouterr().out

    again = ("install", "vllm", "--package", "vllm", "--version", "0.32.0")
    assert run(*again, "--name", "vllm-0.23.0") == 0
    listing = capsys.readouterr().out
    assert "of the build before (0.23.0)" in listing
    assert "Go back to vllm 0.23.0: m1desk engines rollback vllm-0.23.0" in listing
    assert run("rollback", "vllm-0.23.0", "--json") == 0
    back = printed(capsys)
    assert back["version"] == "0.23.0"
    assert (back["rollback"]["package"], back["rollback"]["version"]) == ("vllm", "0.32.0")
    assert run("forget", "vllm-0.23.0") == 1  # nobody is there to be asked
    assert "--yes" in capsys.readouterr().err
    assert run("forget", "vllm-0.23.0", "--yes", "--json") == 0
    assert printed(capsys) == {
        "forgotten": "0.32.0", "freed_bytes": back["rollback"]["size_bytes"],
    }  # fmt: skip
    assert run("rollback", "vllm-0.23.0") == 1
    assert "no earlier build" in capsys.readouterr().err

    Path(listed["python"]).unlink()
    assert run("list") == 0
    assert "m1desk engines repair vllm-0.23.0" in capsys.readouterr().out
    assert run("repair", "vllm-0.23.0", "--json") == 0
    repaired = printed(capsys)
    assert (repaired["version"], repaired["usable"]) == ("0.23.0", True)

    assert run("remove", "vllm-0.23.0") == 1  # nobody is there to be asked
    assert "--yes" in capsys.readouterr().err
    assert run("remove", "vllm-0.23.0", "--yes", "--json") == 0
    assert printed(capsys)["freed_bytes"] > 1_000_000
    assert run("list") == 0
    assert "installed by you; Its interpreter" in capsys.readouterr().out


def test_what_can_not_be_is_said_before_anything_is_done(
    wheels: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wheel(wheels, "0.32.0")
    m1 = ("install", "vllm", "--package", "vllm", "--for", "MiniMaxM1ForCausalLM")
    assert run(*m1, "--version", "0.32.0") == 1
    assert "install vLLM 0.23.0 for it" in capsys.readouterr().err
    assert run(*m1) == 1
    assert "None of 1 releases will do." in capsys.readouterr().err
    assert run("install", "excel") == 1
    assert 'no engine "excel"' in capsys.readouterr().err
    assert run("test", "nothing") == 1
    assert "no engine environment" in capsys.readouterr().err
    assert run("add", "lab", "--python", "/nowhere/python") == 1
    assert "no interpreter" in capsys.readouterr().err
    for words in ((), ("--python", "python", "--image", "localhost/x"), ("--pull",)):
        assert run("add", "lab", *words) == 1
        assert "--python PATH, or --image NAME" in capsys.readouterr().err
    assert run("add", "lab", "--image", "localhost/x", "--with", "sudo") == 1
    assert "Choose podman or docker." in capsys.readouterr().err
    assert run("list") == 0
    assert "No vLLM was installed yet" in capsys.readouterr().err
    assert [path for path in (home / "data" / "engines").iterdir() if path.is_dir()] == []

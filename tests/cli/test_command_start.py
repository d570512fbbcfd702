"""How a command begins: what is made on the disk, and which build of the engine counts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from m1desk.cli.commands import run_command_line
from m1desk.engines.environments.choice import LIBRARIES_VARIABLE, bindings_version

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("--help", 0),
        ("--version", 0),
        ("jobs --help", 0),
        ("jobs add --help", 0),
        ("chat", 2),  # neither a model nor a server
        ("jobs add --no-such-option", 2),
        ("no-such-command", 2),
    ],
)
def test_explaining_a_command_makes_no_folder(words: str, status: int, home: Path) -> None:
    assert run_command_line(words.split()) == status
    assert not home.exists()


def test_help_is_given_where_no_folder_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("M1DESK_HOME", str(tmp_path / "file" / "home"))
    assert run_command_line(["chat", "--help"]) == 0
    assert "--server" in capsys.readouterr().out
    assert run_command_line(["remote", "list"]) == 1
    assert "can't be made" in capsys.readouterr().err


def test_a_command_that_needs_the_folders_makes_them(home: Path) -> None:
    assert run_command_line(["remote", "list"]) == 0
    assert (home / "data" / "m1desk.sqlite3").is_file()


def test_the_build_that_was_chosen_counts_for_every_command(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIBRARIES_VARIABLE, "")  # put back after the test
    libraries = home / "libraries"
    libraries.mkdir(parents=True)
    choice = home / "data" / "engines" / "chosen-llama-cpp.json"
    choice.parent.mkdir(parents=True)
    fields = {"name": "lab", "version": bindings_version(), "libraries": str(libraries)}
    choice.write_text(json.dumps(fields))
    assert run_command_line(["remote", "list"]) == 0
    assert os.environ[LIBRARIES_VARIABLE] == str(libraries)

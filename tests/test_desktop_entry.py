"""The menu entry that a checkout can put into its user's applications menu."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="menu entries are freedesktop's")


def run(checkout: Path, data: Path, word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "installers" / "linux" / "desktop-entry.sh", word],
        env={**os.environ, "XDG_DATA_HOME": str(data)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def program_of(entry: Path) -> list[str]:
    """The Exec line's words, by the rules of the Desktop Entry Specification."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # keys keep their case
    parser.read(entry)
    value = re.sub(r"\\(.)", r"\1", parser["Desktop Entry"]["Exec"])
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', value)
    return [re.sub(r"\\(.)", r"\1", quoted).replace("%%", "%") or bare for quoted, bare in words]


@pytest.mark.parametrize("name", ["m1desk", "My Programs", "50% off", 'a"b$c`d\\e&'])
def test_it_starts_this_checkout_wherever_it_lies(tmp_path: Path, name: str) -> None:
    checkout = tmp_path / name
    shutil.copytree(ROOT / "installers" / "linux", checkout / "installers" / "linux")
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    done = run(checkout, tmp_path / "data", "install")
    assert done.returncode == 0, done.stderr
    entry = tmp_path / "data" / "applications" / "m1desk.desktop"
    assert program_of(entry) == [str(python), "-m", "m1desk", "%f"]
    validator = shutil.which("desktop-file-validate")
    if validator:
        subprocess.run([validator, entry], check=True, timeout=30)
    assert run(checkout, tmp_path / "data", "remove").returncode == 0
    assert not entry.exists()


def test_a_checkout_that_is_not_set_up_says_what_to_do(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "installers" / "linux", tmp_path / "installers" / "linux")
    done = run(tmp_path, tmp_path / "data", "install")
    assert done.returncode == 1
    assert f"python3 {tmp_path}/start.py setup" in done.stderr
    assert not (tmp_path / "data" / "applications" / "m1desk.desktop").exists()


def test_an_unknown_word_shows_the_usage(tmp_path: Path) -> None:
    done = run(ROOT, tmp_path / "data", "instal")
    assert done.returncode == 2
    assert "install|remove" in done.stderr

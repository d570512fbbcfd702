"""All but the window works where Qt is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
OTHER_PLATFORMS = {name for key, name in PLATFORMS.items() if key != sys.platform}
"""Modules named so import on their own system only."""


def run_without_qt(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def modules_without_window() -> list[str]:
    """Every module of the program but the window's room and app*.py, which open it."""
    names = []
    for file in sorted((ROOT / "m1desk").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        opens_window = len(parts) > 1 and (parts[1] == "ui" or parts[1].startswith("app"))
        if not opens_window and parts[-1] not in {"__main__", *OTHER_PLATFORMS}:
            names.append(".".join(parts).removesuffix(".__init__"))
    return names


def test_every_room_but_the_window_imports() -> None:
    names = modules_without_window()
    assert "m1desk.cli" in names
    code = f"import support.no_qt, importlib\nfor name in {names!r}: importlib.import_module(name)"
    done = run_without_qt("-c", code)
    assert done.returncode == 0, done.stderr


def test_the_block_blocks() -> None:
    done = run_without_qt("-c", "import support.no_qt, PySide6")
    assert "ModuleNotFoundError: No module named 'PySide6'" in done.stderr


def test_their_tests_are_collected() -> None:
    done = run_without_qt(
        *("-m", "pytest", "--collect-only", "--quiet", "--ignore", "tests/ui"),
        *("-p", "support.no_qt", "-p", "no:pytest-qt", "-p", "no:cacheprovider"),
    )
    assert done.returncode == 0, done.stdout + done.stderr

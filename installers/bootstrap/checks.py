"""The checks that `start.py test` runs, in their order."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bootstrap.environment import Environment


@dataclass(frozen=True, slots=True)
class Check:
    """A name and the command that fails when something is wrong."""

    name: str
    argv: tuple[str, ...]


def all_checks(environment: Environment, pytest_words: Sequence[str]) -> list[Check]:
    """Every check; pytest is the last, so that its closing line is the last line."""
    python = str(environment.python)
    return [
        Check("ruff check", (python, "-m", "ruff", "check", ".")),
        Check("ruff format", (python, "-m", "ruff", "format", "--check", ".")),
        Check("mypy", (python, "-m", "mypy")),
        Check("mypy of start.py", (python, "-m", "mypy", "start.py", "installers/bootstrap")),
        Check("import rules", (str(environment.scripts / "lint-imports"), "--no-cache")),
        Check("pytest", (python, "-m", "pytest", *pytest_words)),
    ]


def run(checks: Sequence[Check], root: Path) -> int:
    """Run all checks, whatever fails; 0 when none did."""
    failed = []
    for check in checks:
        sys.stdout.write(f"== {check.name}\n")
        sys.stdout.flush()
        if subprocess.run(check.argv, cwd=root, check=False).returncode:
            failed.append(check.name)
    if failed:
        sys.stderr.write(f"Failed: {', '.join(failed)}\n")
    return 1 if failed else 0

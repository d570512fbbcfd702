"""What start.py does on a supported Python: set up, then hand over to program or checks."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bootstrap import checks, debian
from bootstrap.console import SetupError
from bootstrap.options import parse
from bootstrap.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def main(root: Path, words: Sequence[str], text: str | None) -> int:
    """Do what the words after `start.py` say; returns the exit status.

    Args:
        root: the repository's top.
        words: the command line after `start.py`.
        text: the help.
    """
    try:
        options = parse(words)
        if options.job == "help":
            sys.stdout.write((text or "").strip() + "\n")
            return 0
        setup = Setup(root, apt=options.apt, backend=options.backend)
        setup.ensure(dev=options.job == "test")
        if options.job == "test":
            setup.ensure_test_programs()
    except SetupError as error:
        sys.stderr.write(error.report() + "\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. Run it again to go on.\n")
        return 130
    if options.job == "setup":
        return 0
    if options.job == "test":
        return checks.run(checks.all_checks(setup.environment, options.rest), root)
    return hand_over([str(setup.environment.python), "-m", "m1desk", *(options.rest or main_job())])


def main_job() -> list[str]:
    """The program's words when the user gave none: the window, or the same job in the terminal."""
    if not has_display(os.environ, platform.system()):
        return ["demo"]
    if missing := debian.missing_libraries(x11=not os.environ.get("WAYLAND_DISPLAY")):
        names = ", ".join(need.name for need in missing)
        sys.stderr.write(f"The window needs {names}. Run: {debian.how_to_get(missing)}\n")
        return ["demo"]
    return []


def has_display(environment: Mapping[str, str], system: str) -> bool:
    """Whether a window can be seen."""
    if system in {"Darwin", "Windows"}:
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def hand_over(argv: Sequence[str]) -> NoReturn:
    """Become the program, so that signals and the exit status are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    if platform.system() == "Windows":  # exec there returns to the shell at once
        sys.exit(subprocess.run(list(argv), check=False).returncode)
    os.execv(argv[0], list(argv))  # noqa: S606 - a list, never a shell string

"""The virtual environment in .venv, and the record in it of what was installed there."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootstrap.console import Console

RECORD: Final = "m1desk-setup.json"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with a record: name of a part -> fingerprint of what was installed.

    The record also holds where the environment was made and with which Python: one that was
    moved, or whose Python was replaced by another version, counts as broken.
    """

    folder: Path

    @property
    def scripts(self) -> Path:
        """The folder of the environment's programs."""
        return self.folder / ("Scripts" if platform.system() == "Windows" else "bin")

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.scripts / ("python.exe" if platform.system() == "Windows" else "python")

    def is_sound(self) -> bool:
        """Whether it was made to its end, here, with a Python that is still the same."""
        return self._read().get("made") == self._identity() != ""

    def installed(self, part: str) -> str:
        """The fingerprint of a part that was installed to its end, or ""."""
        parts = self._read().get("parts")
        found = parts.get(part) if isinstance(parts, dict) else None
        return found if isinstance(found, str) else ""

    def record(self, part: str, fingerprint: str) -> None:
        """Write down that a part was installed; "" means that it is no longer whole."""
        record = self._read()
        parts = record.get("parts")
        self._write(
            {**record, "parts": {**(parts if isinstance(parts, dict) else {}), part: fingerprint}}
        )

    def create(self, source: Path, console: Console) -> None:
        """Make it anew, or adopt one that someone else made; `source` becomes importable in it.

        Raises:
            ProgramError: Python's venv module failed.
        """
        if (self.folder / RECORD).exists() or not self._works():
            remove(self.folder)
            # Until it is whole its record says so: an interrupted one is never adopted.
            self.folder.mkdir(parents=True)
            self._write({"format": _FORMAT, "made": ""})
            # Run inside another environment: make this one from the Python that one was made from.
            base = getattr(sys, "_base_executable", "") or sys.executable
            console.run([base, "-I", "-m", "venv", str(self.folder)])
        libraries = next(self.folder.glob("lib/python*"), self.folder / "Lib")
        pth = libraries / "site-packages" / "m1desk-source.pth"
        pth.write_bytes(os.fsencode(source) + b"\n")
        self._write({"format": _FORMAT, "made": self._identity(), "parts": {}})

    def _works(self) -> bool:
        """Whether its Python starts, is of a supported version, and has pip."""
        code = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))"
        if not self.python.exists():
            return False
        asked = subprocess.run([self.python, "-I", "-c", code], capture_output=True, check=False)
        return asked.returncode == 0

    def _identity(self) -> str:
        """Where this is and what its Python really is, or "" when there is none."""
        if not self.python.exists():
            return ""
        return f"{self.folder.resolve()} {self.python.resolve()}"

    def _read(self) -> dict[str, object]:
        try:
            record = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) and record.get("format") == _FORMAT else {}

    def _write(self, record: dict[str, object]) -> None:
        """Replace the record at one stroke."""
        new = self.folder / (RECORD + ".new")
        new.write_text(json.dumps(record, indent=1), encoding="utf-8")
        new.replace(self.folder / RECORD)


def fingerprint(files: Iterable[Path], *words: str) -> str:
    """SHA-256 over the contents of `files` and `words`."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes() + b"\0")
    for word in words:
        digest.update(word.encode() + b"\0")
    return digest.hexdigest()


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)

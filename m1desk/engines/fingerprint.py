"""Which machine and which engine build this is: what a measurement is remembered under."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

_CPUINFO: Final = Path("/proc/cpuinfo")
_LIBRARY: Final = "llama_cpp"
_DISTRIBUTION: Final = "llama-cpp-python"
_CHOSEN_LIBRARIES: Final = "LLAMA_CPP_LIB_PATH"  # llama-cpp-python's own variable
_SUFFIXES: Final = (".so", ".dylib", ".dll")
_GIB: Final = 1024**3


def machine_fingerprint() -> str:
    """Return a short text that changes with the processor, its flags, the cores and the memory."""
    facts = (
        *_processor(),
        str(psutil.cpu_count(logical=False)),
        str(psutil.cpu_count()),
        str(round(psutil.virtual_memory().total / _GIB)),
    )
    return _short_hash(facts)


def engine_build() -> str:
    """Return a short text that changes with the engine's version and with every rebuild of it.

    Looks at the files only: loading the library is for the worker alone.
    """
    try:
        release = version(_DISTRIBUTION)
    except PackageNotFoundError:
        release = "none"
    spec = importlib.util.find_spec(_LIBRARY)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    chosen = os.environ.get(_CHOSEN_LIBRARIES)
    folders = [chosen] if chosen else folders
    libraries = sorted(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.name.endswith(_SUFFIXES) or ".so." in path.name
    )
    return f"{release}-{_short_hash(map(str, libraries))}"


def _processor() -> tuple[str, ...]:
    """Name the processor and its instruction sets; only Linux tells the latter without effort."""
    try:
        lines = _CPUINFO.read_text(errors="replace").split("\n\n", 1)[0].splitlines()
    except OSError:
        return (platform.machine(), platform.processor())
    wanted = ("model name", "flags", "Features", "CPU part", "CPU implementer")
    return tuple(line for line in lines if line.startswith(wanted))


def _short_hash(texts: Iterable[str]) -> str:
    joined = "\n".join(texts)
    return hashlib.sha256(joined.encode()).hexdigest()[:16]

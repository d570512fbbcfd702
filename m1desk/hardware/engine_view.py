"""Asking the engine which devices it sees, in a child process that may crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast, get_args

from m1desk.hardware.machine import DeviceKind, EngineDevice, EngineView

_SECONDS: Final = 60.0
"""A first start of a CUDA driver takes up to half a minute on machines with many cards."""

_PACKAGE_PARENT: Final = Path(__file__).resolve().parents[2]


def devices_command() -> tuple[str, ...]:
    """The command that prints the engine's devices as one JSON object."""
    return (sys.executable, "-m", "m1desk.llama_worker.devices")


def ask_engine(command: Sequence[str] | None = None, timeout: float = _SECONDS) -> EngineView:
    """The engine's own list of devices.

    A driver that crashes, hangs or is missing takes the child with it; the answer is then empty and
    its note says what happened, in one line.

    Args:
        command: what to run instead of `devices_command()`.
        timeout: seconds to wait for the answer.
    """
    try:
        done = subprocess.run(
            list(command or devices_command()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        return _without_answer(f"no answer within {timeout:g} s")
    except OSError as error:
        return _without_answer(str(error))
    view = parse_devices(done.stdout)
    if done.returncode < 0 or (done.returncode > 0 and view is _NOT_UNDERSTOOD):
        return _without_answer(f"{_ending(done.returncode)}{_last_words(done.stderr)}")
    return view


def parse_devices(output: str) -> EngineView:
    """The view in what the child printed: the last line that is a JSON object counts."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                answer = json.loads(line)
                if "error" in answer:
                    return _without_answer(str(answer["error"]))
                return EngineView(tuple(_device(entry) for entry in answer["devices"]))
            except (ValueError, KeyError, TypeError):
                break
    return _NOT_UNDERSTOOD


def _device(entry: Mapping[str, object]) -> EngineDevice:
    kind = str(entry["kind"])
    return EngineDevice(
        name=str(entry["name"]),
        description=str(entry["description"]),
        kind=cast("DeviceKind", kind) if kind in get_args(DeviceKind) else "unknown",
        free_bytes=int(str(entry["free_bytes"])),
        total_bytes=int(str(entry["total_bytes"])),
        pci_id=str(entry.get("pci_id") or "").lower(),
        backend=str(entry.get("backend") or ""),
    )


def _without_answer(why: str) -> EngineView:
    return EngineView(note=f"The engine's own list of devices could not be read: {why}")


_NOT_UNDERSTOOD: Final = _without_answer("its answer was not understood")


def _ending(code: int) -> str:
    if code >= 0:
        return f"the process ended with code {code}"
    try:
        return f"the process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"the process was ended by signal {-code}"


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f" ({lines[-1][:200]})" if lines else ""


def _environment() -> dict[str, str]:
    """The child finds this very package, installed or not."""
    paths = [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}

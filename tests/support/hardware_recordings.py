"""Machines out of recordings: trees of /sys and /proc, NVML's answers, sysctl's, the engine's list.

A recording is a JSON file. `files` are paths below the root and their text, `links` symbolic links
to drivers, `nvml` NVML's answers by function and arguments ({"error": 3} raises that code, another
object is a structure, a list of objects an array of structures), `sysctl` macOS's variables,
`engine` the devices the engine lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml

from m1desk.hardware import Ram, Sources
from m1desk.hardware.engine_view import parse_devices

RECORDINGS = Path(__file__).parents[1] / "hardware" / "recordings"


class RecordedNvml:
    """NVML's functions, answering from a recording; what isn't in it is "not supported"."""

    NVMLError = pynvml.NVMLError

    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        self.answers = answers
        self.sessions = 0

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name
        self.replay("nvmlInit")
        self.sessions += 1

    def nvmlShutdown(self) -> None:  # noqa: N802 - NVML's name
        self.sessions -= 1

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self.replay(name, *arguments)

    def replay(self, name: str, *arguments: object) -> Any:
        key = ",".join(map(str, arguments))
        answer = self.answers.get(name, {}).get(key, {"error": pynvml.NVML_ERROR_NOT_SUPPORTED})
        if isinstance(answer, dict) and "error" in answer:
            raise pynvml.NVMLError(answer["error"])
        return _structure(answer)


def _structure(answer: Any) -> Any:
    """Objects become structures with fields, also inside of arrays and other structures."""
    if isinstance(answer, dict):
        return SimpleNamespace(**{name: _structure(value) for name, value in answer.items()})
    return [_structure(value) for value in answer] if isinstance(answer, list) else answer


def write_tree(root: Path, files: dict[str, str]) -> None:
    """Writes a tree of /sys or /proc: each file with the newline the kernel ends it with."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def load(name: str) -> dict[str, Any]:
    """The recording's content, to be changed before `play`."""
    content: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return content


def play(recording: dict[str, Any], root: Path) -> Sources:
    """The recorded machine as sources for probes; its files are written below `root`."""
    write_tree(root, recording.get("files", {}))
    for link, driver in recording.get("links", {}).items():
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(root / "sys/bus/pci/drivers" / driver)
    cores = tuple(recording.get("cores", (16, 32, 32)))
    nvml = RecordedNvml(recording.get("nvml", {}))
    return Sources(
        platform=recording["platform"],
        root=root,
        sysctl=lambda variable: recording.get("sysctl", {}).get(variable, ""),
        load_nvml=lambda: nvml,
        ask_engine=lambda: parse_devices(json.dumps({"devices": recording["engine"]})),
        read_ram=lambda: Ram(**recording["ram"]),
        core_counts=lambda: cores,
    )

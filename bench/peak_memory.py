"""Watches a process and its readers from outside, so that the watching disturbs neither.

    python bench/peak_memory.py PID

Looks ten times a second until its standard input ends, then prints the peaks as one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

READER = "m1desk.documents.reading.child"
EVERY_SECONDS = 0.1


@dataclass
class Peaks:
    """What was seen; bytes of resident memory, and seconds of the processor by process number."""

    owner: int = 0
    one_reader: int = 0
    all_readers: int = 0
    reader_cpu: dict[int, float] = field(default_factory=dict)

    def look(self, owner: psutil.Process) -> None:
        readers = []
        for child in owner.children():
            try:
                if READER in child.cmdline():
                    readers.append(child.memory_info().rss)
                    times = child.cpu_times()
                    self.reader_cpu[child.pid] = times.user + times.system
            except psutil.Error:
                continue
        self.owner = max(self.owner, owner.memory_info().rss)
        self.one_reader = max([self.one_reader, *readers])
        self.all_readers = max(self.all_readers, sum(readers))


class Watch:
    """Watches this process from its making to `peaks`."""

    def __init__(self) -> None:
        command = [sys.executable, __file__, str(psutil.Process().pid)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent
        )

    def peaks(self) -> dict[str, Any]:
        """End the watching; the fields of `Peaks`."""
        said, _ = self._process.communicate()
        found: dict[str, Any] = json.loads(said)
        return found


def main() -> None:
    owner, peaks, ended = psutil.Process(int(sys.argv[1])), Peaks(), threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    while not ended.wait(EVERY_SECONDS):
        peaks.look(owner)
    print(json.dumps(asdict(peaks)))


if __name__ == "__main__":
    main()

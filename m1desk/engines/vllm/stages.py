"""How far a start of vLLM is, read from what it logs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from m1desk.wire import Listening, Loading, WorkerEvent, decode_event


@dataclass(frozen=True, slots=True)
class Stage:
    """A line of the log that says what comes next.

    Attributes:
        sign: what the line holds.
        fraction: of the start that is done by then, as the app counts it.
        words: what is being done from then on.
    """

    sign: str
    fraction: float
    words: str


STAGES: Final = (
    Stage("non-default args", 0.02, "reading the configuration"),
    Stage("Resolved architecture", 0.06, "starting the engine"),
    Stage("Initializing a V1 LLM engine", 0.10, "starting the workers"),
    Stage("world_size=", 0.15, "connecting the workers"),
    Stage("Starting to load model", 0.20, "reading the weights"),
    Stage("Loading weights took", 0.75, "preparing the weights"),
    Stage("for vLLM's torch.compile", 0.78, "compiling"),
    Stage("Warming up", 0.85, "warming up"),
    Stage("KV cache size", 0.90, "making room for the context"),
    Stage("init engine", 0.94, "starting the server"),
)
"""In the order in which vLLM 0.12 to 0.32 passes them; each of several workers says some."""

_LISTENS: Final = re.compile(r"Starting vLLM (?:API )?server")
_SHARDS: Final = re.compile(rb"Loading safetensors[^\r\n]*?(\d{1,3})%")
_SHARDS_FROM, _SHARDS_TO = 0.20, 0.75


class StageReader:
    """Reads one start; never goes back, whatever a slower worker says."""

    def __init__(self, port: int) -> None:
        """Take the port it was told to listen at, 0 for a socket."""
        self._port = port
        self._fraction = 0.0
        self._words = ""

    def read(self, line: bytes) -> WorkerEvent | None:
        """What a line of standard output means: the guard speaks there too."""
        event = decode_event(line)
        if event is not None:
            return event
        text = line.decode(errors="replace")
        if _LISTENS.search(text):
            return Listening(self._port, 0)
        stage = next((one for one in STAGES if one.sign in text), None)
        return None if stage is None else self._reach(stage.fraction, stage.words)

    def read_error(self, piece: bytes) -> WorkerEvent | None:
        """The bar that shows how many files of weights are read; it redraws itself."""
        found = _SHARDS.findall(piece)
        if not found:
            return None
        done = min(100, int(found[-1])) / 100
        words = "reading the weights"
        return self._reach(_SHARDS_FROM + (_SHARDS_TO - _SHARDS_FROM) * done, words)

    def _reach(self, fraction: float, words: str) -> Loading | None:
        if fraction <= self._fraction:
            return None
        self._fraction = fraction
        return Loading(round(fraction, 3), words)

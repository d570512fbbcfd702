"""Checking models on disk against their checksums, with progress, one thread for each."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from m1desk.errors import M1DeskError
from m1desk.models import Verification, verify_model
from m1desk.ui.units import percent_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from m1desk.models import LocalModel
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.model_entries import ModelEntry

_REPORT_SECONDS: Final = 0.1
_TONES: Final = {
    "verified": "success",
    "damaged": "danger",
    "not_known": "muted",
    "unusable": "danger",
}


@dataclass(frozen=True, slots=True)
class CheckState:
    """How far a check is, or what it found.

    Attributes:
        fraction: of the bytes read, from 0 to 1; None once it has ended.
        text, tone: what to write, and its look.
    """

    fraction: float | None
    text: str
    tone: str = "muted"


@dataclass(frozen=True, slots=True)
class _Progress:
    path: Path
    fraction: float


class _StoppedError(Exception):
    """The person does not want to wait any more."""


class ModelChecks(QObject):
    """Runs checks and keeps what they found, until the file changes.

    `known_checksum` gives the SHA-256 that a download vouched for, "" for none.

    Signals:
        changed: path (Path) of the model whose check went on or ended.
        failed: an M1DeskError.
    """

    changed = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        known_checksum: Callable[[Path], str],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._known_checksum = known_checksum
        self._states: dict[Path, CheckState] = {}
        self._versions: dict[Path, tuple[float, int]] = {}
        self._stops: dict[Path, threading.Event] = {}
        bridge.events.connect(self._on_events)

    def state_of(self, entry: ModelEntry) -> CheckState | None:
        """What is known of a model, None when it was not checked since it changed."""
        if self._versions.get(entry.path) != _version(entry):
            return None
        return self._states.get(entry.path)

    def start(self, entry: ModelEntry) -> None:
        """Read all of a model and compare, unless that is being done."""
        path = entry.path
        if path in self._stops:
            return
        self._stops[path] = stop = threading.Event()
        self._versions[path] = _version(entry)
        self._set(path, _running(0.0))
        self._bridge.submit(
            asyncio.to_thread(self._check, entry.model, stop),
            on_done=lambda found: self._on_done(path, found),
            on_error=lambda error: self._on_error(path, error),
        )

    def stop(self, path: Path) -> None:
        """Give a check up."""
        if path in self._stops:
            self._stops[path].set()

    def stop_all(self) -> None:
        """Give all checks up: the app ends, and must not wait for a large file to be read."""
        for stop in self._stops.values():
            stop.set()

    def _check(self, model: LocalModel, stop: threading.Event) -> Verification:
        """Read and compare, on a thread of its own."""
        done, told = 0, time.monotonic()

        def on_bytes(count: int) -> None:
            nonlocal done, told
            if stop.is_set():
                raise _StoppedError
            done += count
            if time.monotonic() - told >= _REPORT_SECONDS and model.size_bytes:
                told = time.monotonic()
                self._bridge.post(_Progress(model.path, min(done / model.size_bytes, 1.0)))

        return verify_model(model, self._known_checksum, on_bytes)

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, _Progress) and event.path in self._stops:
                self._set(event.path, _running(event.fraction))

    def _on_done(self, path: Path, found: Verification) -> None:
        del self._stops[path]
        text = found.reason or "Verified: the checksum is right."
        self._set(path, CheckState(None, text, _TONES[found.verdict]))

    def _on_error(self, path: Path, error: Exception) -> None:
        del self._stops[path]
        del self._states[path]
        self.changed.emit(path)
        if isinstance(error, _StoppedError):
            return
        if not isinstance(error, M1DeskError):
            raise error
        self.failed.emit(error)

    def _set(self, path: Path, state: CheckState) -> None:
        self._states[path] = state
        self.changed.emit(path)


def _running(fraction: float) -> CheckState:
    return CheckState(fraction, f"Verifying {percent_text(fraction)}")


def _version(entry: ModelEntry) -> tuple[float, int]:
    return entry.modified, entry.model.size_bytes

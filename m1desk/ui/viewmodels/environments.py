"""Engine environments for the window: what is here, and one piece of work at a time on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from m1desk.engines.environments.containers import find_tool
from m1desk.engines.environments.desk import EnginesHere, VllmWanted
from m1desk.engines.environments.values import InstallProgress
from m1desk.errors import BadInput, M1DeskError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from m1desk.engines.environments.desk import EngineDesk
    from m1desk.ui.bridge import Bridge

M1_CLASS = "MiniMaxM1ForCausalLM"


class EnvironmentsViewModel(QObject):
    """Looks at the engines and does what is wished with them, one at a time; nothing by itself.

    Signals:
        changed: what is here now, an EnginesHere.
        progressed: an InstallProgress of the work in hand.
        busy_changed: whether work is in hand now.
        failed: an M1DeskError.
    """

    changed = Signal(object)
    progressed = Signal(object)
    busy_changed = Signal(bool)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, desk: EngineDesk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._desk = desk
        self._busy = False
        self._task: asyncio.Task[object] | None = None
        self._here: EnginesHere | None = None
        bridge.events.connect(self._on_events)

    @property
    def here(self) -> EnginesHere | None:
        """What was found last; None before the first look."""
        return self._here

    @property
    def is_busy(self) -> bool:
        """Whether something is being installed, tested or removed."""
        return self._busy

    def refresh(self) -> None:
        """Look again; `changed` tells what is there."""
        self._bridge.submit(
            asyncio.to_thread(self._desk.look), on_done=self._on_looked, on_error=self._on_error
        )

    def install_vllm(self, architecture: str = "") -> None:
        """Install the vLLM that this architecture needs; without one, the newest."""
        self._begin(lambda: self._desk.install_vllm(VllmWanted(architecture), self._bridge.post))

    def install_llama(self) -> None:
        """Install the build of llama.cpp that would be better here."""
        self._begin(lambda: self._desk.install_llama(None, self._bridge.post))

    @property
    def image_refusal(self) -> str:
        """Why a container image can't be used here, "" where it can."""
        try:
            find_tool("")
        except BadInput as error:
            return str(error)
        return ""

    def take_in(self, name: str, python: Path) -> None:
        """Add a vLLM that an interpreter on this machine has."""
        self._begin(lambda: self._desk.take_in(name, python, self._bridge.post))

    def take_in_image(self, name: str, reference: str, *, tool: str, pull: bool) -> None:
        """Add a vLLM that a container image has (see `EngineDesk.take_in_image`)."""
        self._begin(
            lambda: self._desk.take_in_image(
                name, reference, self._bridge.post, tool=tool, pull=pull
            )
        )

    def test(self, name: str) -> None:
        """Have an environment compute."""
        self._begin(lambda: self._desk.test(name, self._bridge.post))

    def repair(self, name: str) -> None:
        """Install the same again."""
        self._begin(lambda: self._desk.repair(name, self._bridge.post))

    def roll_back(self, name: str) -> None:
        """Let the build that counted before count again, if it passes its test."""
        self._begin(lambda: self._desk.roll_back(name, self._bridge.post))

    def forget(self, name: str) -> None:
        """Delete the build that counted before."""
        self._begin(lambda: asyncio.to_thread(self._desk.forget, name))

    def use(self, name: str) -> None:
        """Load models with this build of llama.cpp from now on."""
        self._begin(lambda: asyncio.to_thread(self._desk.use, name))

    def remove(self, name: str) -> None:
        """Delete an environment."""
        self._begin(lambda: asyncio.to_thread(self._desk.remove, name))

    def cancel(self) -> None:
        """End the work in hand; it counts as in hand until nothing of it is left."""
        if self._busy:
            self._bridge.submit(self._cancel())

    def _begin(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        if self._busy:
            return
        self._busy = True
        self._bridge.submit(
            self._run(work), on_done=lambda _: self._end(), on_error=self._on_failed
        )
        self.busy_changed.emit(True)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Wait for the work to end, also when it is cancelled; raises what it raises."""
        task = self._task = asyncio.ensure_future(work())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:  # the window is closing
            task.cancel()
            await asyncio.wait({task})
            raise
        if not task.cancelled():
            task.result()

    async def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(self) -> None:
        self._busy = False
        self.busy_changed.emit(False)
        self.refresh()

    def _on_failed(self, error: Exception) -> None:
        self._end()
        self._on_error(error)

    def _on_looked(self, here: EnginesHere) -> None:
        self._here = here
        self.changed.emit(here)

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        self.failed.emit(error)

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, InstallProgress):
                self.progressed.emit(event)

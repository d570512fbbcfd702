"""The parts without Qt: whose speed is worth keeping."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from m1desk.app_core import EngineSource
from m1desk.app_watch import AnswerWatch, WatchedClient
from m1desk.engines import LlamaSettings, LocalEngine
from m1desk.engines.turn import ChatMessage, ChatRequest, TextDelta, TurnFinished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from m1desk.documents import AnsweringClient

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

    async def prepare(self, name: str, _messages: Any, _plan: Any) -> AsyncIterator[Any]:
        yield TextDelta(name)
        await self.gates.setdefault(name, asyncio.Event()).wait()

    def finish(self, name: str) -> None:
        self.gates.setdefault(name, asyncio.Event()).set()


async def test_answers_beside_others_say_nothing_about_speed() -> None:
    engine, alone = Engine(), []
    watch = AnswerWatch(lambda *heard: alone.append(heard))
    source = EngineSource(cast("LocalEngine", engine), watch)

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


async def test_chats_and_questions_about_documents_crowd_each_other() -> None:
    engine, alone = Engine(), []
    watch = AnswerWatch(lambda *heard: alone.append(heard))
    source = EngineSource(cast("LocalEngine", engine), watch)
    client = WatchedClient(cast("AnsweringClient", engine), SETTINGS, watch)
    started = asyncio.Event()

    async def hear(events: AsyncIterator[Any]) -> None:
        async for event in events:
            if isinstance(event, TextDelta):
                started.set()

    chat = asyncio.create_task(hear(source.stream_turn(_asking("chat"))))
    await started.wait()
    engine.finish("question")
    await hear(client.stream_turn(_asking("question")))
    engine.finish("chat")
    await chat
    assert not alone
    engine.finish("later")
    await hear(client.stream_turn(_asking("later")))
    assert [settings for settings, _ in alone] == [SETTINGS]
    started.clear()
    reading = asyncio.create_task(hear(client.prepare("book", ())))
    await started.wait()
    engine.finish("beside")
    await hear(source.stream_turn(_asking("beside")))
    engine.finish("book")
    await reading
    assert len(alone) == 1  # documents were being read beside it


def _asking(name: str) -> ChatRequest:
    return ChatRequest((ChatMessage("user", name),))

"""Turns: an answer streams, is kept whatever happens, and history is sent as it should be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from m1desk.chat import (
    ConversationStore,
    Message,
    TurnDelta,
    TurnEnded,
    TurnNotice,
    TurnPrefill,
    TurnRunner,
    TurnStarted,
)
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    PrefillProgress,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
    ToolCallDelta,
    TurnEvent,
    TurnFinished,
)
from m1desk.errors import BadInput, EngineFailed, EngineRefused, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from m1desk.store import Database

FINISHED = TurnFinished("stop", 12, 3, 4, 0.25, 40.0, 300.0)


class ScriptedSource:
    """An engine that says what it was told to, then fails, waits, or ends."""

    model = "tiny"

    def __init__(
        self, *events: TurnEvent, error: Exception | None = None, wait: bool = False
    ) -> None:
        self.events = events
        self.error = error
        self.wait = wait
        self.waiting = asyncio.Event()
        self.requests: list[ChatRequest] = []
        self.closed = 0

    async def stream_turn(self, request: ChatRequest) -> AsyncIterator[TurnEvent]:
        self.requests.append(request)
        try:
            for event in self.events:
                yield event
                await asyncio.sleep(0)
            if self.wait:
                self.waiting.set()
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1


class Chat:
    """A conversation with a runner, and all it said."""

    def __init__(self, store: ConversationStore, **options: float) -> None:
        self.store = store
        self.notices: list[TurnNotice] = []
        self.runner = TurnRunner(store, self.notices.append, **options)
        self.id = store.create().id

    def path(self) -> list[tuple[str, str]]:
        return [(message.content, message.state) for message in self.store.path(self.id)]

    def last(self) -> Message:
        return self.store.path(self.id)[-1]


@pytest.fixture
def chat(store: ConversationStore) -> Chat:
    return Chat(store)


def says(text: str) -> ScriptedSource:
    return ScriptedSource(TextDelta(text), FINISHED)


async def test_an_answer_streams_and_is_kept_with_its_figures(chat: Chat) -> None:
    progress = PrefillProgress(5, 12, 4, 0.1)
    source = ScriptedSource(
        progress, ReasoningDelta("hmm"), TextDelta("Hel"), TextDelta("lo"), FINISHED
    )
    answer = await chat.runner.send(chat.id, "Hi", source)
    started, prefill, thought, one, two, ended = chat.notices
    assert isinstance(started, TurnStarted)
    assert started.user_message is not None
    assert started.user_message.content == "Hi"
    assert started.answer.state == "streaming"
    assert prefill == TurnPrefill(chat.id, answer.id, progress)
    assert thought == TurnDelta(chat.id, answer.id, "reasoning", "hmm")
    assert one == TurnDelta(chat.id, answer.id, "text", "Hel")
    assert two == TurnDelta(chat.id, answer.id, "text", "lo")
    assert ended == TurnEnded(chat.id, answer)
    assert (answer.content, answer.reasoning, answer.state) == ("Hello", "hmm", "complete")
    assert answer.model == "tiny"
    assert answer.error == ""
    assert answer.stats is not None
    assert (answer.stats.prompt_tokens, answer.stats.time_to_first_token) == (12, 0.25)
    assert (answer.stats.tokens_per_second, answer.stats.finish_reason) == (40.0, "stop")
    assert chat.last() == answer
    assert source.closed == 1
    assert not chat.runner.running


async def test_the_request_carries_prompt_branch_and_sampling_but_no_thinking(chat: Chat) -> None:
    chat.store.set_system_prompt(chat.id, "Be brief.")
    chat.store.set_sampling(chat.id, SamplingParameters(temperature=0.1))
    await chat.runner.send(
        chat.id, "One", ScriptedSource(ReasoningDelta("secret"), TextDelta("1"), FINISHED)
    )
    source = says("2")
    await chat.runner.send(chat.id, "Two", source)
    assert source.requests == [
        ChatRequest(
            (
                ChatMessage("system", "Be brief."),
                ChatMessage("user", "One"),
                ChatMessage("assistant", "1"),
                ChatMessage("user", "Two"),
            ),
            SamplingParameters(temperature=0.1),
        )
    ]


async def test_answers_without_text_are_not_sent_and_questions_join(chat: Chat) -> None:
    await chat.runner.send(chat.id, "One", ScriptedSource(error=EngineFailed("Gone.")))
    source = says("ok")
    await chat.runner.send(chat.id, "Two", source)
    assert source.requests[0].messages == (ChatMessage("user", "One\n\nTwo"),)


async def test_a_failure_in_mid_answer_keeps_what_came(chat: Chat) -> None:
    error = EngineFailed("The engine died.", "Killed by signal 9.", "Load the model again.")
    source = ScriptedSource(TextDelta("Half an"), error=error)
    answer = await chat.runner.send(chat.id, "Hi", source)
    assert (answer.content, answer.state) == ("Half an", "interrupted")
    assert answer.error.splitlines() == [error.what, error.why, error.todo]
    assert chat.last() == answer
    assert chat.notices[-1] == TurnEnded(chat.id, answer)
    assert not chat.runner.is_running(chat.id)


async def test_a_failure_before_anything_came_is_a_failed_answer(chat: Chat) -> None:
    error = EngineRefused("Too long.", "900 of 512 tokens.", status=400)
    answer = await chat.runner.send(chat.id, "Hi", ScriptedSource(error=error))
    assert (answer.content, answer.state) == ("", "failed")
    assert "900 of 512" in answer.error


async def test_a_stream_that_just_ends_is_an_interruption(chat: Chat) -> None:
    answer = await chat.runner.send(chat.id, "Hi", ScriptedSource(TextDelta("Half")))
    assert answer.state == "interrupted"
    assert "broke off" in answer.error


async def test_an_error_of_the_program_s_own_keeps_the_partial_and_is_raised(chat: Chat) -> None:
    with pytest.raises(ZeroDivisionError):
        await chat.runner.send(
            chat.id, "Hi", ScriptedSource(TextDelta("Half"), error=ZeroDivisionError("oops"))
        )
    assert (chat.last().content, chat.last().state) == ("Half", "interrupted")
    assert "ZeroDivisionError: oops" in chat.last().error
    assert not chat.runner.running


async def test_stop_keeps_what_came_and_closes_the_stream(chat: Chat) -> None:
    source = ScriptedSource(TextDelta("So far"), wait=True)
    turn = asyncio.create_task(chat.runner.send(chat.id, "Hi", source))
    await source.waiting.wait()
    assert chat.runner.is_running(chat.id)
    await asyncio.gather(chat.runner.stop(chat.id), chat.runner.stop(chat.id))
    answer = await turn
    assert (answer.content, answer.state, answer.error) == ("So far", "stopped", "")
    assert source.closed == 1
    assert chat.last() == answer
    await chat.runner.stop(chat.id)


async def test_the_app_s_own_end_keeps_what_came_and_stays_a_cancellation(chat: Chat) -> None:
    source = ScriptedSource(TextDelta("So far"), wait=True)
    turn = asyncio.create_task(chat.runner.send(chat.id, "Hi", source))
    await source.waiting.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert chat.path()[-1] == ("So far", "stopped")
    assert not chat.runner.running


async def test_a_conversation_is_answered_once_at_a_time(chat: Chat) -> None:
    source = ScriptedSource(TextDelta("So far"), wait=True)
    turn = asyncio.create_task(chat.runner.send(chat.id, "Hi", source))
    await source.waiting.wait()
    question = chat.store.path(chat.id)[0]
    for second in (
        chat.runner.send(chat.id, "Again", source),
        chat.runner.edit(question.id, "Again", source),
        chat.runner.regenerate(question.id, source),
    ):
        with pytest.raises(BadInput, match="still being answered"):
            await second
    assert len(chat.path()) == 2
    other = Chat(chat.store)
    assert (await other.runner.send(other.id, "Hi", says("yes"))).state == "complete"
    await chat.runner.stop_all()
    await turn


async def test_the_partial_answer_is_saved_while_it_is_written(store: ConversationStore) -> None:
    chat = Chat(store, save_seconds=0.0)
    source = ScriptedSource(ReasoningDelta("hm"), TextDelta("So "), TextDelta("far"), wait=True)
    turn = asyncio.create_task(chat.runner.send(chat.id, "Hi", source))
    await source.waiting.wait()
    await asyncio.sleep(0.05)
    kept = chat.last()
    assert (kept.content, kept.reasoning, kept.state) == ("So far", "hm", "streaming")
    await chat.runner.stop(chat.id)
    await turn


async def test_saving_does_not_follow_every_token(chat: Chat, database: Database) -> None:
    before = database.connection.total_changes
    source = ScriptedSource(*[TextDelta("x")] * 500, FINISHED)
    answer = await chat.runner.send(chat.id, "Hi", source)
    assert answer.content == "x" * 500
    assert database.connection.total_changes - before < 100


@pytest.mark.parametrize("text", ["", "  \n"])
async def test_an_empty_question_is_refused(chat: Chat, text: str) -> None:
    with pytest.raises(BadInput, match="nothing to send"):
        await chat.runner.send(chat.id, text, says("x"))
    assert chat.path() == []


async def test_regenerating_adds_an_alternative(chat: Chat) -> None:
    first = await chat.runner.send(chat.id, "Q", says("one"))
    chat.notices.clear()
    source = says("two")
    second = await chat.runner.regenerate(first.id, source)
    assert source.requests[0].messages == (ChatMessage("user", "Q"),)
    assert chat.path() == [("Q", "complete"), ("two", "complete")]
    assert (second.sibling_index, second.sibling_count) == (1, 2)
    started = chat.notices[0]
    assert isinstance(started, TurnStarted)
    assert started.user_message is None


async def test_an_interrupted_answer_can_be_regenerated_or_followed(chat: Chat) -> None:
    broken = await chat.runner.send(
        chat.id, "Q", ScriptedSource(TextDelta("Half"), error=EngineFailed("Gone."))
    )
    follow = says("more")
    await chat.runner.send(chat.id, "Go on", follow)
    assert [message.content for message in follow.requests[0].messages] == ["Q", "Half", "Go on"]
    await chat.runner.regenerate(broken.id, says("Whole"))
    assert chat.path() == [("Q", "complete"), ("Whole", "complete")]


async def test_a_question_without_an_answer_can_be_answered(chat: Chat) -> None:
    question = chat.store.append(chat.id, "user", "Q")
    await chat.runner.regenerate(question.id, says("A"))
    assert [text for text, _ in chat.path()] == ["Q", "A"]


async def test_editing_makes_a_branch(chat: Chat) -> None:
    await chat.runner.send(chat.id, "Q1", says("A1"))
    await chat.runner.send(chat.id, "Q2", says("A2"))
    first, _, second, _ = chat.store.path(chat.id)
    source = says("B2")
    await chat.runner.edit(second.id, "Q2 edited", source)
    assert [text for text, _ in chat.path()] == ["Q1", "A1", "Q2 edited", "B2"]
    assert [message.content for message in source.requests[0].messages] == ["Q1", "A1", "Q2 edited"]
    await chat.runner.edit(first.id, "Q1 edited", says("B1"))
    assert [text for text, _ in chat.path()] == ["Q1 edited", "B1"]
    chat.store.switch_branch(second.id)
    assert [text for text, _ in chat.path()] == ["Q1", "A1", "Q2", "A2"]
    with pytest.raises(BadInput, match="own messages"):
        await chat.runner.edit(chat.last().id, "x", says("x"))


async def test_tool_calls_are_shown_and_kept(chat: Chat) -> None:
    source = ScriptedSource(
        TextDelta("I look it up."),
        ToolCallDelta(0, "c", "search", '{"query":'),
        ToolCallDelta(0, "", "", ' "kv"}'),
        ToolCallDelta(1, "d", "broken", "{"),
        FINISHED,
    )
    answer = await chat.runner.send(chat.id, "Q", source)
    assert '{"name": "search", "arguments": {"query": "kv"}}' in answer.content
    assert "broken({)" in answer.content
    shown = [notice.text for notice in chat.notices if isinstance(notice, TurnDelta)]
    assert "".join(shown) == answer.content


async def test_an_answer_deleted_in_mid_stream_ends_quietly(chat: Chat) -> None:
    source = ScriptedSource(TextDelta("So far"), wait=True)
    turn = asyncio.create_task(chat.runner.send(chat.id, "Hi", source))
    await source.waiting.wait()
    chat.store.delete(chat.id)
    await chat.runner.stop(chat.id)
    assert (await turn).state == "stopped"
    assert isinstance(chat.notices[-1], TurnEnded)


async def test_an_answer_that_can_not_be_saved_is_shown_all_the_same(
    chat: Chat, database: Database
) -> None:
    source = ScriptedSource(TextDelta("So far"), wait=True)
    turn = asyncio.create_task(chat.runner.send(chat.id, "Hi", source))
    await source.waiting.wait()
    database.close()
    await chat.runner.stop(chat.id)
    with pytest.raises(StorageError):
        await turn
    ended = chat.notices[-1]
    assert isinstance(ended, TurnEnded)
    assert ended.message.content == "So far"
    assert not chat.runner.running

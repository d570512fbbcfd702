"""Questions about documents through the real worker: prepared, answered, checked, and kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.quoting import QUOTE

from m1desk.documents import (
    AskingEngine,
    DocumentSets,
    DocumentsText,
    PreparedStates,
    PreparingEnded,
    PreparingStarted,
    PreparingStep,
    QuestionDelta,
    QuestionEnded,
    QuestionNotice,
    QuestionPreparing,
    QuestionRunner,
    QuestionStarted,
    Wish,
    state_name,
)
from m1desk.engines import LlamaEngine, PrepareFinished
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import BadInput
from m1desk.store import Folders

if TYPE_CHECKING:
    from pathlib import Path

GREEDY = SamplingParameters(temperature=0.0, max_tokens=200)


def _asking(engine: LlamaEngine, set_id: int) -> AskingEngine:
    settings = engine.settings
    assert settings is not None
    return AskingEngine(
        client=engine.client(),
        model=engine.status.model_name,
        context_tokens=engine.status.context_tokens,
        state_name=lambda text: state_name(
            set_id, text.sha256, settings.model_path, settings.kv_type
        ),
    )


async def test_an_answer_is_prepared_checked_and_kept(
    engine: LlamaEngine, sets: DocumentSets, set_id: int, home: Path
) -> None:
    told: list[QuestionNotice] = []
    runner = QuestionRunner(sets, told.append)
    wish = Wish(set_id, "How long is the notice?", GREEDY, predicted_seconds=(0.1, 0.2))
    ended = await runner.ask(wish, _asking(engine, set_id))
    assert ended.state == "complete", ended.error
    (citation,) = ended.checked.citations
    assert (citation.status, citation.file, citation.page) == ("verified", "contract.pdf", 2)
    assert citation.quote == QUOTE
    assert [ended.answer[one.start : one.end] for one in ended.checked.unquoted] == [
        "Nobody knows more."
    ]
    receipt = ended.details.receipt
    assert receipt is not None
    assert receipt.agrees
    prepared = [one.event for one in told if isinstance(one, QuestionPreparing)]
    (finished,) = [one for one in prepared if isinstance(one, PrepareFinished)]
    assert receipt.reused_tokens == finished.tokens
    assert isinstance(told[0], QuestionStarted)
    assert isinstance(told[-1], QuestionEnded)
    assert "".join(one.text for one in told if isinstance(one, QuestionDelta)) == ended.answer
    assert sets.questions(set_id) == (ended,)
    (state,) = PreparedStates(Folders.under(home).data / "prepared").entries()
    assert (state.set_id, state.tokens, state.is_complete) == (set_id, finished.tokens, True)


async def test_after_a_restart_only_the_question_is_read(
    engine: LlamaEngine, sets: DocumentSets, set_id: int, quoting_model: Path
) -> None:
    runner = QuestionRunner(sets, lambda _notice: None)
    first = await runner.ask(Wish(set_id, "One?", GREEDY), _asking(engine, set_id))
    settings = engine.settings
    assert settings is not None
    await engine.load(settings)
    second = await runner.ask(Wish(set_id, "And two?", GREEDY), _asking(engine, set_id))
    assert second.state == "complete", second.error
    before, after = first.details.receipt, second.details.receipt
    assert before is not None
    assert after is not None
    assert after.agrees
    assert after.reused_tokens == before.reused_tokens > 100
    assert after.read_tokens < 40


async def test_what_does_not_fit_is_refused_with_all_numbers(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    runner = QuestionRunner(sets, lambda _notice: None)
    asking = replace(_asking(engine, set_id), context_tokens=100, state_name=None)
    ended = await runner.ask(Wish(set_id, "How long?", GREEDY), asking)
    assert ended.state == "failed"
    assert "do not fit" in ended.error
    assert "100" in ended.error


async def test_a_stopped_answer_keeps_what_had_come(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    first_word = asyncio.Event()

    def hear(notice: QuestionNotice) -> None:
        if isinstance(notice, QuestionDelta):
            first_word.set()

    runner = QuestionRunner(sets, hear)
    asking = _asking(engine, set_id)
    asked = asyncio.create_task(runner.ask(Wish(set_id, "How long?", GREEDY), asking))
    await asyncio.wait_for(first_word.wait(), 60)
    await runner.stop(set_id)
    ended = await asked
    assert ended.state in {"stopped", "complete"}  # four pieces may all have come by then
    assert ended.answer
    assert not runner.running


async def test_questions_that_can_not_be_asked_are_refused(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    runner = QuestionRunner(sets, lambda _notice: None)
    with pytest.raises(BadInput, match="no question"):
        await runner.ask(Wish(set_id, "  "), _asking(engine, set_id))
    (file,) = sets.files(set_id)
    sets.include(file.id, included=False)
    with pytest.raises(BadInput, match="no text"):
        await runner.ask(Wish(set_id, "How long?"), _asking(engine, set_id))
    assert sets.questions(set_id) == ()


async def test_an_engine_that_is_gone_is_told(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    runner = QuestionRunner(sets, lambda _notice: None)
    asking = _asking(engine, set_id)
    await engine.unload()
    ended = await runner.ask(Wish(set_id, "How long?", GREEDY), asking)
    assert ended.state == "failed"
    assert ended.error


async def test_a_fault_of_the_program_ends_the_question_and_is_told(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    told: list[QuestionNotice] = []

    def breaks(_documents: DocumentsText) -> str:
        raise ZeroDivisionError("a bug")

    runner = QuestionRunner(sets, told.append)
    asking = replace(_asking(engine, set_id), state_name=breaks)
    ended = await runner.ask(Wish(set_id, "How long?", GREEDY), asking)
    assert ended.state == "failed"
    assert "a bug" in ended.error
    assert isinstance(told[-1], QuestionEnded)
    assert not runner.running


async def test_an_answer_that_can_not_be_kept_is_shown_all_the_same(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    told: list[QuestionNotice] = []

    def hear(notice: QuestionNotice) -> None:
        told.append(notice)
        if isinstance(notice, QuestionStarted):
            sets.delete(set_id)  # the question goes with it

    runner = QuestionRunner(sets, hear)
    ended = await runner.ask(Wish(set_id, "How long?", GREEDY), _asking(engine, set_id))
    assert ended.checked.citations[0].status == "verified"
    assert "gone" in ended.error
    assert told[-1] == QuestionEnded(ended)


async def test_documents_are_read_ahead_and_the_question_finds_them(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    told: list[QuestionNotice] = []
    runner = QuestionRunner(sets, told.append)
    finished = await runner.prepare(set_id, _asking(engine, set_id))
    assert finished is not None
    assert told[0] == PreparingStarted(set_id)
    assert told[-1] == PreparingEnded(set_id, finished)
    assert any(isinstance(one, PreparingStep) for one in told)
    ended = await runner.ask(Wish(set_id, "How long?", GREEDY), _asking(engine, set_id))
    receipt = ended.details.receipt
    assert receipt is not None
    assert receipt.reused_tokens == finished.tokens
    assert sets.questions(set_id) == (ended,)


async def test_reading_ahead_is_stopped_and_refused_with_its_reason(
    engine: LlamaEngine, sets: DocumentSets, set_id: int
) -> None:
    told: list[QuestionNotice] = []
    stops: list[asyncio.Task[None]] = []

    def hear(notice: QuestionNotice) -> None:
        told.append(notice)
        if isinstance(notice, PreparingStarted):
            stops.append(asyncio.create_task(runner.stop(set_id)))

    runner = QuestionRunner(sets, hear)
    asking = _asking(engine, set_id)
    assert await runner.prepare(set_id, asking) is None
    await asyncio.gather(*stops)
    assert told[-1] == PreparingEnded(set_id)
    for refused in (replace(asking, state_name=None), replace(asking, context_tokens=50)):
        runner = QuestionRunner(sets, told.append)
        with pytest.raises(BadInput):
            await runner.prepare(set_id, refused)
        ended = told[-1]
        assert isinstance(ended, PreparingEnded)
        assert ended.error is not None
    assert not runner.running

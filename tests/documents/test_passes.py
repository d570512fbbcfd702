"""Questions in passes through the real worker: read, combined, stopped, gone on with, kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.quoting import QUOTE, SCRIPT

from m1desk.documents import (
    AnswerRecord,
    AskingEngine,
    CitationChecker,
    Document,
    DocumentSets,
    ExtractionReport,
    Page,
    PassEnded,
    PassesAnswer,
    PassesQuestion,
    PassStarted,
    QuestionEnded,
    QuestionNotice,
    QuestionPass,
    QuestionPassed,
    QuestionRunner,
    ReadResult,
    Wish,
    as_json,
    as_markdown,
    ask_in_passes,
    count_prompt,
    first_message,
    lay_out,
    plan_passes,
    state_name,
)
from m1desk.documents.passes import marked_quotes
from m1desk.documents.records import details_from, details_text
from m1desk.engines import LlamaEngine, LlamaSettings
from m1desk.engines.turn import ChatMessage, SamplingParameters
from m1desk.errors import BadInput
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m1desk.documents import Pass, PassAnswer, PassEvent
    from m1desk.engines import EngineClient

GREEDY = SamplingParameters(temperature=0.0, max_tokens=60)
PAGES = ("This contract is short. " * 20, QUOTE, *(f"Clause {n} is dull. " * 25 for n in range(6)))
LONG = Document(
    "contract.pdf",
    Path("/docs/contract.pdf"),
    "pdf",
    tuple(Page(number, "page", text) for number, text in enumerate(PAGES, 1)),
    "ab" * 32,
    100,
    1.0,
)
QUESTION = "How long is the notice?"
ABSENT = ("That is not ", "in the ", "documents.")


@pytest.fixture
def long_set(sets: DocumentSets) -> int:
    made = sets.create("Long case")
    report = ExtractionReport(LONG.path, LONG.name, "pdf", "read", pages_total=8, pages_read=8)
    sets.add(made, [ReadResult(LONG, report)])
    return made


def _asking(engine: LlamaEngine, set_id: int, context_tokens: int = 1024) -> AskingEngine:
    settings = engine.settings
    assert settings is not None
    return AskingEngine(
        engine.client(),
        engine.status.model_name,
        context_tokens,
        lambda text: state_name(set_id, text.sha256, settings.model_path, settings.kv_type),
    )


async def _ask(
    engine: LlamaEngine,
    budget: int,
    *,
    document: Document = LONG,
    context_tokens: int = 2048,
    done: Sequence[PassAnswer] = (),
) -> list[PassEvent]:
    client = engine.client()
    passes = await plan_passes([document], budget, client)
    checker = CitationChecker(lay_out([document]))
    asked = PassesQuestion(passes, QUESTION, GREEDY)
    asking = ask_in_passes(client, asked, checker, context_tokens=context_tokens, done=done)
    return [event async for event in asking]


def _ended(events: Sequence[PassEvent]) -> list[PassAnswer]:
    return [event.answer for event in events if isinstance(event, PassEnded)]


def _answer(events: Sequence[PassEvent]) -> PassesAnswer:
    answer = events[-1]
    assert isinstance(answer, PassesAnswer)
    return answer


async def test_each_pass_is_read_and_one_answer_is_made_of_theirs(engine: LlamaEngine) -> None:
    events = await _ask(engine, 700)
    *passes, last = _ended(events)
    assert len(passes) > 2
    assert [one.number for one in (*passes, last)] == list(range(1, len(passes) + 2))
    assert last.combines == tuple(one.number for one in passes)
    started = [event for event in events if isinstance(event, PassStarted)]
    assert [one.combines for one in started] == [()] * len(passes) + [last.combines]
    assert {one.passes for one in started} == {len(passes)}
    answer = _answer(events)
    assert answer.details.outcome == "combined"
    assert answer.answer == last.answer
    (citation,) = answer.details.citations
    # found wherever it is, not only on the pages of the pass that quoted it
    assert (citation.status, citation.page) == ("verified", 2)
    assert all(one.details.citations[0].status == "verified" for one in passes)
    receipts = [one.details.receipt for one in (*passes, last)]
    assert all(receipt is not None and receipt.agrees for receipt in receipts)
    total = answer.details.receipt
    assert total is not None
    assert total.expected_tokens == sum(one.expected_tokens for one in receipts if one)
    assert total.taken_tokens == total.expected_tokens
    assert answer.details.disagreeing is None
    assert answer.details.written_tokens == sum(
        one.details.written_tokens for one in (*passes, last)
    )
    assert answer.details.planned_passes == len(passes)


async def _narrowest(client: EngineClient, passes: Sequence[Pass]) -> int:
    """The least context in which each pass has room for the question and the answer."""
    prompts = [
        await client.count_tokens([ChatMessage("user", first_message(one.text, QUESTION))])
        for one in passes
    ]
    return max(prompts) + (GREEDY.max_tokens or 0)


async def test_answers_too_long_for_one_prompt_are_combined_in_a_tree(engine: LlamaEngine) -> None:
    client = engine.client()
    pages = tuple(Page(number, "page", f"Clause {number}. " * 30) for number in range(1, 25))
    many = replace(LONG, pages=(*pages, Page(25, "page", QUOTE)))
    passes = await plan_passes([many], 300, client)
    events = await _ask(engine, 300, document=many, context_tokens=await _narrowest(client, passes))
    steps = _ended(events)
    combined = [one for one in steps if one.combines]
    assert len(combined) > 2
    used = [number for one in combined for number in one.combines]
    assert sorted(used) == list(range(1, len(steps)))  # every answer went into just one other
    assert _answer(events).answer == steps[-1].answer
    covered = {span for one in steps[: len(passes)] for span in one.spans}
    assert set(steps[-1].spans) == covered


async def test_what_can_not_be_combined_is_listed_with_its_pages(
    engine: LlamaEngine, wordy: Path
) -> None:
    await engine.load(LlamaSettings(wordy, context_tokens=2048, parallel=1))
    client = engine.client()
    budget = await count_prompt(client, lay_out(()), "") + 90
    passes = await plan_passes([LONG], budget, client)
    context = await _narrowest(client, passes)
    events = await _ask(engine, budget, context_tokens=context)
    answer = _answer(events)
    assert not any(one.combines for one in _ended(events))
    assert answer.details.outcome == "listed"
    assert answer.answer.count(QUOTE) == len(passes)
    assert "contract.pdf p.1 (part 1 of " in answer.answer
    assert {one.status for one in answer.details.citations} == {"verified"}


async def test_what_is_done_is_taken_over_where_the_text_is_the_same(engine: LlamaEngine) -> None:
    whole = await _ask(engine, 700)
    first, second, *_ = _ended(whole)
    again = await _ask(engine, 700, done=[second, first])
    assert [one.number for one in _ended(again)] == [
        one.number for one in _ended(whole) if one.number > 2
    ]
    assert _answer(again).answer == _answer(whole).answer
    assert _answer(again).details.passes[:2] == (first, second)
    other = await _ask(engine, 520, done=[first, second])  # other passes: nothing is the same
    assert _ended(other)[0].number == 1
    everything = await _ask(engine, 700, done=_ended(whole))
    assert _ended(everything) == []
    assert _answer(everything).answer == _answer(whole).answer


@pytest.fixture(scope="session")
def wordy(tiny_models: Path) -> Path:
    """It quotes, and then says much more."""
    words = tuple(f" So it is, {number} times over." for number in range(50))
    spec = TinyModelSpec(architecture="minimax-01", name="wordy", script=(*SCRIPT, *words))
    return write_tiny_model(tiny_models / "wordy-F32.gguf", spec)


@pytest.fixture(scope="session")
def knowing_nothing(tiny_models: Path) -> Path:
    spec = TinyModelSpec(architecture="minimax-01", name="ignorant", script=ABSENT)
    return write_tiny_model(tiny_models / "ignorant-F32.gguf", spec)


async def test_passes_that_find_nothing_are_named_and_not_combined(
    engine: LlamaEngine, knowing_nothing: Path
) -> None:
    await engine.load(LlamaSettings(knowing_nothing, context_tokens=2048, parallel=1))
    events = await _ask(engine, 700)
    assert all(one.is_absent and not one.combines for one in _ended(events))
    answer = _answer(events)
    assert answer.details.outcome == "absent"
    assert answer.answer == "".join(ABSENT)


async def test_without_passes_or_a_question_nothing_is_asked(engine: LlamaEngine) -> None:
    checker = CitationChecker(lay_out([LONG]))
    for asked in (PassesQuestion((), "Why?"), PassesQuestion((), " ")):
        with pytest.raises(BadInput):
            async for _ in ask_in_passes(engine.client(), asked, checker, context_tokens=1024):
                pass


def test_quotes_carry_the_page_on_which_they_were_found() -> None:
    checker = CitationChecker(lay_out([LONG]))
    for said in (f'"{QUOTE}"', f'"{QUOTE}" [contract.pdf p.7]', f'"{QUOTE}" [contract.pdf p.2]'):
        written = marked_quotes(checker.check(f"It is 45 days. {said} So it is."))
        assert written == f'It is 45 days. "{QUOTE}" [contract.pdf p.2] So it is.'
    invented = 'It says "Nothing of this kind is true." and ends.'
    assert marked_quotes(checker.check(invented)) == invented


# -- kept ------------------------------------------------------------------------------------------


async def test_a_stop_keeps_the_passes_and_going_on_reads_only_the_rest(
    engine: LlamaEngine, sets: DocumentSets, long_set: int
) -> None:
    told: list[QuestionNotice] = []
    stops: list[asyncio.Task[None]] = []

    def hear(notice: QuestionNotice) -> None:
        told.append(notice)
        if isinstance(notice, QuestionPass) and notice.started.number == 3 and not stops:
            stops.append(asyncio.create_task(runner.stop(long_set)))

    runner = QuestionRunner(sets, hear)
    wish = Wish(long_set, QUESTION, GREEDY, in_passes=True)
    cut = await runner.ask(wish, _asking(engine, long_set))
    await asyncio.gather(*stops)
    assert cut.state == "stopped"
    assert cut.answer == ""
    assert [one.number for one in cut.details.passes] == [1, 2]
    assert cut.details.planned_passes > 3
    assert cut.can_go_on
    assert sets.question(cut.id) == cut
    told.clear()
    ended = await runner.ask(replace(wish, goes_on=cut.id), _asking(engine, long_set))
    assert ended.id == cut.id
    assert ended.state == "complete", ended.error
    assert ended.details.passes[:2] == cut.details.passes
    started = [one.started.number for one in told if isinstance(one, QuestionPass)]
    assert started[0] == 3
    assert isinstance(told[-1], QuestionEnded)
    assert sets.questions(long_set) == (ended,)
    assert not ended.can_go_on
    with pytest.raises(BadInput, match="gone on"):
        await runner.ask(replace(wish, goes_on=cut.id), _asking(engine, long_set))


async def test_an_engine_that_is_lost_costs_the_pass_in_hand_only(
    engine: LlamaEngine, sets: DocumentSets, long_set: int
) -> None:
    lost: list[asyncio.Task[None]] = []

    def hear(notice: QuestionNotice) -> None:
        if isinstance(notice, QuestionPassed) and not lost:
            lost.append(asyncio.create_task(engine.unload()))

    runner = QuestionRunner(sets, hear)
    wish = Wish(long_set, "How long?", GREEDY, in_passes=True)
    cut = await runner.ask(wish, _asking(engine, long_set))
    await asyncio.gather(*lost)
    assert cut.state == "interrupted"
    assert cut.error
    assert cut.details.passes
    assert cut.can_go_on


async def test_after_a_crash_the_passes_are_there_and_hold_good_for_the_same_only(
    engine: LlamaEngine, sets: DocumentSets, long_set: int
) -> None:
    (first, *_) = _ended(await _ask(engine, 700))
    text = lay_out([LONG])
    asked = sets.begin(long_set, "How long?", engine.status.model_name, text.sha256)
    sets.save_details(asked.id, replace(asked.details, passes=(first,), planned_passes=4))
    sets.recover()
    cut = sets.question(asked.id)
    assert cut.state == "interrupted"
    assert cut.details.passes == (first,)
    runner = QuestionRunner(sets, lambda _notice: None)
    wish = Wish(long_set, "How long?", GREEDY, in_passes=True, goes_on=cut.id)
    other = replace(_asking(engine, long_set), model="another")
    with pytest.raises(BadInput, match="gone on"):
        await runner.ask(wish, other)
    more = Document(
        "more.txt", Path("/docs/more.txt"), "text", (Page(1, "page", "More."),), "", 5, 1.0
    )
    report = ExtractionReport(more.path, more.name, "text", "read")
    sets.add(long_set, [ReadResult(more, report)])
    with pytest.raises(BadInput, match="gone on") as refused:
        await runner.ask(wish, _asking(engine, long_set))
    assert "changed" in refused.value.why
    assert sets.question(cut.id).state == "interrupted"


async def test_passes_are_written_read_back_and_exported(
    engine: LlamaEngine, sets: DocumentSets, long_set: int
) -> None:
    runner = QuestionRunner(sets, lambda _notice: None)
    wish = Wish(
        long_set,
        QUESTION,
        GREEDY,
        predicted_seconds=(1.0, 2.0),
        predicted_total_seconds=(5.0, 9.0),
        assumed_tokens=80,
        in_passes=True,
    )
    ended = await runner.ask(wish, _asking(engine, long_set))
    details = ended.details
    assert details_from(details_text(details)) == details
    assert (details.predicted_total_seconds, details.assumed_tokens) == ((5.0, 9.0), 80)
    assert sets.answer_lengths(ended.model) == ()  # sums over passes are no usual length
    record = AnswerRecord(
        question=ended.question,
        checked=ended.checked,
        model=ended.model,
        asked=ended.asked,
        documents=details.documents,
        receipt=details.receipt,
        passes=details.passes,
        outcome=details.outcome,
    )
    values = as_json(record)
    passes = values["passes"]
    assert isinstance(passes, list)
    assert [one["number"] for one in passes] == [one.number for one in details.passes]
    assert passes[0]["pages"][0]["document"] == "contract.pdf"
    assert values["outcome"] == "combined"
    written = as_markdown(record)
    assert "## Passes" in written
    assert "Combined from the answers of" in written

"""Preparations and saved states in the scheduler, one step at a time on a real context."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from restored_logits import CHUNK, QUESTION, document, loaded

from m1desk.llama_worker import states, states_files
from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.generation import Delta, Done, Generation
from m1desk.llama_worker.metrics import Metrics
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.output import OutputParser
from m1desk.llama_worker.prepared_plan import CheckpointPlan, Mark
from m1desk.llama_worker.prepared_saver import NotSaved, Preparation, Saved, StateSaver
from m1desk.llama_worker.requests import SamplingOptions
from m1desk.llama_worker.sampling import Sampler
from m1desk.llama_worker.scheduler import Scheduler
from m1desk.llama_worker.states import StateStore
from m1desk.llama_worker.states_manifest import StateKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from m1desk.llama_worker.model import Model

KEY = StateKey("tiny", "m", "engine", "e", "f16", flash_attention=True, long_rope=False)
BOOK = document(5 * CHUNK)
NEVER = CheckpointPlan(first_tokens=100_000)
OFTEN = CheckpointPlan(first_tokens=1, growth=1.0, seconds=0.0)
LONG_BOOK = document(28 * CHUNK)
SHORT_INTERVALS = CheckpointPlan(first_tokens=6 * CHUNK, growth=1.5, seconds=0.0)


@pytest.fixture(scope="module")
def native() -> Native:
    return Native()


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_minimax"])
def model(request: pytest.FixtureRequest, native: Native) -> Iterator[Model]:
    with loaded(native, request.getfixturevalue(request.param)) as model:
        yield model


@dataclass
class Desk:
    """A scheduler whose thread is the test, over a store of saved states."""

    native: Native
    model: Model
    store: StateStore
    stack: ExitStack
    saves: list[Saved | NotSaved] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizes = ContextOptions(context_tokens=2048, parallel=4, ubatch_tokens=CHUNK)
        self.context = Context(self.native, self.model, sizes)
        self.stack.callback(self.context.close)
        self.saver = StateSaver(self.context, self.store, self.native.log)
        self.stack.callback(self.saver.close)
        self.failures: list[str] = []
        self.scheduler = Scheduler(
            self.model,
            self.context,
            Metrics(),
            Batch(self.native, 512),
            state_budget=1 << 30,
            on_failure=self.failures.append,
            saver=self.saver,
        )

    def submit(self, prompt: list[int], *, max_tokens: int = 4, **more: Any) -> Answer:
        output = OutputParser(
            stops=(), starts_in_think=False, parse_think=False, parse_tool_calls=False
        )
        answer = Answer()
        sampler = Sampler(self.native, self.model, SamplingOptions(temperature=0), None)
        generation = Generation(
            prompt, output, answer.events.append, sampler, max_tokens=max_tokens,
            logprobs=5, ignore_end=True, **more,
        )  # fmt: skip
        answer.generation = generation
        self.scheduler.submit(generation)
        return answer

    def prepare(self, prompt: list[int], plan: CheckpointPlan = NEVER, **more: Any) -> Answer:
        preparation = Preparation("book", plan, self.saves.append)
        positions = (len(prompt),)
        return self.submit(prompt, preparation=preparation, snapshot_positions=positions, **more)

    def serve(self, *answers: Answer) -> None:
        while not all(answer.is_done for answer in answers):
            self.scheduler.run_once()
        self.saver.wait()
        assert not self.failures


@dataclass
class Answer:
    events: list[Any] = field(default_factory=list)
    generation: Generation | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Done)

    @property
    def done(self) -> Done:
        assert isinstance(self.events[-1], Done)
        return self.events[-1]

    @property
    def chances(self) -> list[Any]:
        """Of each token and its rivals: equal only where the logits are."""
        return [event.logprobs for event in self.events if isinstance(event, Delta)]


@pytest.fixture
def desk(native: Native, model: Model, tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    with ExitStack() as stack:
        yield lambda: Desk(native, model, StateStore(tmp_path / "states", KEY), stack)


def saved_book(desk: Desk) -> Any:
    state = desk.store.open("book")
    desk.store.verify(state)
    return state


def test_an_answer_behind_a_restored_state_is_that_of_a_whole_prefill(
    desk: Callable[[], Desk],
) -> None:
    first, second, third = desk(), desk(), desk()
    first.serve(first.prepare(BOOK))
    (event,) = first.saves
    assert isinstance(event, Saved)
    assert (event.complete, event.state["tokens"]) == (True, len(BOOK))

    restored = second.submit(BOOK + QUESTION, saved=saved_book(second))
    second.serve(restored)
    whole = third.submit(BOOK + QUESTION)
    third.serve(whole)

    assert restored.chances == whole.chances
    assert restored.done.timings["cache_n"] == len(BOOK)
    assert restored.done.timings["prompt_n"] == len(QUESTION)
    assert whole.done.timings["cache_n"] == 0
    assert restored.done.prepared is not None
    assert restored.done.prepared["reason"] == "restored"
    assert whole.done.prepared is None


def test_a_restored_state_is_as_good_beside_answers_being_written(
    desk: Callable[[], Desk],
) -> None:
    first, beside, alone = desk(), desk(), desk()
    first.serve(first.prepare(BOOK))
    others = [beside.submit(document(70, seed), max_tokens=60) for seed in (5, 6)]
    while not all(len(other.chances) > 3 for other in others):
        beside.scheduler.run_once()
    busy = beside.submit(BOOK + QUESTION, saved=saved_book(beside))
    quiet = alone.submit(BOOK + QUESTION, saved=saved_book(alone))
    beside.serve(busy, *others)
    alone.serve(quiet)
    assert busy.done.timings["cache_n"] == len(BOOK)
    assert busy.done.timings["prompt_n"] == len(QUESTION)
    # in other cells, so in another order of summing; test_prepared_exact.py compares the bits
    for left, right in zip(busy.chances, quiet.chances, strict=True):
        assert left.chosen.logprob == pytest.approx(right.chosen.logprob, abs=0.01)


def test_answers_go_on_while_a_document_is_prepared(desk: Callable[[], Desk]) -> None:
    one = desk()
    talk = one.submit(document(20, 9), max_tokens=200)
    while not talk.chances:
        one.scheduler.run_once()
    written = len(talk.chances)
    preparing = one.prepare(BOOK, OFTEN)
    one.serve(preparing)
    assert len(talk.chances) > written
    assert not preparing.chances  # a preparation samples no token
    assert sum(event.complete for event in one.saves if isinstance(event, Saved)) == 1
    one.serve(talk)
    assert len(talk.chances) == 200


def test_a_preparation_goes_on_from_a_checkpoint(desk: Callable[[], Desk]) -> None:
    first, second = desk(), desk()
    cut = first.prepare(BOOK, OFTEN)
    while not first.saves:
        first.scheduler.run_once()
        first.saver.wait()
    assert not cut.is_done
    checkpoint = saved_book(second)
    assert not checkpoint.manifest.complete
    rest = second.prepare(BOOK, saved=checkpoint)
    second.serve(rest)
    assert rest.done.timings["cache_n"] == checkpoint.count
    assert rest.done.timings["prompt_n"] == len(BOOK) - checkpoint.count
    assert saved_book(second).manifest.complete


def test_questions_share_a_sequence_and_open_a_second_one_side_by_side(
    desk: Callable[[], Desk],
) -> None:
    first, second = desk(), desk()
    first.serve(first.prepare(BOOK))
    questions = [[*BOOK, *document(12, seed)] for seed in (2, 3, 4)]
    pair = [second.submit(one, saved=saved_book(second)) for one in questions[:2]]
    second.serve(*pair)
    assert [one.done.prepared["reason"] for one in pair] == ["restored", "restored"]  # type: ignore[index]
    later = second.submit(questions[2], saved=saved_book(second))
    second.serve(later)
    assert later.done.prepared is not None
    assert later.done.prepared["reason"] == "in_memory"
    assert later.done.timings["cache_n"] == len(BOOK)


def test_a_file_the_engine_refuses_is_said_and_the_prompt_is_read(
    desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()
    one.serve(one.prepare(BOOK))
    other = desk()
    monkeypatch.setattr(other.context, "load_file", lambda *_: False)
    asked = other.submit(BOOK + QUESTION, saved=saved_book(other))
    other.serve(asked)
    assert asked.done.prepared is not None
    assert (asked.done.prepared["used"], asked.done.prepared["reason"]) == (False, "load_failed")
    assert asked.done.timings["cache_n"] == 0


def test_a_file_that_changes_while_a_question_waits_is_not_given_to_the_engine(
    desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()
    one.serve(one.prepare(BOOK))
    other = desk()
    loaded_files: list[object] = []
    monkeypatch.setattr(other.context, "load_file", lambda *given: loaded_files.append(given))
    saved = saved_book(other)
    asked = other.submit(BOOK + QUESTION, saved=saved)
    with saved.path.open("ab") as file:
        file.write(b"more")
    other.serve(asked)
    assert asked.done.prepared is not None
    assert (asked.done.prepared["used"], asked.done.prepared["reason"]) == (False, "damaged")
    assert asked.done.prepared["message"].endswith(".")
    assert loaded_files == []
    assert asked.done.timings["prompt_n"] == len(BOOK + QUESTION)


def test_what_was_read_is_what_the_engine_was_given(
    desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()
    decoded: list[int] = []
    decode = one.context.decode

    def counted(batch: Batch) -> int:
        decoded.append(batch.size)
        return decode(batch)

    monkeypatch.setattr(one.context, "decode", counted)
    first = one.submit(BOOK + QUESTION, max_tokens=1, snapshot_positions=(len(BOOK),))
    one.serve(first)
    assert first.done.timings["prompt_n"] == sum(decoded) == len(BOOK + QUESTION)
    assert first.done.timings["cache_n"] == 0
    decoded.clear()
    second = one.submit([*BOOK, *document(12, 2)], max_tokens=1)
    one.serve(second)
    assert second.done.timings["prompt_n"] == sum(decoded) == 12
    assert second.done.timings["cache_n"] == len(BOOK)


def test_a_prompt_that_starts_over_is_accounted_for_once(desk: Callable[[], Desk]) -> None:
    one = desk()
    asked = one.submit(BOOK + QUESTION)
    one.scheduler.run_once()
    ((slot, generation),) = one.scheduler._active()
    assert generation.computed == CHUNK
    one.scheduler._requeue(slot, generation)
    one.serve(asked)
    timings = asked.done.timings
    assert timings["cache_n"] == CHUNK  # what its own first start had read
    assert timings["prompt_n"] + timings["cache_n"] == len(BOOK + QUESTION)


def test_a_disk_without_room_is_told_before_a_byte_is_written(
    desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()
    monkeypatch.setattr(one.store, "free_bytes", lambda: 1000)
    one.serve(one.prepare(BOOK))
    (event,) = one.saves
    assert isinstance(event, NotSaved)
    assert event.refusal["reason"] == "disk_full"
    assert "1,000 are free" in event.refusal["message"]
    assert one.store.entries() == []


def test_a_cancelled_preparation_saves_nothing_more(desk: Callable[[], Desk]) -> None:
    one = desk()
    preparing = one.prepare(BOOK, OFTEN)
    one.scheduler.run_once()
    one.scheduler.cancel(preparing.generation)  # type: ignore[arg-type]
    one.saver.wait()
    saves = len(one.saves)
    one.scheduler._drop_cancelled()
    assert one.scheduler._active() == []
    assert len(one.saves) == saves


def test_a_save_under_way_does_not_outlive_a_deletion(
    desk: Callable[[], Desk], slow_disk: SlowDisk
) -> None:
    one = desk()
    one.scheduler.cancel(read_until_it_waits(one, one.prepare(BOOK, OFTEN)))
    assert not one.store.delete("book")
    slow_disk.catch_up()
    one.saver.wait()
    assert one.store.entries() == []
    assert one.saves == []
    assert list(one.store._folder.iterdir()) == []


def test_a_preparation_cancelled_while_its_file_is_made_writes_none(
    desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()
    preparing = one.prepare(BOOK)
    new_file = one.store.new_file

    def too_late(name: str) -> Path:
        one.scheduler.cancel(preparing.generation)  # type: ignore[arg-type]
        one.store.delete(name)
        return new_file(name)

    monkeypatch.setattr(one.store, "new_file", too_late)
    one.serve(preparing)
    assert one.saves == []
    assert list(one.store._folder.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "tokens", "seconds", "half_over", "over"),
    [
        (0, 499, 1000.0, False, False),
        (0, 500, 60.0, True, False),
        (0, 5000, 59.0, False, False),
        (0, 1000, 119.0, True, False),
        (0, 1000, 120.0, True, True),
        (4000, 4999, 120.0, False, False),
        (4000, 5000, 60.0, True, False),
        (4000, 6000, 120.0, True, True),
    ],
)
def test_an_interval_has_its_tokens_and_its_time(
    start: int, tokens: int, seconds: float, half_over: bool, over: bool
) -> None:
    plan = CheckpointPlan(first_tokens=1000, growth=1.5, seconds=120.0)
    since, now = Mark(start, 7.0), Mark(tokens, 7.0 + seconds)
    assert plan.is_half_over(since, now) is half_over
    assert plan.is_over(since, now) is over


# A disk that is slower than the reading


@dataclass
class SlowDisk:
    """Puts a state down only when it is told to."""

    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def flush(self, path: Path) -> None:
        assert self.turns.acquire(timeout=60)
        states_files.flush(path)

    def catch_up(self) -> None:
        self.turns.release(100)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    disk = SlowDisk()
    monkeypatch.setattr(states, "flush", disk.flush)
    return disk


def read_until_it_waits(desk: Desk, preparing: Answer) -> Generation:
    assert preparing.generation is not None
    while not preparing.generation.waits_for_disk:
        desk.scheduler.run_once()
    return preparing.generation


def test_a_reading_is_never_more_than_an_interval_ahead_of_the_disk(
    desk: Callable[[], Desk], slow_disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = desk()
    preparing = one.prepare(LONG_BOOK, SHORT_INTERVALS)
    rest, waits = one.scheduler._rest, []

    def put_one_down_and_rest() -> None:
        saved = [event.state["tokens"] for event in one.saves if isinstance(event, Saved)]
        waits.append((max(saved, default=0), preparing.generation.read))  # type: ignore[union-attr]
        slow_disk.turns.release()
        rest()

    monkeypatch.setattr(one.scheduler, "_rest", put_one_down_and_rest)
    while not preparing.is_done:
        one.scheduler.run_once()
    slow_disk.catch_up()
    one.saver.wait()
    assert len(waits) > 3
    for on_disk, read in waits:
        interval = max(SHORT_INTERVALS.first_tokens, (SHORT_INTERVALS.growth - 1) * on_disk)
        assert interval <= read - on_disk < interval + CHUNK
    assert saved_book(one).count == len(LONG_BOOK)


def test_others_are_read_and_answered_while_one_reading_waits_for_the_disk(
    desk: Callable[[], Desk], slow_disk: SlowDisk
) -> None:
    one = desk()
    talk = one.submit(document(20, 9), max_tokens=300)
    preparing = one.prepare(LONG_BOOK, SHORT_INTERVALS)
    waiting = read_until_it_waits(one, preparing)
    read, written = waiting.read, len(talk.chances)
    asked = one.submit(document(3 * CHUNK, 5), max_tokens=10)
    while not asked.is_done:
        one.scheduler.run_once()
    assert len(talk.chances) > written + 10
    assert waiting.read == read
    slow_disk.catch_up()
    one.serve(preparing, talk)
    assert saved_book(one).count == len(LONG_BOOK)


def test_a_reading_that_waits_for_the_disk_can_be_given_up(
    desk: Callable[[], Desk], slow_disk: SlowDisk
) -> None:
    one = desk()
    one.scheduler.cancel(read_until_it_waits(one, one.prepare(LONG_BOOK, SHORT_INTERVALS)))
    one.scheduler.run_once()
    assert one.scheduler._active() == []
    slow_disk.catch_up()


def test_a_disk_that_fails_keeps_no_reading_waiting(
    desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(states, "flush", fail)
    one = desk()
    one.serve(one.prepare(LONG_BOOK, SHORT_INTERVALS))
    assert len(one.saves) > 3
    for event in one.saves:
        assert isinstance(event, NotSaved)
        assert event.refusal["reason"] == "disk_full"
    assert list(one.store._folder.iterdir()) == []

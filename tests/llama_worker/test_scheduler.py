"""The scheduler on a real context, one step at a time: fairness, room, failures, exact states."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.generation import Broken, Delta, Done, Event, Generation, Progress
from m1desk.llama_worker.metrics import Metrics
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.output import OutputParser
from m1desk.llama_worker.requests import SamplingOptions
from m1desk.llama_worker.sampling import Sampler
from m1desk.llama_worker.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MODELS = ("tiny_llama", "tiny_minimax")
PLENTY = 1 << 30


@pytest.fixture(scope="module")
def native() -> Native:
    return Native()


@pytest.fixture(params=MODELS)
def path(request: pytest.FixtureRequest) -> Path:
    model: Path = request.getfixturevalue(request.param)
    return model


@dataclass
class Request:
    """A request and what was delivered to it."""

    generation: Generation
    events: list[Event] = field(default_factory=list)
    on_end: Callable[[], None] | None = None

    def deliver(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Done | Broken) and self.on_end is not None:
            self.on_end()

    @property
    def end(self) -> Done | Broken | None:
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Done | Broken) else None

    @property
    def tokens(self) -> list[int]:
        return [event.token for event in self.events if isinstance(event, Delta)]


class Bench:
    """A scheduler whose thread is the test."""

    def __init__(self, native: Native, path: Path, stack: ExitStack, **options: int) -> None:
        self.native = native
        self.model = Model(native, LoadOptions(path, extra_buffers=False), lambda _fraction: None)
        stack.callback(self.model.close)
        budget = options.pop("state_budget", PLENTY)
        sizes = {"context_tokens": 1024, "parallel": 4, "ubatch_tokens": 64, **options}
        self.context = Context(native, self.model, ContextOptions(**sizes))
        stack.callback(self.context.close)
        self.failures: list[str] = []
        self.scheduler = Scheduler(
            self.model,
            self.context,
            Metrics(),
            Batch(native, self.context.batch_tokens),
            state_budget=budget,
            on_failure=self.failures.append,
        )

    def request(self, prompt: list[int], *, max_tokens: int | None, **more: Any) -> Request:
        """A request made ready, its tokens chosen as the likeliest."""
        output = OutputParser(
            stops=(), starts_in_think=False, parse_think=False, parse_tool_calls=False
        )
        sampler = Sampler(self.native, self.model, SamplingOptions(temperature=0), None)
        generation = Generation(
            prompt, output, print, sampler, max_tokens=max_tokens, ignore_end=True,
            snapshot_positions=(len(prompt) - 1,), **more,
        )  # fmt: skip
        request = Request(generation)
        generation.deliver = request.deliver
        return request

    def submit(self, prompt: list[int], *, max_tokens: int | None = 1, **more: Any) -> Request:
        request = self.request(prompt, max_tokens=max_tokens, **more)
        self.scheduler.submit(request.generation)
        return request

    def serve(self, *requests: Request) -> None:
        """Step until all of them have ended."""
        for _ in range(20_000):
            if all(request.end is not None for request in requests):
                return
            self.scheduler.run_once()
        raise AssertionError("these requests never end")

    def ask(self, prompt: list[int], max_tokens: int = 1) -> Request:
        request = self.submit(prompt, max_tokens=max_tokens)
        self.serve(request)
        return request

    def check_accounts(self) -> None:
        """What the slots say they hold is what the library holds."""
        for slot in self.scheduler._slots:
            held = 0 if slot.parked is not None else len(slot.tokens)
            assert self.context.last_position(slot.number) == held - 1


@pytest.fixture
def bench(native: Native, path: Path) -> Iterator[Callable[..., Bench]]:
    with ExitStack() as stack:
        yield lambda **options: Bench(native, path, stack, **options)


def text(length: int, seed: int = 1) -> list[int]:
    """Some tokens; different seeds share none at the start."""
    return [(7 * number + 31 * seed) % 200 + 20 for number in range(length)]


def check_likeliest(bench: Callable[..., Bench], request: Request) -> None:
    """Each token of an answer is the likeliest after those before it, read afresh.

    Up to a rounding error: the order of cells in the cache is an order of summing.
    """
    one, prompt = bench(), request.generation.prompt
    whole = [*prompt, *request.generation.written]
    batch = Batch(one.native, 512)
    for start in range(0, len(whole) - 1, 512):
        part = whole[start : min(start + 512, len(whole) - 1)]
        batch.clear()
        batch.add(part, start, 0, last_logits=True)
        batch.want_all_logits()
        assert one.context.decode(batch) == 0
        for index in range(max(0, len(prompt) - 1 - start), len(part)):
            logits = one.context.logits(index)
            assert logits[whole[start + index + 1]] >= logits.max() - 0.02


def test_a_long_prompt_is_read_although_short_ones_never_end(bench: Callable[..., Bench]) -> None:
    one = bench(context_tokens=4096)
    long = one.submit(text(3000))
    shorts = 0

    def another() -> None:
        nonlocal shorts
        shorts += 1
        if long.end is None:
            short = one.request(text(64, seed=shorts + 2), max_tokens=1)
            short.on_end = another
            one.scheduler.submit(short.generation)

    for _ in range(3):
        another()
    one.serve(long)
    assert shorts < 600


def test_answers_that_outgrow_the_cache_together_take_turns_to_their_own_end(
    bench: Callable[..., Bench],
) -> None:
    one = bench(context_tokens=256)
    requests = [one.submit(text(60, seed=number), max_tokens=120) for number in range(3)]
    one.serve(*requests)
    for request in requests:
        assert len(request.tokens) == 120
        check_likeliest(bench, request)
    one.check_accounts()


def test_an_answer_ends_with_length_only_when_the_context_is_its_own(
    bench: Callable[..., Bench],
) -> None:
    one = bench(context_tokens=256)
    requests = [one.submit(text(100, seed=number), max_tokens=None) for number in range(2)]
    one.serve(*requests)
    for request in requests:
        assert isinstance(request.end, Done)
        assert request.end.finish_reason == "length"
        assert request.end.prompt_tokens + request.end.completion_tokens == 257


def test_a_paused_answer_can_be_given_up(bench: Callable[..., Bench]) -> None:
    one = bench(context_tokens=256)
    first, second = (one.submit(text(100, seed=number), max_tokens=None) for number in range(2))
    while all(slot.parked is None for slot in one.scheduler._slots):
        one.scheduler.run_once()
    one.scheduler.cancel(second.generation)
    one.serve(first)
    assert second.end is None
    assert one.ask(text(30, seed=9)).end is not None
    one.check_accounts()


def test_a_prompt_without_room_is_overtaken_but_not_for_ever(bench: Callable[..., Bench]) -> None:
    one = bench(context_tokens=512, parallel=4)
    busy = one.submit(text(100), max_tokens=380)
    big = one.submit(text(450, seed=2))
    order: list[str] = []
    big.on_end = lambda: order.append("big")
    shorts = [one.submit(text(20, seed=number + 3), max_tokens=2) for number in range(40)]
    for short in shorts:
        short.on_end = lambda: order.append("short")
    one.serve(busy, big, *shorts)
    assert 1 <= order.index("big") < 30
    one.check_accounts()


def test_a_state_in_use_is_never_given_up_for_another(bench: Callable[..., Bench]) -> None:
    first, second = text(150), text(150, seed=2)
    probe = bench(context_tokens=256, parallel=2)
    probe.ask(first)
    size = probe.context.sequence_bytes(0)
    if probe.model.facts.needs_snapshots:
        size += 2 * probe.context.recurrent_bytes(0)
    one = bench(context_tokens=256, parallel=2, state_budget=size + 1000)
    for _ in range(3):
        for prompt in (first, second):  # there is room for one of the two, here and aside
            assert isinstance(one.ask(prompt).end, Done)
            one.check_accounts()
    again = one.ask([*first, 33, 34], 8)
    assert len(again.tokens) == 8
    check_likeliest(bench, again)
    one.check_accounts()


def test_two_conversations_in_turn_keep_what_was_read(bench: Callable[..., Bench]) -> None:
    talks = [text(200, seed=1), text(200, seed=2), text(100, seed=3)]
    talks = [[5, 6, 7, 8, *talk] for talk in talks]  # a system prompt in common
    reused: list[int] = []
    one = bench(context_tokens=1024, parallel=3)
    for _ in range(3):
        for talk in talks:
            talk.extend([41, 42, 43])
            request = one.ask(list(talk))
            assert isinstance(request.end, Done)
            reused.append(request.end.timings["cache_n"])
            one.check_accounts()
    assert all(count > 90 for count in reused[3:])


def test_set_aside_and_brought_back_is_exactly_as_before(bench: Callable[..., Bench]) -> None:
    one = bench(context_tokens=512, parallel=2)
    prompt, more = text(200), text(40, seed=5)
    one.ask(prompt)
    slot = next(slot for slot in one.scheduler._slots if slot.tokens)

    def logits_of_more() -> Any:
        batch = Batch(one.native, 64)
        last = batch.add(more, len(prompt), slot.number, last_logits=True)
        assert one.context.decode(batch) == 0
        return one.context.logits(last).copy()

    memory = one.scheduler._memory
    assert memory.set_aside(slot)
    assert one.context.last_position(slot.number) == -1
    one.ask(text(150, seed=7))
    assert memory.bring_back(slot)
    brought_back = logits_of_more()
    fresh = bench(context_tokens=512, parallel=2)
    fresh.ask(prompt)
    batch = Batch(fresh.native, 64)
    slot = next(slot for slot in fresh.scheduler._slots if slot.tokens)
    last = batch.add(more, len(prompt), slot.number, last_logits=True)
    assert fresh.context.decode(batch) == 0
    assert abs(fresh.context.logits(last) - brought_back).max() == 0.0


def test_a_failed_computation_is_told_and_the_next_request_is_served(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench()
    codes = iter([-3])
    compute = one.context.decode
    monkeypatch.setattr(one.context, "decode", lambda batch: next(codes, None) or compute(batch))
    broken = one.ask(text(50))
    assert isinstance(broken.end, Broken)
    assert "-3" in broken.end.message
    check_likeliest(bench, one.ask(text(50), 5))
    one.check_accounts()


def test_a_scheduler_that_cannot_go_on_tells_everybody_and_takes_nobody(
    bench: Callable[..., Bench],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = bench(parallel=1)
    monkeypatch.setattr(one.context, "decode", lambda batch: [].pop())
    served, waiting = one.submit(text(50)), one.submit(text(60))
    one.scheduler._run()
    late = one.submit(text(70))
    for request in (served, waiting, late):
        assert isinstance(request.end, Broken)
        assert "IndexError" in request.end.message
    assert len(one.failures) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_goes_wrong_in_one_answer_leaves_the_others_alone(
    bench: Callable[..., Bench],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = bench()
    bad, good = one.submit(text(40), max_tokens=20), one.submit(text(40, seed=2), max_tokens=20)
    monkeypatch.setattr(bad.generation.output, "feed", lambda _piece: [].pop())
    one.serve(bad, good)
    assert isinstance(bad.end, Broken)
    assert len(good.tokens) == 20
    check_likeliest(bench, good)
    assert "IndexError" in capsys.readouterr().err


def test_a_request_cancelled_before_during_and_after_leaves_the_slots_free(
    bench: Callable[..., Bench],
) -> None:
    one = bench(parallel=1)
    before = one.request(text(40), max_tokens=5)
    one.scheduler.cancel(before.generation)
    one.scheduler.submit(before.generation)
    during = one.submit(text(300, seed=2), max_tokens=500)
    waiting = one.submit(text(30, seed=3))
    while not any(isinstance(event, Progress) for event in during.events):
        one.scheduler.run_once()
    one.scheduler.cancel(during.generation)
    one.scheduler.cancel(waiting.generation)
    after = one.ask(text(20, seed=4))
    one.scheduler.cancel(after.generation)
    assert one.ask(text(25, seed=5)).end is not None
    assert before.events == []
    assert waiting.events == []
    one.check_accounts()

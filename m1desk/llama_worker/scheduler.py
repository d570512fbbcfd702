"""Continuous batching: one thread that reads prompts in chunks and writes all answers in step.

Each step is one batch: one token of every answer being written, and a chunk of the prompts being
read. So a long prompt never stops another answer; it only shares the step with it. The shortest
remaining prompt goes first, so a question asked beside a long document is not kept waiting.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from m1desk.llama_worker.context import NO_KV_SPACE, Batch, Context
from m1desk.llama_worker.generation import (
    Broken,
    Delta,
    Done,
    FinishReason,
    Generation,
    Progress,
)
from m1desk.llama_worker.metrics import Metrics
from m1desk.llama_worker.model import Model
from m1desk.llama_worker.output import Piece, ToolCall
from m1desk.llama_worker.sampling import logprobs
from m1desk.llama_worker.sequence_memory import SequenceMemory
from m1desk.llama_worker.slots import Slot, choose_slot

_SHARED_STEP_SECONDS = 0.25
"""How long a prefill chunk may hold up answers being written beside it."""
_SMALLEST_CHUNK = 16


@dataclass(frozen=True, slots=True)
class _Run:
    """A slot's part of a batch: which tokens, and where its last one is."""

    slot: Slot
    generation: Generation
    tokens: list[int]
    index: int
    reads_prompt: bool
    ends_prompt: bool


class Scheduler:
    """Serves generations from the slots of one context, on a thread of its own."""

    def __init__(
        self,
        model: Model,
        context: Context,
        metrics: Metrics,
        batch: Batch,
        *,
        state_budget: int,
    ) -> None:
        """`state_budget` is the most memory (bytes) for states kept outside the KV cache."""
        self._model = model
        self._context = context
        self._metrics = metrics
        self._slots = [Slot(number) for number in range(context.parallel)]
        self._memory = SequenceMemory(
            context,
            self._slots,
            needs_snapshots=model.facts.needs_snapshots,
            budget=state_budget,
        )
        self._batch = batch
        self._arrivals: deque[Generation] = deque()
        self._waiting: deque[Generation] = deque()
        self._wake = threading.Condition()
        self._steps = 0
        self._prefill_speed = 0.0  # tokens/s, smoothed; 0.0 until measured
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        metrics.kv_tokens.set(context.context_tokens)

    def start(self) -> None:
        """Start serving, until the process ends."""
        self._thread.start()

    def submit(self, generation: Generation) -> None:
        """Queue a request; safe from any thread."""
        with self._wake:
            self._arrivals.append(generation)
            self._wake.notify()

    def cancel(self, generation: Generation) -> None:
        """Give a request up within one step; safe from any thread. Nothing more is delivered."""
        with self._wake:
            generation.cancelled = True
            self._wake.notify()

    # The scheduler's thread

    def _run(self) -> None:
        while True:
            self._wait_for_work()
            self._drop_cancelled()
            self._admit()
            self._step()
            self._report()

    def _wait_for_work(self) -> None:
        with self._wake:
            while not (self._arrivals or self._waiting or self._active()):
                self._wake.wait()
            self._waiting.extend(self._arrivals)
            self._arrivals.clear()

    def _active(self) -> list[tuple[Slot, Generation]]:
        return [(slot, slot.generation) for slot in self._slots if slot.generation is not None]

    def _drop_cancelled(self) -> None:
        for generation in [one for one in self._waiting if one.cancelled]:
            self._waiting.remove(generation)
            generation.sampler.close()
        for slot, generation in self._active():
            if generation.cancelled:
                self._release(slot, generation)

    def _report(self) -> None:
        self._metrics.requests_running.set(len(self._active()))
        self._metrics.requests_waiting.set(len(self._waiting))
        self._metrics.kv_tokens_used.set(self._memory.cells_used)
        self._metrics.saved_state_bytes.set(self._memory.saved_bytes)

    # Admission

    def _admit(self) -> None:
        while self._waiting and self._fits_beside_active(self._waiting[0]):
            generation = self._waiting[0]
            choice = self._choose_slot(generation)
            if choice is None:
                return
            self._waiting.popleft()
            self._begin(*choice, generation)

    def _choose_slot(self, generation: Generation) -> tuple[Slot, int] | None:
        if generation.reuse_prefix:
            return choose_slot(
                self._slots,
                generation.prompt,
                needs_snapshots=self._model.facts.needs_snapshots,
            )
        free = [slot for slot in self._slots if slot.is_free]
        return (min(free, key=lambda slot: slot.last_used), 0) if free else None

    def _fits_beside_active(self, generation: Generation) -> bool:
        """Whether its prompt and one more token fit beside what the active requests still need."""
        needed = sum(max(len(slot.tokens), len(one.prompt)) + 1 for slot, one in self._active())
        return needed + len(generation.prompt) + 1 <= self._context.context_tokens or not needed

    def _begin(self, slot: Slot, reuse: int, generation: Generation) -> None:
        reuse = self._memory.enter(slot, reuse)
        generation.read = generation.reused = reuse
        generation.started = time.perf_counter()
        slot.generation = generation
        self._metrics.reused_tokens.inc(reuse)
        generation.deliver(Progress(generation.prompt_progress()))

    # One step

    def _step(self) -> None:
        runs = self._fill_batch()
        if not runs:
            self._end_one_for_space()
            return
        began = time.perf_counter()
        code = self._context.decode(self._batch)
        if code == NO_KV_SPACE:
            self._end_one_for_space()
            return
        if code != 0:
            self._break(runs, code)
            return
        self._steps += 1
        for run in runs:
            self._account(run)
        self._learn_prefill_speed(runs, time.perf_counter() - began)
        for run in runs:
            if run.reads_prompt:
                run.generation.deliver(Progress(run.generation.prompt_progress()))
            if run.ends_prompt or not run.reads_prompt:
                self._write_token(run)

    def _fill_batch(self) -> list[_Run]:
        self._batch.clear()
        runs: list[_Run] = []
        writing = [pair for pair in self._active() if not pair[1].is_prefilling]
        for slot, generation in writing:
            if self._make_room(1):
                runs.append(self._add(slot, generation, [generation.written[-1]]))
        budget = min(self._chunk_tokens(beside=len(writing)), self._batch.room)
        reading = sorted(
            (pair for pair in self._active() if pair[1].is_prefilling),
            key=lambda pair: len(pair[1].prompt) - pair[1].read,
        )
        for slot, generation in reading:
            chunk = self._next_chunk(generation, budget)
            if chunk and self._make_room(len(chunk)):
                runs.append(self._add(slot, generation, chunk))
                budget -= len(chunk)
        return runs

    def _add(self, slot: Slot, generation: Generation, tokens: list[int]) -> _Run:
        reads_prompt = generation.is_prefilling
        ends_prompt = reads_prompt and generation.read + len(tokens) == len(generation.prompt)
        index = self._batch.add(
            tokens, len(slot.tokens), slot.number, last_logits=ends_prompt or not reads_prompt
        )
        return _Run(slot, generation, tokens, index, reads_prompt, ends_prompt)

    def _chunk_tokens(self, *, beside: int) -> int:
        full = self._context.ubatch_tokens
        if not beside or not self._prefill_speed:
            return full
        return max(_SMALLEST_CHUNK, min(full, int(self._prefill_speed * _SHARED_STEP_SECONDS)))

    def _next_chunk(self, generation: Generation, budget: int) -> list[int]:
        """The next tokens to read: up to the budget, and not across a snapshot position."""
        end = min(generation.read + budget, len(generation.prompt))
        if self._model.facts.needs_snapshots:
            ahead = (one for one in generation.snapshot_positions if one > generation.read)
            end = min(end, next(ahead, end))
        return generation.prompt[generation.read : end]

    def _make_room(self, wanted: int) -> bool:
        return self._memory.make_room(self._batch.size + wanted)

    def _end_one_for_space(self) -> None:
        """All wait for cells that only their own end can free: the youngest ends, as "length"."""
        active = self._active()
        if active:
            slot, generation = max(active, key=lambda pair: pair[1].started)
            if generation.is_prefilling and len(active) > 1:
                self._requeue(slot, generation)
            else:
                self._finish(slot, generation, "length")

    def _requeue(self, slot: Slot, generation: Generation) -> None:
        """Nothing was answered yet, so the request can wait and start over later, unharmed."""
        slot.generation = None
        self._memory.leave(slot)
        self._waiting.appendleft(generation)

    def _break(self, runs: list[_Run], code: int) -> None:
        for run in runs:
            run.generation.deliver(
                Broken(f"The engine failed while computing (code {code}). Its log says why.")
            )
            self._release(run.slot, run.generation)
            self._memory.forget(run.slot)

    def _account(self, run: _Run) -> None:
        slot, generation = run.slot, run.generation
        slot.tokens.extend(run.tokens)
        if not run.reads_prompt:
            return
        generation.read += len(run.tokens)
        self._metrics.prompt_tokens.inc(len(run.tokens))
        generation.prefill_seconds = time.perf_counter() - generation.started
        if generation.read in generation.snapshot_positions:
            self._memory.take_snapshot(slot)

    def _learn_prefill_speed(self, runs: list[_Run], seconds: float) -> None:
        read = sum(len(run.tokens) for run in runs)
        if read >= _SMALLEST_CHUNK and seconds > 0:
            speed = read / seconds
            old = self._prefill_speed or speed
            self._prefill_speed = 0.7 * old + 0.3 * speed

    # Answers

    def _write_token(self, run: _Run) -> None:
        generation, slot = run.generation, run.slot
        token = generation.sampler.sample(self._context, run.index)
        chances = None
        if generation.logprobs is not None:
            chances = logprobs(self._context.logits(run.index), token, generation.logprobs)
        if not generation.written:
            generation.decode_started = time.perf_counter()
        generation.written.append(token)
        self._metrics.generated_tokens.inc()
        if self._model.is_end(token) and not generation.ignore_end:
            self._finish(slot, generation, "stop")
            return
        pieces = tuple(generation.output.feed(self._model.visible_piece(token)))
        self._note_tool_calls(generation, pieces)
        generation.deliver(Delta(pieces, token, chances))
        if generation.output.stopped_by is not None:
            self._finish(slot, generation, "stop")
        elif self._is_at_its_end(slot, generation):
            self._finish(slot, generation, "length")

    def _is_at_its_end(self, slot: Slot, generation: Generation) -> bool:
        """Whether as many tokens as asked for are written, or the context is full."""
        most = generation.max_tokens
        asked = most is not None and len(generation.written) >= most
        return asked or len(slot.tokens) >= self._context.context_tokens

    @staticmethod
    def _note_tool_calls(generation: Generation, pieces: tuple[Piece, ...]) -> None:
        if any(isinstance(piece, ToolCall) for piece in pieces):
            generation.made_tool_calls = True

    def _finish(self, slot: Slot, generation: Generation, reason: FinishReason) -> None:
        pieces = tuple(generation.output.finish())
        self._note_tool_calls(generation, pieces)
        if reason == "stop" and generation.made_tool_calls:
            reason = "tool_calls"
        done = Done(
            pieces=pieces,
            finish_reason=reason,
            prompt_tokens=len(generation.prompt),
            completion_tokens=len(generation.written),
            timings=generation.timings(),
        )
        self._release(slot, generation)
        generation.deliver(done)

    def _release(self, slot: Slot, generation: Generation) -> None:
        """End a request's hold on its slot; what the slot has read stays for the next prompt."""
        generation.sampler.close()
        slot.generation = None
        slot.last_used = self._steps
        self._memory.leave(slot)

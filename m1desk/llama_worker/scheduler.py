"""Continuous batching: one thread that reads prompts in chunks and writes all answers in step.

Each step is one batch: one token of every answer being written, and a chunk of the prompts being
read. So a long prompt never stops another answer; it only shares the step with it. The shortest
remaining prompt goes first, so a question asked beside a long document is not kept waiting; now
and then the oldest does, so that questions without end can't keep the document waiting either.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
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
from m1desk.llama_worker.intake import Intake
from m1desk.llama_worker.metrics import Metrics
from m1desk.llama_worker.model import Model
from m1desk.llama_worker.output import Piece, ToolCall
from m1desk.llama_worker.prepared_saver import Preparation, StateSaver
from m1desk.llama_worker.sampling import SamplingError, logprobs
from m1desk.llama_worker.sequence_memory import SequenceMemory
from m1desk.llama_worker.slots import Slot
from m1desk.llama_worker.waiting import WaitingLine

_SHARED_STEP_SECONDS = 0.25
"""How long a prefill chunk may hold up answers being written beside it."""
_STEP_SECONDS = 4.0
"""How long a prefill chunk may take when nothing is being written: a new question and a client
that leaves wait for its end."""
_SMALLEST_CHUNK = 16
_OLDEST_FIRST_EVERY = 4
"""In one of so many steps the oldest prompt is read before the shortest."""
_RESUMING_TOKENS = 64
"""Room that a paused answer must find beside its own state, so that it gets somewhere."""


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
        on_failure: Callable[[str], None],
        saver: StateSaver | None = None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            model: what is served.
            context: what computes; from now on it belongs to the scheduler's thread.
            metrics: what is counted.
            batch: for the steps.
            state_budget: the most memory (bytes) for states kept outside the KV cache.
            on_failure: called once, on the scheduler's thread, if it can't go on, with what
                happened; every request has been told by then.
            saver: for preparations; without it there must be none.
        """
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
        self._on_failure = on_failure
        self._saver = saver
        self._intake = Intake()
        self._waiting = WaitingLine(
            self._slots,
            context_tokens=context.context_tokens,
            needs_snapshots=model.facts.needs_snapshots,
        )
        self._steps = 0
        self._prefill_speed = 0.0  # tokens/s, smoothed; 0.0 until measured
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        metrics.kv_tokens.set(context.context_tokens)

    def start(self) -> None:
        """Start serving, until the process ends."""
        self._thread.start()

    def submit(self, generation: Generation) -> None:
        """Queue a request; safe from any thread."""
        self._intake.submit(generation)

    def cancel(self, generation: Generation) -> None:
        """Give a request up within one step; safe from any thread. Nothing more is delivered."""
        self._intake.cancel(generation)

    # The scheduler's thread

    def _run(self) -> None:
        try:
            while True:
                self.run_once()
        except Exception as error:  # noqa: BLE001 - a silent end would leave everybody waiting
            traceback.print_exc(file=sys.stderr)
            self._fail(f"{type(error).__name__}: {error}")

    def run_once(self) -> None:
        """One step of the scheduler's thread; waits when there is nothing to do."""
        self._waiting.extend(self._intake.take())
        self._drop_cancelled()
        self._resume()
        while (found := self._waiting.take_next()) is not None:
            self._begin(*found)
        going_on = [pair for pair in self._running() if not pair[1].waits_for_disk]
        if going_on:
            self._step(going_on)
        self._report()
        if not going_on:
            self._rest()

    def _fail(self, detail: str) -> None:
        """Tell everybody that there will be no answers any more."""
        message = f"The engine can't go on ({detail}). Load the model again."
        arrived = self._intake.close(message)
        active = [generation for _, generation in self._active()]
        for generation in [*active, *self._waiting, *arrived]:
            generation.deliver(Broken(message))
        self._on_failure(detail)

    def _active(self) -> list[tuple[Slot, Generation]]:
        return [(slot, slot.generation) for slot in self._slots if slot.generation is not None]

    def _running(self) -> list[tuple[Slot, Generation]]:
        """The active ones that do not pause."""
        return [pair for pair in self._active() if pair[0].is_running]

    def _drop_cancelled(self) -> None:
        self._waiting.drop_cancelled()
        for slot, generation in self._active():
            if generation.cancelled:
                self._release(slot, generation)

    def _rest(self) -> None:
        """Sleep until a request arrives or is given up, or what is waited for is on the disk."""
        for _, generation in self._running():
            if generation.preparation is not None:
                generation.preparation.call_when_saved(self._intake.wake)
        self._intake.wait()

    def _report(self) -> None:
        self._metrics.requests_running.set(len(self._active()))
        self._metrics.requests_waiting.set(len(self._waiting))
        self._metrics.kv_tokens_used.set(self._memory.cells_used)
        self._metrics.saved_state_bytes.set(self._memory.saved_bytes)

    def _resume(self) -> None:
        """Go on with paused answers, the oldest first, as far as there is room."""
        paused = [pair for pair in self._active() if not pair[0].is_running]
        for slot, generation in sorted(paused, key=lambda pair: pair[1].started):
            needed = sum(one.cells_needed for one, _ in self._running())
            room = self._context.context_tokens - needed
            if needed and len(slot.tokens) + _RESUMING_TOKENS > room:
                return
            if not self._memory.bring_back(slot) and slot.parked is None:
                self._memory.forget(slot)
                self._give_up(slot, generation, "The engine lost the state of this answer.")

    def _begin(self, generation: Generation, slot: Slot, reuse: int) -> None:
        slot.generation = generation  # first: what the slot remembers is in use from here on
        generation.started = time.perf_counter()
        reuse = self._enter(generation, slot, reuse)
        generation.read = generation.reused = reuse
        if generation.preparation is not None:
            saved = generation.saved
            generation.preparation.begin(min(reuse, saved.count) if saved else 0)
        generation.computed = 0  # if it starts over, what the slot still holds counts as reused
        self._metrics.reused_tokens.inc(reuse)
        generation.deliver(Progress(generation.prompt_progress()))

    def _enter(self, generation: Generation, slot: Slot, reuse: int) -> int:
        """Bring a slot as far into the prompt as what it holds, or a saved state, reaches."""
        saved, position = generation.saved, 0
        # it may have waited long since it was verified, and a damaged file may end the process
        changed = saved is not None and not saved.is_unchanged()
        if saved is None or changed or saved.count <= reuse:
            position = self._memory.enter(slot, reuse)
        if saved is None:
            return position
        in_memory = position >= saved.count
        if not in_memory and not changed:
            position = self._memory.enter_saved(slot, saved)
        generation.note_saved_state(position, in_memory=in_memory, changed=changed)
        return position

    # One step

    def _step(self, going_on: list[tuple[Slot, Generation]]) -> None:
        runs = self._fill_batch(going_on)
        if not runs:
            self._free_space()
            return
        began = time.perf_counter()
        code = self._context.decode(self._batch)
        if code == NO_KV_SPACE:
            self._free_space()
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
            if run.generation.preparation is not None:
                self._save(run, run.generation.preparation)
            elif run.ends_prompt or not run.reads_prompt:
                self._write_or_give_up(run)

    def _fill_batch(self, going_on: list[tuple[Slot, Generation]]) -> list[_Run]:
        self._batch.clear()
        runs: list[_Run] = []
        writing = [pair for pair in going_on if not pair[1].is_prefilling]
        for slot, generation in writing:
            if self._make_room(1):
                runs.append(self._add(slot, generation, [generation.written[-1]]))
        budget = min(self._chunk_tokens(beside=len(writing)), self._batch.room)
        reading = [pair for pair in going_on if pair[1].is_prefilling]
        for slot, generation in self._in_reading_order(reading):
            chunk = self._next_chunk(generation, budget)
            if chunk and self._make_room(len(chunk)):
                runs.append(self._add(slot, generation, chunk))
                budget -= len(chunk)
        return runs

    def _in_reading_order(
        self, reading: list[tuple[Slot, Generation]]
    ) -> list[tuple[Slot, Generation]]:
        if self._steps % _OLDEST_FIRST_EVERY == 0:
            return sorted(reading, key=lambda pair: pair[1].started)
        return sorted(reading, key=lambda pair: len(pair[1].prompt) - pair[1].read)

    def _add(self, slot: Slot, generation: Generation, tokens: list[int]) -> _Run:
        reads_prompt = generation.is_prefilling
        ends_prompt = reads_prompt and generation.read + len(tokens) == len(generation.prompt)
        index = self._batch.add(
            tokens, len(slot.tokens), slot.number, last_logits=ends_prompt or not reads_prompt
        )
        return _Run(slot, generation, tokens, index, reads_prompt, ends_prompt)

    def _chunk_tokens(self, *, beside: int) -> int:
        full = self._context.ubatch_tokens
        if not self._prefill_speed:
            return full
        seconds = _SHARED_STEP_SECONDS if beside else _STEP_SECONDS
        return max(_SMALLEST_CHUNK, min(full, int(self._prefill_speed * seconds)))

    def _next_chunk(self, generation: Generation, budget: int) -> list[int]:
        """The next tokens to read: up to the budget, and not across a snapshot position."""
        end = min(generation.read + budget, len(generation.prompt))
        if self._model.facts.needs_snapshots:
            ahead = (one for one in generation.snapshot_positions if one > generation.read)
            end = min(end, next(ahead, end))
        return generation.prompt[generation.read : end]

    def _make_room(self, wanted: int) -> bool:
        return self._memory.make_room(self._batch.size + wanted)

    def _free_space(self) -> None:
        """All wait for cells that only others could free: the youngest gives way for a while."""
        running = self._running()
        if not running:
            return
        slot, generation = max(running, key=lambda pair: pair[1].started)
        if len(running) > 1 and generation.is_prefilling:
            self._requeue(slot, generation)
        elif len(running) == 1 or not self._memory.set_aside(slot):
            self._finish(slot, generation, "length")

    def _requeue(self, slot: Slot, generation: Generation) -> None:
        """Nothing was answered yet, so the request can wait and start over later, unharmed."""
        slot.generation = None
        self._memory.leave(slot)
        self._waiting.put_back(generation)

    def _break(self, runs: list[_Run], code: int) -> None:
        for run in runs:
            self._memory.forget(run.slot)
            message = f"The engine failed while computing (code {code}). Its log says why."
            self._give_up(run.slot, run.generation, message)

    def _give_up(self, slot: Slot, generation: Generation, message: str) -> None:
        self._release(slot, generation)
        generation.deliver(Broken(message))

    def _account(self, run: _Run) -> None:
        slot, generation = run.slot, run.generation
        slot.tokens.extend(run.tokens)
        if not run.reads_prompt:
            return
        generation.read += len(run.tokens)
        generation.computed += len(run.tokens)
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

    def _save(self, run: _Run, preparation: Preparation) -> None:
        """Keep what a preparation has read; at its end nothing is written after it."""
        if self._saver is not None:
            self._saver.note_progress(run.slot, run.generation, preparation)
        if run.ends_prompt:
            self._finish(run.slot, run.generation, "stop")

    # Answers

    def _write_or_give_up(self, run: _Run) -> None:
        """Write a token; what goes wrong in one answer does not concern the others."""
        try:
            self._write_token(run)
        except SamplingError as error:
            self._give_up(run.slot, run.generation, str(error))
        except Exception as error:  # noqa: BLE001 - any bug in one answer's text or grammar
            traceback.print_exc(file=sys.stderr)
            message = f"The worker failed on this answer: {type(error).__name__}."
            self._give_up(run.slot, run.generation, message)

    def _write_token(self, run: _Run) -> None:
        generation, slot = run.generation, run.slot
        token = self._next_token(generation, run.index)
        chances = None
        if generation.logprobs is not None:
            chances = logprobs(self._context.logits(run.index), token, generation.logprobs)
        if not generation.written:
            generation.decode_started = time.perf_counter()
        generation.written.append(token)
        self._metrics.generated_tokens.inc()
        # a grammar that is complete allows the end and nothing else, whatever was asked for
        ends = self._model.is_end(token)
        if ends and not (generation.ignore_end and not generation.sampler.has_grammar):
            self._finish(slot, generation, "stop")
            return
        pieces = tuple(generation.output.feed(self._model.visible_piece(token)))
        self._note_tool_calls(generation, pieces)
        generation.deliver(Delta(pieces, token, chances))
        if generation.output.stopped_by is not None:
            self._finish(slot, generation, "stop")
        elif self._is_at_its_end(slot, generation):
            self._finish(slot, generation, "length")

    def _next_token(self, generation: Generation, index: int) -> int:
        thinking = generation.thinking
        forced = None if thinking is None else thinking.next_token(generation.output)
        if forced is None:
            return generation.sampler.sample(self._context, index)
        generation.sampler.observe([forced])
        return forced

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
            prepared=generation.prepared,
        )
        self._release(slot, generation)
        generation.deliver(done)

    def _release(self, slot: Slot, generation: Generation) -> None:
        """End a request's hold on its slot; what the slot has read stays for the next prompt."""
        generation.sampler.close()
        slot.generation = None
        slot.last_used = self._steps
        self._memory.leave(slot)

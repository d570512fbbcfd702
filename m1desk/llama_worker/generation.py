"""One request on its way through the engine, and what it sends to whoever asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from m1desk.llama_worker.output import OutputParser, Piece
from m1desk.llama_worker.sampling import Sampler, TokenLogprobs
from m1desk.llama_worker.states import SavedState
from m1desk.llama_worker.thinking import ThinkingBudget
from m1desk.wire import PreparedUse, PromptProgress, Timings

if TYPE_CHECKING:
    from m1desk.llama_worker.prepared_saver import Preparation

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The prompt is being read."""

    progress: PromptProgress


@dataclass(frozen=True, slots=True)
class Delta:
    """One more token: the pieces of text it completed (often one), and its probability."""

    pieces: tuple[Piece, ...]
    token: int
    logprobs: TokenLogprobs | None


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete. `pieces` are what was held back to the end."""

    pieces: tuple[Piece, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    timings: Timings
    prepared: PreparedUse | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The engine could not go on with this request; `message` is for the user."""

    message: str


Event = Progress | Delta | Done | Broken


@dataclass(slots=True, eq=False)
class Generation:
    """A request as the scheduler works on it.

    Attributes:
        prompt: token ids.
        deliver: called on the scheduler's thread for every event; must not block.
        max_tokens: most tokens to write, or None for as many as the context holds.
        snapshot_positions: where a later prompt is likely to part from this one, ascending.
        logprobs: None, or how many alternatives to report with each token.
        read: prompt tokens in the slot's memory, the reused ones included.
        reused: those that the slot, or a saved state, held when reading began.
        computed: those put through the engine since; counted batch by batch, so that a client can
            check that nothing of its prompt was left out.
        overtaken: how many later requests began while this one waited for room.
        saved: a verified state of the prompt's beginning, until it has been used.
        prepared: what became of the saved state that was asked for.
        preparation: set when the prompt is read to be saved, and not to be answered.
        thinking: limits its thinking; None for as long as the model likes.
    """

    prompt: list[int]
    output: OutputParser
    deliver: Callable[[Event], None]
    sampler: Sampler
    max_tokens: int | None = None
    logprobs: int | None = None
    ignore_end: bool = False
    reuse_prefix: bool = True
    snapshot_positions: tuple[int, ...] = ()
    cancelled: bool = False
    overtaken: int = 0
    read: int = 0
    reused: int = 0
    computed: int = 0
    written: list[int] = field(default_factory=list)
    started: float = 0.0
    prefill_seconds: float = 0.0
    decode_started: float = 0.0
    made_tool_calls: bool = False
    saved: SavedState | None = None
    prepared: PreparedUse | None = None
    preparation: Preparation | None = None
    thinking: ThinkingBudget | None = None

    @property
    def is_prefilling(self) -> bool:
        """Whether part of the prompt is still to be read."""
        return self.read < len(self.prompt)

    @property
    def waits_for_disk(self) -> bool:
        """Whether its prompt is read no further until a state of it is on the disk."""
        return self.preparation is not None and self.preparation.must_wait(self.read)

    def note_saved_state(self, position: int, *, in_memory: bool, changed: bool) -> None:
        """Say what became of the saved state now that reading begins at `position`.

        `changed`: its file is not the one that was verified, and was left alone.
        """
        saved = self.saved
        if saved is None:
            return
        self.prepared = PreparedUse(name=saved.name, used=True, reason="restored", message="")
        if in_memory:
            self.prepared["reason"] = "in_memory"
        elif changed:
            self.prepared |= {
                "used": False,
                "reason": "damaged",
                "message": "Its state file was changed after it had been checked.",
            }
        elif position < saved.count:
            self.prepared |= {
                "used": False,
                "reason": "load_failed",
                "message": "The engine could not take it back.",
            }

    def timings(self) -> Timings:
        """What was read and written so far, and how fast (by this process's clock)."""
        prompt_n = self.computed
        prompt_seconds = self.prefill_seconds
        decoded = max(len(self.written) - 1, 0)  # the first token is the prefill's
        decode_seconds = time.perf_counter() - self.decode_started if self.decode_started else 0.0
        return Timings(
            cache_n=self.reused,
            prompt_n=prompt_n,
            prompt_ms=prompt_seconds * 1000,
            prompt_per_second=prompt_n / prompt_seconds if prompt_seconds else 0.0,
            predicted_n=len(self.written),
            predicted_ms=decode_seconds * 1000,
            predicted_per_second=decoded / decode_seconds if decode_seconds and decoded else 0.0,
        )

    def prompt_progress(self) -> PromptProgress:
        """How far the prefill is."""
        return PromptProgress(
            total=len(self.prompt),
            cache=self.reused,
            processed=self.read,
            time_ms=round((time.perf_counter() - self.started) * 1000),
        )

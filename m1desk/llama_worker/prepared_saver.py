"""Saving a prompt's state while it is read: when a checkpoint is due, writing it, making it valid.

The engine writes the file on the scheduler's thread, between two steps, since nobody else may use
the context. All that follows (onto the disk, digest, manifest) goes on beside the next steps; the
reading waits for it only when it would get further ahead of the disk than a crash may cost.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from m1desk.llama_worker.context import Context
from m1desk.llama_worker.native import NativeLog
from m1desk.llama_worker.prepared_plan import CheckpointPlan, Mark
from m1desk.llama_worker.slots import Slot
from m1desk.llama_worker.states import Draft, SavedState, StateStore
from m1desk.llama_worker.states_digest import Abandoned
from m1desk.llama_worker.states_manifest import StateRefused
from m1desk.wire import PreparedReason, StateRefusal, StateSaved

if TYPE_CHECKING:
    from m1desk.llama_worker.generation import Generation

_FULL: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
"""No room on the disk, or none that this process or this user may take."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The state up to here is on disk; `complete` when it is that of the whole prompt."""

    state: StateSaved
    complete: bool


@dataclass(frozen=True, slots=True)
class NotSaved:
    """A state could not be saved; the one of before is still valid."""

    refusal: StateRefusal
    complete: bool


@dataclass(slots=True, eq=False)
class Preparation:
    """A prompt on its way into a file. Owned by the scheduler's thread.

    Attributes:
        tell: hears what was saved, from any thread; must not block.
        taken: where the last state was taken, or the reading began.
        on_disk: where the last state that is valid was taken, or the reading began; moved on by
            the saver's own thread.
        draft: the last state that was written.
        pending: the work of making it valid.
    """

    name: str
    plan: CheckpointPlan
    tell: Callable[[Saved | NotSaved], None]
    taken: Mark = field(default_factory=Mark)
    on_disk: Mark = field(default_factory=Mark)
    draft: Draft | None = None
    pending: Future[None] | None = None

    def begin(self, tokens: int) -> None:
        """Reading begins, or begins again, behind a saved state of `tokens` tokens."""
        self.taken = self.on_disk = Mark(tokens)

    def is_due(self, tokens: int) -> bool:
        """Whether a checkpoint is worth its cost after `tokens` tokens."""
        return not self._is_saving and self.plan.is_half_over(self.taken, Mark(tokens))

    def must_wait(self, tokens: int) -> bool:
        """Whether reading on after `tokens` tokens would put more than an interval at risk."""
        return self._is_saving and self.plan.is_over(self.on_disk, Mark(tokens))

    def call_when_saved(self, call: Callable[[], None]) -> None:
        """Call, on any thread, once nothing is being saved any more: now, if nothing is."""
        if self.pending is None:
            call()
        else:
            self.pending.add_done_callback(lambda _: call())

    @property
    def _is_saving(self) -> bool:
        return self.pending is not None and not self.pending.done()


class StateSaver:
    """Writes the states of preparations. Owned by the scheduler's thread."""

    def __init__(self, context: Context, store: StateStore, log: NativeLog) -> None:
        """`log` says why the library could not write."""
        self._context = context
        self._store = store
        self._log = log
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="states")

    def note_progress(self, slot: Slot, generation: Generation, preparation: Preparation) -> None:
        """More of the prompt was read: save it when it is whole, or a checkpoint is due."""
        if generation.cancelled:
            return
        complete = not generation.is_prefilling
        if not complete and not preparation.is_due(generation.read):
            return
        if complete and preparation.draft is not None:
            preparation.draft.abandoned.set()  # soon outdone: its room on the disk is needed
        draft = None
        try:
            draft = self._write(slot, generation, preparation.name, complete=complete)
        except Abandoned:
            return
        except Exception as error:  # noqa: BLE001 - a failed save is no reason to end other answers
            preparation.tell(_not_saved(error, complete=complete))
        taken = Mark(generation.read)
        preparation.taken = taken  # also after a failure: it is not tried again at once
        if draft is not None:
            preparation.draft = draft
            preparation.pending = self._pool.submit(
                self._commit, draft, taken, generation, preparation
            )

    def wait(self) -> None:
        """Return when all that was written so far is valid, or given up."""
        self._pool.submit(lambda: None).result()

    def close(self) -> None:
        """Finish what is under way and end the saver's thread."""
        self._pool.shutdown()

    def _write(self, slot: Slot, generation: Generation, name: str, *, complete: bool) -> Draft:
        """Have the engine write a state file.

        Raises:
            Abandoned: the preparation was cancelled.
            OSError: the disk is full or fails, in the engine's words or the system's.
        """
        size = self._context.sequence_bytes(slot.number) + 4 * len(slot.tokens)
        free = self._store.free_bytes()
        if size > free:
            raise OSError(
                errno.ENOSPC, f"it takes {size:,} bytes, and {free:,} are free on that disk"
            )
        path = self._store.new_file(name)
        if generation.cancelled:  # and maybe the name deleted, before there was this file to stop
            self._store.discard(path)
            raise Abandoned
        tokens = np.asarray(slot.tokens, dtype=np.int32)
        self._log.clear()
        written = self._context.save_file(slot.number, path, tokens)
        if not written or path.stat().st_size != written:
            self._store.discard(path)
            said = self._log.complaints()
            raise OSError(_cause(said), said or "the file is shorter than what was written")
        return Draft(name, path, tokens, complete)

    def _commit(
        self, draft: Draft, taken: Mark, generation: Generation, preparation: Preparation
    ) -> None:
        """Make a state that was `taken` valid; on the saver's own thread."""
        try:
            manifest = self._store.commit(draft)
        except Abandoned:  # a checkpoint outdone by the whole, or all of it deleted: nobody waits
            return
        except Exception as error:  # noqa: BLE001 - a silent end would leave the client waiting
            preparation.tell(_not_saved(error, complete=draft.complete))
        else:
            preparation.on_disk = taken
            # if it has to start over, then from here; and what this replaced can be removed
            generation.saved = None if draft.complete else self._newest(draft.name)
            state = StateSaved(tokens=manifest.tokens, bytes=manifest.size)
            preparation.tell(Saved(state, draft.complete))

    def _newest(self, name: str) -> SavedState | None:
        try:
            return self._store.open(name)
        except StateRefused:  # deleted a moment ago
            return None


def _cause(said: str) -> int:
    """The system's error number behind the library's words."""
    return next((code for code in _FULL if os.strerror(code) in said), errno.EIO)


def _not_saved(error: Exception, *, complete: bool) -> NotSaved:
    """Put a failed save into words; what is no fault of a disk is a bug, and goes to the log."""
    reason: PreparedReason = "not_saved"
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError):
        reason = "disk_full" if error.errno in _FULL else reason
        why = error.strerror or str(error)
    else:
        traceback.print_exception(error, file=sys.stderr)
    return NotSaved(
        StateRefusal(reason=reason, message=f"The state could not be saved: {why}."), complete
    )

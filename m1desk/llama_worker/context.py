"""A computing context over a model: batches in, logits out, and the memory of each sequence."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from m1desk.llama_worker.model import LoadError, Model, failure_reason
from m1desk.llama_worker.native import Native

KV_TYPES: Final = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8}
"""Types of the KV cache by llama.cpp's names, and ggml's numbers for them."""

NO_KV_SPACE: Final = 1
"""`Context.decode` could not place the batch in the KV cache; nothing was changed."""


_LEAST_BATCH_TOKENS: Final = 512


def batch_tokens(ubatch_tokens: int) -> int:
    """The most tokens of one `decode` call where `ubatch_tokens` are computed at once: never fewer.

    At least 512, so that many answers find room beside a prompt.
    """
    return max(ubatch_tokens, _LEAST_BATCH_TOKENS)


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """Sizes and settings of a context.

    Attributes:
        context_tokens: cells of the KV cache (tokens), shared by all sequences.
        parallel: number of sequences.
        batch_tokens: most tokens of one `decode` call.
        ubatch_tokens: tokens computed at once; the compute buffer grows with it.
        outputs: most rows of logits of one `decode` call, at least `parallel`; 0: one for each
            token. The compute buffer has room for as many, so few of them save much memory.
    """

    context_tokens: int
    parallel: int = 1
    batch_tokens: int = 2048
    ubatch_tokens: int = 512
    threads: int = 1
    threads_batch: int = 1
    flash_attention: bool = True
    kv_type: str = "f16"
    outputs: int = 0


class Batch:
    """Tokens of one or several sequences for one `decode` call, in arrays the library reads."""

    def __init__(self, native: Native, capacity: int) -> None:
        self._tokens = np.zeros(capacity, dtype=np.int32)
        self._positions = np.zeros(capacity, dtype=np.int32)
        self._sequences = np.zeros(capacity, dtype=np.int32)
        self._wanted = np.zeros(capacity, dtype=np.int8)
        self._counts = np.ones(capacity, dtype=np.int32)
        # the library wants a pointer to each token's list of sequences: one sequence each, so
        # the pointers walk through one array
        base = self._sequences.ctypes.data
        self._pointers = (base + 4 * np.arange(capacity)).astype(np.uintp)
        self.capacity = capacity
        self.size = 0
        lib = native.lib
        self.native = lib.llama_batch()
        int32_pointer = ctypes.POINTER(ctypes.c_int32)
        self.native.token = self._tokens.ctypes.data_as(int32_pointer)
        self.native.pos = self._positions.ctypes.data_as(int32_pointer)
        self.native.n_seq_id = self._counts.ctypes.data_as(int32_pointer)
        self.native.seq_id = self._pointers.ctypes.data_as(ctypes.POINTER(int32_pointer))
        self.native.logits = self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))

    @property
    def room(self) -> int:
        """How many more tokens fit."""
        return self.capacity - self.size

    def clear(self) -> None:
        """Start over."""
        self.size = 0

    def add(self, tokens: list[int], position: int, sequence: int, *, last_logits: bool) -> int:
        """Append a run of one sequence's tokens; returns the index of the run's last token."""
        start, end = self.size, self.size + len(tokens)
        self._tokens[start:end] = tokens
        self._positions[start:end] = np.arange(position, position + len(tokens))
        self._sequences[start:end] = sequence
        self._wanted[start:end] = 0
        self._wanted[end - 1] = last_logits
        self.size = end
        return end - 1

    def want_all_logits(self) -> None:
        """Ask for logits at every position (for evaluation, not for chat)."""
        self._wanted[: self.size] = 1


class Context:
    """A context of a model. Used from one thread at a time."""

    def __init__(self, native: Native, model: Model, options: ContextOptions) -> None:
        """Allocate the KV cache and compute buffers.

        Raises:
            LoadError: memory is short, or the settings contradict each other.
        """
        lib = native.lib
        self._lib = lib
        self._model = model
        self.native = native
        native.log.clear()
        params = lib.llama_context_default_params()
        params.n_ctx = options.context_tokens
        params.n_batch = options.batch_tokens
        params.n_ubatch = min(options.ubatch_tokens, options.batch_tokens)
        params.n_seq_max = options.parallel
        params.n_outputs_max = options.outputs
        params.n_threads = options.threads
        params.n_threads_batch = options.threads_batch
        params.flash_attn_type = 1 if options.flash_attention else 0
        params.type_k = params.type_v = KV_TYPES[options.kv_type]
        # one pool of cells: a single conversation may use the whole context asked for
        params.kv_unified = True
        # a full-size cache lets any prefix of a sliding-window model be reused exactly
        params.swa_full = True
        params.no_perf = True
        self.handle = lib.llama_init_from_model(model.handle, params)
        if not self.handle:
            detail = native.log.complaints() or "the library gave no reason"
            raise LoadError(failure_reason(detail, "bad_settings"), detail)
        self._memory = lib.llama_get_memory(self.handle)
        self.context_tokens = int(lib.llama_n_ctx(self.handle))
        self.batch_tokens = int(lib.llama_n_batch(self.handle))
        self.ubatch_tokens = int(lib.llama_n_ubatch(self.handle))
        self.parallel = options.parallel
        self._vocabulary = model.facts.vocabulary

    def decode(self, batch: Batch) -> int:
        """Compute a batch; 0 when done, `NO_KV_SPACE`, or another of the library's codes."""
        batch.native.n_tokens = batch.size
        code = int(self._lib.llama_decode(self.handle, batch.native))
        # a GPU goes on computing after the call: without waiting, times would mean nothing
        self._lib.llama_synchronize(self.handle)
        return code

    def logits(self, index: int) -> npt.NDArray[np.float32]:
        """Logits after the batch's token `index`, shape (vocabulary,), until the next decode."""
        pointer = self._lib.llama_get_logits_ith(self.handle, index)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))

    def forget(self, sequence: int, start: int = 0) -> bool:
        """Drop a sequence's tokens from `start` on; False if its memory can't be cut there."""
        return bool(self._lib.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def sequence_bytes(self, sequence: int) -> int:
        """The size of a sequence's whole state (bytes)."""
        return int(self._lib.llama_state_seq_get_size_ext(self.handle, sequence, 0))

    def save_sequence(self, sequence: int) -> bytes:
        """The whole state of a sequence."""
        return self._save(sequence, 0)

    def restore_sequence(self, sequence: int, data: bytes) -> bool:
        """Put back what `save_sequence` gave into an empty sequence; False if it is refused."""
        return self._restore(sequence, data, 0)

    def recurrent_bytes(self, sequence: int) -> int:
        """The size of what `save_recurrent` gives (bytes)."""
        flags = self._lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
        return int(self._lib.llama_state_seq_get_size_ext(self.handle, sequence, flags))

    def last_position(self, sequence: int) -> int:
        """The position of a sequence's last token; -1 when it is empty."""
        return int(self._lib.llama_memory_seq_pos_max(self._memory, sequence))

    def save_recurrent(self, sequence: int) -> bytes:
        """The recurrent part of a sequence's state as it is now, without its KV cells."""
        return self._save(sequence, self._lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY)

    def save_file(self, sequence: int, path: Path, tokens: npt.NDArray[np.int32]) -> int:
        """Write a sequence's whole state, with its tokens before it; bytes written, 0 if it failed.

        What the library had left in its buffer is lost unsaid on a full disk: check the size.
        """
        pointer = tokens.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        return int(
            self._lib.llama_state_seq_save_file(
                self.handle, os.fsencode(path), sequence, pointer, len(tokens)
            )
        )

    def load_file(self, sequence: int, path: Path, count: int) -> bool:
        """Put back what `save_file` wrote of `count` tokens into an empty sequence.

        False if the library refuses it. A damaged file may end the process: check it before.
        """
        tokens = (ctypes.c_int32 * count)()
        found = ctypes.c_size_t()
        read = self._lib.llama_state_seq_load_file(
            self.handle, os.fsencode(path), sequence, tokens, count, ctypes.byref(found)
        )
        return bool(read) and found.value == count and self.last_position(sequence) == count - 1

    def _save(self, sequence: int, flags: int) -> bytes:
        size = self._lib.llama_state_seq_get_size_ext(self.handle, sequence, flags)
        buffer = (ctypes.c_uint8 * size)()
        written = self._lib.llama_state_seq_get_data_ext(self.handle, buffer, size, sequence, flags)
        return bytes(memoryview(buffer)[:written])

    def restore_recurrent(self, sequence: int, data: bytes) -> bool:
        """Put back what `save_recurrent` gave; False if the library refuses it."""
        return self._restore(sequence, data, self._lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY)

    def _restore(self, sequence: int, data: bytes, flags: int) -> bool:
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        read = self._lib.llama_state_seq_set_data_ext(
            self.handle, buffer, len(data), sequence, flags
        )
        return bool(read)

    def close(self) -> None:
        """Free the context."""
        if self.handle:
            self._lib.llama_free(self.handle)
            self.handle = None

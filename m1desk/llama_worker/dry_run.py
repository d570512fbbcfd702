"""What a model would take, in the engine's own words, without a byte of its weights.

The header is put at the start of a sparse file of the model's full size. The library reads it,
places tensors, KV cache and compute buffers as it would, and allocates none of them but the
recurrent state of one sequence.
"""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from m1desk.llama_worker.context import KV_TYPES, batch_tokens
from m1desk.llama_worker.model import LoadError, failure_reason, place_layers
from m1desk.llama_worker.native import Native

_MIB: Final = 1 << 20
_LOAD_MODE_NONE: Final = 0  # llama_load_mode: without mmap, which would map what is not there
_INFO_LEVEL: Final = 2  # ggml_log_level
_KV: Final = re.compile(r"^llama_kv_cache\w*: size = +([\d.]+) MiB")
_STATE: Final = re.compile(r"(\S+) RS buffer size = +([\d.]+) MiB")
_COMPUTE: Final = re.compile(r"(\S+) compute buffer size = +([\d.]+) MiB")


@dataclass(frozen=True, slots=True)
class DryRunOptions:
    """What to imagine.

    Attributes:
        headers: the file, or all parts of a split one, in order: whole, or only their headers.
        sizes: the full size (bytes) of each; empty: they are whole.
        parallel: sequences; the recurrent state is counted for each.
        cpu_expert_layers: layers whose experts stay in main memory.
        outputs: rows of logits in one batch; 0: one for each token, as the engine reserves.
    """

    headers: tuple[Path, ...]
    sizes: tuple[int, ...] = ()
    context_tokens: int = 8192
    parallel: int = 1
    ubatch_tokens: int = 512
    kv_type: str = "f16"
    gpu_layers: int = -1
    flash_attention: bool = True
    outputs: int = 0
    cpu_expert_layers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DryRun:
    """The engine's account (bytes); `compute` is by the engine's buffers ("CPU", "CUDA0" ...)."""

    weights_bytes: int
    kv_cache_bytes: int
    state_bytes: int
    compute_bytes: int
    compute: dict[str, int]
    context_tokens: int


def run_dry(options: DryRunOptions) -> int:
    """Print the account as one JSON object, or `{"error", "reason"}` and end with 1."""
    try:
        answer: dict[str, object] = asdict(dry_run(options))
    except LoadError as error:
        answer = {"reason": error.reason, "error": error.detail}
    except OSError as error:
        answer = {"reason": "bad_model_file", "error": str(error)}
    # the library may have printed something without an end of line
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return 1 if "error" in answer else 0


def dry_run(options: DryRunOptions) -> DryRun:
    """Load and make a context without allocating.

    The library reserves for the shape of batch that needs the most only with one sequence, so it
    is asked for one; each further sequence adds its recurrent state.

    Raises:
        LoadError: the file is unusable or the settings contradict each other.
    """
    if options.kv_type not in KV_TYPES:
        raise LoadError("bad_settings", f"unknown KV cache type {options.kv_type!r}")
    native = Native()
    listener = _Listener(native)
    with _full_size(options) as path:
        model = _load(native, path, options)
        try:
            weights, context_tokens = _reserve(native, model, options)
        finally:
            native.lib.llama_model_free(model)
    return _account(listener.said, weights, context_tokens, options.parallel)


class _Listener:
    """Collects the library's information, which says the sizes, beside its usual log."""

    def __init__(self, native: Native) -> None:
        self.said: list[str] = []
        self._usual = native.log
        self._callback = native.lib.llama_log_callback(self._hear)  # must stay alive
        native.lib.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _hear(self, level: int, text: bytes, user_data: object) -> None:
        if level == _INFO_LEVEL:
            self.said.append(text.decode("utf-8", errors="replace"))
        self._usual(level, text, user_data)


@contextmanager
def _full_size(options: DryRunOptions) -> Iterator[Path]:
    """Give the first file's path: the real one, or a sparse one of full size with its header."""
    if not options.sizes:
        yield options.headers[0]
        return
    with tempfile.TemporaryDirectory(prefix="m1desk-dry-run-") as folder:
        for header, size in zip(options.headers, options.sizes, strict=True):
            copy = Path(folder) / header.name
            shutil.copyfile(header, copy)
            with copy.open("r+b") as file:
                file.truncate(max(size, copy.stat().st_size))
        yield Path(folder) / options.headers[0].name


def _load(native: Native, path: Path, options: DryRunOptions) -> Any:  # noqa: ANN401 - ctypes has no types
    lib = native.lib
    native.log.clear()
    params = lib.llama_model_default_params()
    params.no_alloc = True
    params.load_mode = _LOAD_MODE_NONE
    placed = place_layers(params, options.gpu_layers, options.cpu_expert_layers)
    # repacking changes where weights lie, not how many bytes they take
    params.use_extra_bufts = False
    model = lib.llama_model_load_from_file(str(path).encode(), params)
    del placed  # until here the library looked at it
    if not model:
        detail = native.log.complaints() or "the library gave no reason"
        raise LoadError(failure_reason(detail, "bad_model_file"), detail)
    return model


def _reserve(native: Native, model: Any, options: DryRunOptions) -> tuple[int, int]:  # noqa: ANN401
    """Make a context and drop it; the weights' size (bytes) and the context given (tokens)."""
    lib = native.lib
    params = lib.llama_context_default_params()
    params.n_ctx = options.context_tokens
    params.n_batch = batch_tokens(options.ubatch_tokens)
    params.n_ubatch = options.ubatch_tokens
    params.n_seq_max = 1
    params.n_outputs_max = options.outputs
    params.flash_attn_type = 1 if options.flash_attention else 0
    params.type_k = params.type_v = KV_TYPES[options.kv_type]
    params.kv_unified = True
    params.swa_full = True
    context = lib.llama_init_from_model(model, params)
    if not context:
        detail = native.log.complaints() or "the library gave no reason"
        raise LoadError(failure_reason(detail, "bad_settings"), detail)
    given = int(lib.llama_n_ctx(context))
    lib.llama_free(context)
    return int(lib.llama_model_size(model)), given


def _account(said: Iterable[str], weights: int, context_tokens: int, parallel: int) -> DryRun:
    lines = [line.strip() for line in "".join(said).splitlines()]
    compute: dict[str, int] = {}
    for name, size in _sizes(lines, _COMPUTE.search):
        compute[name] = compute.get(name, 0) + size
    states = (size for _, size in _sizes(lines, _STATE.search))
    caches = [round(float(found[1]) * _MIB) for line in lines if (found := _KV.search(line))]
    return DryRun(
        weights_bytes=weights,
        kv_cache_bytes=sum(caches),
        state_bytes=sum(states) * parallel,
        compute_bytes=sum(compute.values()),
        compute=compute,
        context_tokens=context_tokens,
    )


def _sizes(
    lines: Sequence[str], find: Callable[[str], re.Match[str] | None]
) -> Iterator[tuple[str, int]]:
    """Each buffer's name and size (bytes); the library says MiB with two decimals."""
    for line in lines:
        found = find(line)
        if found:
            yield found[1], round(float(found[2]) * _MIB)

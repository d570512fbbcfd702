"""The llama.cpp engine: one GGUF loaded in a guarded child process, one at a time."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from m1desk.engines.calibration import EngineCalibration, remembered_calibration
from m1desk.engines.failure import LoadFacts
from m1desk.engines.managed import ManagedEngine
from m1desk.engines.manner import Manner
from m1desk.engines.progress import Patience
from m1desk.engines.spec import EngineSpec, child_environment, module_command
from m1desk.engines.status import EngineFailure, EngineState, EngineStatus, LlamaSettings
from m1desk.errors import ModelFileError, StorageError
from m1desk.models import check_loadable, read_gguf_header
from m1desk.wire import KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from m1desk.engines.calibration import MeasurementStore
    from m1desk.models import GgufHeader
    from m1desk.store import Folders

_LOG_NAME: Final = "engine.log"
_KEY_BYTES: Final = 32
_STATES: Final = "prepared"
_KV_TYPES: Final = ("f16", "q8_0", "q4_0")
_LONG_CONTEXT_TOKENS: Final = 32_768
_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}$")


class LlamaEngine(ManagedEngine[LlamaSettings]):
    """Loads one GGUF at a time with our own worker. Use it on one asyncio loop."""

    def __init__(
        self,
        folders: Folders,
        measurements: MeasurementStore,
        on_status: Callable[[EngineStatus], None],
        *,
        patience: Patience | None = None,
        worker: Sequence[str] = (),
    ) -> None:
        """Prepare; nothing is started.

        Args:
            folders: for the log and the records of the runs.
            measurements: where the calibration of this machine is remembered.
            on_status: called on the loop with every new status.
            patience: when an engine that does nothing counts as stuck.
            worker: the worker's command line up to `serve`; empty for our own worker.
        """
        super().__init__(folders, on_status, log_name=_LOG_NAME, patience=patience or Patience())
        self._measurements = measurements
        self._worker = tuple(worker) or tuple(module_command("m1desk.llama_worker"))

    def _starting(self, settings: LlamaSettings) -> EngineStatus:
        return EngineStatus(
            EngineState.STARTING,
            model_path=settings.model_path,
            model_name=_SHARD.sub("", settings.model_path.stem),
            asked_context_tokens=settings.context_tokens,
            parallel=settings.parallel,
        )

    def _refuse(self, settings: LlamaSettings) -> EngineFailure | None:
        return _check_settings(settings) or _check_file(settings)

    def _prepare(self, settings: LlamaSettings) -> tuple[EngineSpec, LoadFacts, Manner]:
        calibration = self._calibration()
        spec = make_spec(settings, calibration, self._worker, self._folders.data / _STATES)
        return spec, _facts(settings, calibration), Manner()

    def _calibration(self) -> EngineCalibration:
        """Return what was measured; a database that can't be read must not prevent loading."""
        try:
            found = remembered_calibration(self._measurements)
        except StorageError as error:
            self._log.add(f"The calibration can't be read: {error}")
            found = None
        return found or EngineCalibration()


def make_spec(
    settings: LlamaSettings, calibration: EngineCalibration, worker: Sequence[str], states: Path
) -> EngineSpec:
    """Make the worker's command line and environment, with a key of its own for this run.

    `states` is the folder where it keeps prepared documents.
    """
    key = secrets.token_urlsafe(_KEY_BYTES)
    name = _SHARD.sub("", settings.model_path.stem)
    options: dict[str, object] = {
        "--model": settings.model_path,
        "--alias": name,
        "--context": settings.context_tokens,
        "--parallel": settings.parallel,
        "--gpu-layers": settings.gpu_layers,
        "--kv-type": settings.kv_type,
        "--ubatch": settings.ubatch_tokens,
        "--flash-attention": _switch(choose_flash_attention(settings, calibration)),
        "--extra-buffers": _switch(_extra_buffers(settings, calibration)),
        "--port": settings.port,
        "--states": states,
    }
    if settings.cpu_expert_layers:
        options["--cpu-expert-layers"] = ",".join(map(str, settings.cpu_expert_layers))
    threads = settings.threads or calibration.threads
    if threads:
        options |= {"--threads": threads, "--threads-batch": threads}
    words = [str(word) for option in options.items() for word in option]
    return EngineSpec(
        argv=(*worker, "serve", *words),
        env={**child_environment(), KEY_VARIABLE: key},
        api_key=key,
        model_path=settings.model_path,
        model_name=name,
        asked_context_tokens=settings.context_tokens,
        parallel=settings.parallel,
    )


def choose_flash_attention(settings: LlamaSettings, calibration: EngineCalibration) -> bool:
    """Take the user's choice; else what was faster, unless the memory depends on it.

    Without flash attention the scores of a long context need memory in proportion to its length,
    and llama.cpp refuses a quantized KV cache.
    """
    if settings.flash_attention is not None:
        return settings.flash_attention
    needed = settings.kv_type != "f16" or settings.context_tokens >= _LONG_CONTEXT_TOKENS
    return needed or calibration.flash_attention


def _extra_buffers(settings: LlamaSettings, calibration: EngineCalibration) -> bool:
    chosen = settings.extra_buffers
    return calibration.extra_buffers if chosen is None else chosen


def _switch(value: bool) -> str:  # noqa: FBT001 - the one thing it turns into a word
    return "on" if value else "off"


def _facts(settings: LlamaSettings, calibration: EngineCalibration) -> LoadFacts:
    return LoadFacts(
        model_path=settings.model_path,
        context_tokens=settings.context_tokens,
        kv_type=settings.kv_type,
        model_bytes=settings.model_path.stat().st_size,
        extra_buffers=_extra_buffers(settings, calibration),
        port=settings.port,
    )


def _check_settings(settings: LlamaSettings) -> EngineFailure | None:
    wrong = ""
    if settings.context_tokens <= 0:
        wrong = f"The context length must be a positive number, not {settings.context_tokens}."
    elif settings.ubatch_tokens <= 0:
        wrong = f"At least one token must be computed at once, not {settings.ubatch_tokens}."
    elif settings.parallel <= 0:
        wrong = f"At least one request must be served at once, not {settings.parallel}."
    elif settings.kv_type not in _KV_TYPES:
        wrong = f"The KV cache can be {', '.join(_KV_TYPES)}, not {settings.kv_type}."
    elif settings.kv_type != "f16" and settings.flash_attention is False:
        wrong = "A quantized KV cache needs flash attention, which is switched off."
    return _refusal(settings, wrong) if wrong else None


def _check_experts(settings: LlamaSettings, header: GgufHeader) -> EngineFailure | None:
    layers = settings.cpu_expert_layers
    if not layers:
        return None
    if not header.expert_count:
        return _refusal(settings, "It has no experts that could stay in main memory.")
    if min(layers) < 0 or max(layers) >= header.block_count:
        return _refusal(
            settings,
            f"Experts of layers {min(layers)} to {max(layers)} were to stay in main memory; the "
            f"model's layers are 0 to {header.block_count - 1}.",
        )
    return None


def _refusal(settings: LlamaSettings, why: str) -> EngineFailure:
    return EngineFailure(
        "bad_settings",
        f"{settings.model_path.name} can't be loaded with these settings.",
        why,
        "Change that setting and load it again.",
    )


def _check_file(settings: LlamaSettings) -> EngineFailure | None:
    """Look at the file before a process is made for it."""
    path = settings.model_path
    if not path.is_file():
        return EngineFailure(
            "not_found",
            f"There is no file {path}.",
            "It was moved or deleted, or the disk it is on is not there.",
            "Choose the file again, or download it again.",
        )
    try:
        header = read_gguf_header(path)
    except ModelFileError as error:
        return EngineFailure("bad_model_file", error.what, error.why, error.todo)
    except OSError as error:
        return EngineFailure(
            "bad_model_file",
            f"{path.name} can't be read.",
            f"The system says: {error.strerror or error}.",
            "Check the file's permissions and its disk.",
        )
    try:
        check_loadable(header)
    except ModelFileError as error:
        return EngineFailure("unknown_architecture", error.what, error.why, error.todo)
    return _check_experts(settings, header)

"""The llama.cpp engine: one GGUF loaded in a guarded child process, one at a time."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING, Final

from m1desk.engines.calibration import EngineCalibration, remembered_calibration
from m1desk.engines.client import EngineClient
from m1desk.engines.failure import LoadFacts
from m1desk.engines.log import EngineLog
from m1desk.engines.progress import Patience
from m1desk.engines.spec import EngineSpec, child_environment, module_command
from m1desk.engines.states import StatusBoard
from m1desk.engines.status import EngineFailure, EngineState, EngineStatus, LlamaSettings
from m1desk.engines.supervisor import Supervisor
from m1desk.errors import EngineFailed, ModelFileError, StorageError
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


class LlamaEngine:
    """Loads one model at a time and says how it is. Use it on one asyncio loop.

    Nothing here raises because of a model or an engine: what went wrong is in `status.failure`.
    """

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
        self._folders = folders
        self._measurements = measurements
        self._patience = patience or Patience()
        self._worker = tuple(worker) or tuple(module_command("m1desk.llama_worker"))
        self._board = StatusBoard(on_status)
        self._log = EngineLog(folders.logs / _LOG_NAME)
        self._turn = asyncio.Lock()
        self._wishes = 0
        self._supervisor: Supervisor | None = None
        self._client: EngineClient | None = None
        self._settings: LlamaSettings | None = None

    @property
    def status(self) -> EngineStatus:
        """The engine as it is now."""
        return self._board.status

    @property
    def settings(self) -> LlamaSettings | None:
        """What the model that is ready was loaded with; None while none is."""
        return self._settings if self.status.is_ready else None

    @property
    def log_path(self) -> Path:
        """The file with all that engines wrote; older parts end in .1, .2, .3."""
        return self._log.path

    def log_lines(self) -> tuple[str, ...]:
        """Return the last lines engines wrote, oldest first; at most 200."""
        return self._log.tail()

    def client(self) -> EngineClient:
        """Return the client of the loaded model; it is closed when the model is unloaded.

        Raises:
            EngineFailed: no model is ready.
        """
        endpoint = self.status.endpoint
        if endpoint is None:
            raise _not_ready(self.status)
        if self._client is None:
            self._client = EngineClient(endpoint)
        return self._client

    async def load(self, settings: LlamaSettings) -> EngineStatus:
        """Load a model in place of what is loaded; returns when it is READY or FAILED.

        STOPPED is returned when `unload` or another `load` came in between. There is no time
        limit: an engine fails here by ending, or by doing nothing at all. When this is cancelled,
        the engine is ended.
        """
        wish = await self._interrupt()
        async with self._turn:
            await self._close_client()
            if wish != self._wishes:
                return self.status
            self._board.start_over(_starting(settings))
            try:
                await self._load(settings, wish)
            finally:  # outdated or cancelled before there was a process
                if self.status.is_busy_starting:
                    self._board.move(EngineState.STOPPING)
                    self._board.start_over(EngineStatus(EngineState.STOPPED))
            return self.status

    async def unload(self) -> None:
        """End the engine, also in the middle of its start; returns when nothing is left of it."""
        await self._interrupt()
        async with self._turn:
            await self._close_client()
            if self._board.allows(EngineState.STOPPED):
                self._board.start_over(EngineStatus(EngineState.STOPPED))

    async def _interrupt(self) -> int:
        """End what runs or starts, and outdate older wishes; returns the number of this one."""
        self._wishes += 1
        wish = self._wishes
        if self._supervisor is not None:
            await self._supervisor.stop()
        return wish

    async def _load(self, settings: LlamaSettings, wish: int) -> None:
        failure = _check_settings(settings) or await asyncio.to_thread(_check_file, settings)
        if wish != self._wishes:
            return
        if failure is not None:
            self._board.move(EngineState.FAILED, failure=failure)
            return
        self._settings = settings
        calibration = self._calibration()
        spec = make_spec(settings, calibration, self._worker, self._folders.data / _STATES)
        self._log.add(f"--- {' '.join(spec.argv)}")
        self._supervisor = Supervisor(
            spec,
            _facts(settings, calibration),
            runs=self._folders.runs,
            log=self._log,
            board=self._board,
            patience=self._patience,
        )
        await self._supervisor.start()

    def _calibration(self) -> EngineCalibration:
        """Return what was measured; a database that can't be read must not prevent loading."""
        try:
            found = remembered_calibration(self._measurements)
        except StorageError as error:
            self._log.add(f"The calibration can't be read: {error}")
            found = None
        return found or EngineCalibration()

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


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


def _starting(settings: LlamaSettings) -> EngineStatus:
    return EngineStatus(
        EngineState.STARTING,
        model_path=settings.model_path,
        model_name=_SHARD.sub("", settings.model_path.stem),
        asked_context_tokens=settings.context_tokens,
        parallel=settings.parallel,
    )


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


def _not_ready(status: EngineStatus) -> EngineFailed:
    failure = status.failure
    if failure is not None:
        return EngineFailed(failure.what, failure.why, failure.todo)
    if status.is_busy_starting:
        return EngineFailed("The model is still loading.", "", "Wait until it is ready.")
    return EngineFailed("No model is loaded.", "", "Load a model first.")

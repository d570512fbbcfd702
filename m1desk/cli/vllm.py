"""A checkpoint under vLLM for the length of one command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from m1desk.cli.session import LoadProgress, raise_if_failed, say
from m1desk.engines import sweep_leftovers
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.vllm.engine import VllmEngine
from m1desk.engines.vllm.offer import CheckpointDesk
from m1desk.engines.vllm.planned import ServeWish
from m1desk.errors import BadInput
from m1desk.fit import PlanMachine, VllmKvType, machine_from_probe
from m1desk.hardware import probe_machine
from m1desk.store import Database, Folders, Measurements

_KV_TYPES: Final[dict[str, VllmKvType]] = {"f16": "auto", "fp8": "fp8"}
_KNOWN: Final = ("llama.cpp", "vllm")


@dataclass(frozen=True, slots=True)
class VllmRequest:
    """What was asked for; an empty `environment` is chosen by the model."""

    folder: Path
    environment: str
    wish: ServeWish


@dataclass(frozen=True, slots=True)
class VllmSession:
    """What a command works with."""

    engine: VllmEngine
    failed: asyncio.Event


def wants_vllm(
    model: Path, engine: str, environment: str, chat_template: Path | None = None
) -> bool:
    """Whether a model is for vLLM: it is said so, or it is a folder; raises BadInput."""
    if engine and engine not in _KNOWN:
        raise BadInput(f'There is no engine "{engine}".', "", f"Choose {' or '.join(_KNOWN)}.")
    if environment and engine == "llama.cpp":
        raise BadInput("An environment is named, but llama.cpp needs none.")
    wanted = engine == "vllm" or bool(environment) or (not engine and model.is_dir())
    if chat_template is not None and not wanted:
        raise BadInput(
            "A chat template can be given to vLLM only.",
            "A GGUF file is loaded with the template that is in it.",
            "Leave --chat-template out.",
        )
    return wanted


def wish_of(
    context: int | None,
    kv_type: str,
    gpu_layers: int,
    parallel: int,
    port: int | None,
    *,
    chat_template: Path | None = None,
) -> ServeWish:
    """Read the options that both engines have, as vLLM understands them.

    Raises:
        BadInput: it has no such thing.
    """
    if kv_type not in _KV_TYPES:
        raise BadInput(f"vLLM has no KV cache of type {kv_type}.", "", "Choose f16 or fp8.")
    if gpu_layers >= 0:
        raise BadInput("vLLM puts all layers on the GPUs.", "", "Leave --gpu-layers out.")
    return ServeWish(
        context_tokens=context,
        parallel=parallel,
        kv_type=_KV_TYPES[kv_type],
        chat_template=chat_template,
        port=port,
    )


@asynccontextmanager
async def vllm_session(request: VllmRequest) -> AsyncIterator[VllmSession]:
    """Load a checkpoint for the body of the `async with`.

    Raises:
        EngineFailed: it can't work, or did not load.
        M1DeskError: the folder, the environment, or the app's folders can't be used.
    """
    folders = Folders.resolve()
    sweep_leftovers(folders)
    machine = await asyncio.to_thread(_this_machine, folders)
    desk = CheckpointDesk(EnvironmentStore.of(folders), lambda: machine)
    settings = desk.plan(request.folder, request.environment, request.wish).settings
    environment = settings.environment
    say(f"vLLM {environment.version} from the environment {environment.name}")
    failed = asyncio.Event()
    engine = VllmEngine(folders, lambda: machine, LoadProgress(failed))
    try:
        await engine.load(settings)
        raise_if_failed(engine.status)
        yield VllmSession(engine, failed)
    finally:
        await engine.unload()


def _this_machine(folders: Folders) -> PlanMachine:
    with Database(folders.database) as database:
        probed = probe_machine((folders.models,), measurements=Measurements(database))
    return machine_from_probe(probed)

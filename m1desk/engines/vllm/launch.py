"""vLLM's command line and environment on this machine."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.engines.environments.containers import linked_folders, run_command
from m1desk.engines.spec import EngineSpec, child_environment, new_scratch
from m1desk.engines.vllm.settings import is_cpu_build
from m1desk.fit import runs_own_code, vllm_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m1desk.engines.vllm.settings import VllmSettings

_MODULE: Final = "vllm.entrypoints.openai.api_server"
_LOCALHOST: Final = "127.0.0.1"
_SOCKET_NAME: Final = "api.sock"
_KEY_BYTES: Final = 32
_NOT_FOR_IT: Final = ("PYTHONPATH", "HF_TOKEN", "VLLM_API_KEY", "VLLM_LOGGING_CONFIG_PATH")
_MEANT_FOR_IT: Final = ("VLLM_", "NCCL_", "CUDA_VISIBLE_DEVICES")
"""What a container gets of the user's environment."""
_OF_EVERY_RUN: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_HOST_IP": _LOCALHOST,  # its processes talk to each other, and to nobody outside
    "VLLM_CONFIGURE_LOGGING": "1",
    "VLLM_LOGGING_LEVEL": "INFO",  # how far a start is, is read from its log
    "VLLM_LOGGING_STREAM": "ext://sys.stdout",
    "NO_COLOR": "1",
    "SPT_NOENV": "1",  # or its process titles overwrite the mark of the run
    "PYTHONSAFEPATH": "1",  # it starts helpers without -I
}


def make_spec(settings: VllmSettings) -> EngineSpec:
    """Make what the guard starts, with a key and a folder of its own for this run."""
    scratch = new_scratch()
    key = secrets.token_urlsafe(_KEY_BYTES)
    at = scratch / _SOCKET_NAME if settings.port is None and hasattr(socket, "AF_UNIX") else None
    port = 0 if at is not None else settings.port or _free_port()
    image = settings.environment.image
    own, env = _variables(settings, scratch, key), _inherited()
    arguments = tuple(_arguments(settings, at, port))
    argv = (str(settings.environment.python), *arguments)
    if image is not None:
        argv = run_command(
            image,
            scratch,
            arguments,
            readable=_readable(settings),
            variables=(*own, *(name for name in env if name.startswith(_MEANT_FOR_IT))),
            on_network=at is None,
        )
    return EngineSpec(
        argv=argv,
        env={**env, **own},
        api_key=key,
        model_path=settings.model_path,
        model_name=settings.name,
        asked_context_tokens=settings.wish.context_tokens,
        parallel=settings.wish.parallel,
        scratch=scratch,
        container=image.tool if image else "",
        socket=at,
        port=port,
    )


def _arguments(settings: VllmSettings, at: Path | None, port: int) -> Iterator[str]:
    """What its Python is told."""
    # -I: neither our modules nor those of the user's folders are on its path
    yield from ("-I", "-u", "-X", "utf8", "-m", _MODULE)
    yield from ("--model", str(settings.model_path), "--served-model-name", settings.name)
    yield from vllm_arguments(settings.architecture, settings.tensor_parallel, settings.wish)
    yield from ("--dtype", settings.dtype, "--disable-uvicorn-access-log")
    if not is_cpu_build(settings.environment):
        yield from ("--gpu-memory-utilization", str(settings.gpu_memory_share))
    if settings.kv_cache_bytes is not None:
        yield from ("--kv-cache-memory-bytes", str(settings.kv_cache_bytes))
    if settings.chat_template is not None:
        yield from ("--chat-template", str(settings.chat_template))
    if settings.is_eager:
        yield "--enforce-eager"
    if runs_own_code(settings.architecture):
        yield "--trust-remote-code"
    if at is not None:
        yield from ("--uds", str(at))
    else:
        yield from ("--host", _LOCALHOST, "--port", str(port))


def _readable(settings: VllmSettings) -> tuple[Path, ...]:
    """What it reads of this machine's files."""
    template = settings.chat_template
    folder = settings.model_path
    return (folder, *linked_folders(folder), *((template,) if template is not None else ()))


def _inherited() -> dict[str, str]:
    """The user's environment, as far as it is meant for a child."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    return child_environment(kept)


def _variables(settings: VllmSettings, scratch: Path, key: str) -> dict[str, str]:
    """What it is told by its environment."""
    found = {
        **_OF_EVERY_RUN,
        "TMPDIR": str(scratch),
        "VLLM_API_KEY": key,
        "VLLM_RPC_BASE_PATH": str(scratch),
    }
    if settings.one_process:
        found["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if is_cpu_build(settings.environment) and settings.devices > 1:
        # shares are bound to memory nodes of the machine by default, and refused without enough
        threads = max(1, (os.cpu_count() or 1) // settings.devices)
        found |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(threads)}
    return found


def _free_port() -> int:
    """A port that is free now; vLLM can't be told to find one."""
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        port: int = probe.getsockname()[1]
        return port

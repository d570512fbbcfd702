"""vLLM's command line and environment on this machine."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.engines.spec import EngineSpec, child_environment
from m1desk.engines.vllm.settings import is_cpu_build
from m1desk.fit import runs_own_code, vllm_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m1desk.engines.vllm.settings import VllmSettings

_MODULE: Final = "vllm.entrypoints.openai.api_server"
_LOCALHOST: Final = "127.0.0.1"
_SOCKET_NAME: Final = "api.sock"
_KEY_BYTES: Final = 32
_SHORT_ENOUGH: Final = 40  # a socket's path may have 107 bytes, and vLLM appends some 60 of them
_NOT_FOR_IT: Final = ("PYTHONPATH", "HF_TOKEN", "VLLM_API_KEY", "VLLM_LOGGING_CONFIG_PATH")
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
    return EngineSpec(
        argv=tuple(_argv(settings, at, port)),
        env=_environment(settings, scratch, key),
        api_key=key,
        model_path=settings.model_path,
        model_name=settings.name,
        asked_context_tokens=settings.wish.context_tokens,
        parallel=settings.wish.parallel,
        scratch=scratch,
        socket=at,
        port=port,
    )


def new_scratch() -> Path:
    """A path that nobody has, short enough for sockets in it."""
    usual = Path(tempfile.gettempdir())
    short = usual if len(os.fsencode(usual)) <= _SHORT_ENOUGH else Path("/tmp")  # noqa: S108 - the folder made there is of mode 700
    return short / f"m1desk-run-{secrets.token_hex(8)}"


def _argv(settings: VllmSettings, at: Path | None, port: int) -> Iterator[str]:
    # -I: neither our modules nor those of the user's folders are on its path
    yield from (str(settings.environment.python), "-I", "-u", "-X", "utf8", "-m", _MODULE)
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


def _environment(settings: VllmSettings, scratch: Path, key: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    found = {
        **child_environment(kept),
        **_OF_EVERY_RUN,
        "TMPDIR": str(scratch),
        "VLLM_API_KEY": key,
    }
    found["VLLM_RPC_BASE_PATH"] = str(scratch)
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

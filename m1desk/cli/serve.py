"""`m1desk serve`: the engine for other programs, until interrupted."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import typer

from m1desk.cli.session import Session, engine_session, say
from m1desk.cli.vllm import VllmRequest, VllmSession, vllm_session
from m1desk.errors import EngineFailed

if TYPE_CHECKING:
    from m1desk.engines import LlamaSettings


def serve(wanted: LlamaSettings | VllmRequest, *, as_json: bool) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        EngineFailed: the model did not load, or the engine died while serving.
    """
    asyncio.run(_serve(wanted, as_json=as_json))


async def _serve(wanted: LlamaSettings | VllmRequest, *, as_json: bool) -> None:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, interrupted.set)
        except NotImplementedError:
            # Windows' loops have no signal handlers; there Ctrl+C raises KeyboardInterrupt
            break
    loading = asyncio.ensure_future(_load_and_wait(wanted, interrupted, as_json=as_json))
    stopping = asyncio.ensure_future(interrupted.wait())
    await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if interrupted.is_set() and not loading.done():
        # the signal may come while the model is still loading
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        return
    loading.result()


async def _load_and_wait(
    wanted: LlamaSettings | VllmRequest, interrupted: asyncio.Event, *, as_json: bool
) -> None:
    opened: AbstractAsyncContextManager[Session | VllmSession]
    opened = vllm_session(wanted) if isinstance(wanted, VllmRequest) else engine_session(wanted)
    async with opened as session:
        _announce(session, as_json=as_json)
        waits = {
            asyncio.ensure_future(interrupted.wait()),
            asyncio.ensure_future(session.failed.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        failure = session.engine.status.failure
        if failure is not None:
            raise EngineFailed(failure.what, failure.why, failure.todo)


def _announce(session: Session | VllmSession, *, as_json: bool) -> None:
    status = session.engine.status
    endpoint = status.endpoint
    if endpoint is None:
        raise EngineFailed("The engine is ready but does not say where.")
    if as_json:
        line = {
            "base_url": endpoint.base_url,
            "api_key": endpoint.api_key,
            "pid": status.pid,
            "model": endpoint.model,
        }
        typer.echo(json.dumps(line))
        return
    typer.echo(f"{endpoint.model} answers at {endpoint.base_url}/v1")
    typer.echo(f"API key: {endpoint.api_key}")
    typer.echo(f"Context: {status.context_tokens} tokens, shared by {status.parallel} requests")
    say("Ctrl+C ends it.")

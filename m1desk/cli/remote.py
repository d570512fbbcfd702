"""`m1desk remote`: servers elsewhere, added, listed, tested step by step, renamed and removed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import typer

from m1desk.cli.session import say
from m1desk.engines import (
    Outcome,
    ProfileStore,
    RemoteClient,
    ServerProfile,
    ServerSecrets,
    SshTunnel,
    StepVerdict,
    connect,
    examine_server,
)
from m1desk.engines.remote.profiles import (
    check_header,
    looks_secret,
    parse_host_and_port,
    parse_ssh,
    profile_values,
)
from m1desk.engines.remote.secrets import KEY, KEY_VARIABLE, missing
from m1desk.engines.remote.verdicts import STEP_NAMES
from m1desk.errors import BadInput, EngineFailed
from m1desk.store import Database, Folders

_MARKS: Final = {
    Outcome.OK: "ok",
    Outcome.WARNING: "warning",
    Outcome.FAILED: "FAILED",
    Outcome.NOT_REACHED: "-",
}
_INDENT: Final = " " * 22


@dataclass(frozen=True, slots=True)
class AddRequest:
    """What `m1desk remote add` was asked for; `key` says that one is to be asked for."""

    name: str
    url: str
    model: str = ""
    context_tokens: int = 0
    key: bool = False
    headers: tuple[str, ...] = ()
    secret_headers: tuple[str, ...] = ()
    ca_file: Path | None = None
    pin: str = ""
    client_certificate: Path | None = None
    client_key: Path | None = None
    ssh: str = ""
    ssh_to: str = ""
    ssh_config: Path | None = None
    replaces: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server that was added, with all the secrets it wants."""

    profile: ServerProfile
    secrets: ServerSecrets


def add_server(request: AddRequest) -> None:
    """Keep a server, and its secrets in the keyring.

    Raises:
        BadInput: a value can't be used, or there is a server of that name.
        StorageError: the database can't be written.
    """
    profile = _profile_of(request)
    with _servers() as servers:
        secrets = _ask_missing(profile, ServerSecrets())
        outlives = (servers.update if request.replaces else servers.add)(profile, secrets)
        kept = servers.get(profile.name)
    if not outlives:
        say(
            "There is no usable keyring, and secrets are never kept in clear: you will be asked "
            f"each time. A script can set {KEY_VARIABLE}."
        )
    if request.as_json:
        typer.echo(json.dumps({**profile_values(kept), "secrets_kept": outlives}))
    else:
        say(f"{kept.name} is added. Test it: m1desk remote test {kept.name}")


def list_servers(*, as_json: bool) -> None:
    """Print the servers, without their secrets."""
    with _servers() as servers:
        profiles = servers.list()
    if as_json:
        typer.echo(json.dumps([profile_values(profile) for profile in profiles]))
        return
    for profile in profiles:
        way = f" by ssh {profile.tunnel.destination}" if profile.tunnel else ""
        model = f", {profile.model}" if profile.model else ""
        typer.echo(f"{profile.name}: {profile.base_url}{way}{model}")
    if not profiles:
        say("No server was added yet: m1desk remote add NAME URL")


def examine(name: str, *, as_json: bool) -> None:
    """Test a server and print each step's verdict.

    Raises:
        BadInput: there is none of that name.
        EngineFailed: a step failed.
    """
    asyncio.run(_examine(find_server(name), as_json=as_json))


def remove_server(name: str) -> None:
    """Forget a server and its secrets; raises BadInput when there is none of that name."""
    with _servers() as servers:
        servers.remove(name)
    say(f"{name} is removed.")


def rename_server(name: str, new_name: str) -> None:
    """Call a server differently, also in the jobs that chose it.

    Raises:
        BadInput: there is none of that name, the new one is taken or can't be used, or a job is
            running on it.
        StorageError: the keyring can't be asked now.
    """
    from m1desk.jobs.servers import rename_in_jobs  # noqa: PLC0415 - no other command needs it

    with Database(Folders.resolve().database) as database:
        servers = ProfileStore(database)
        servers.follow_renames(partial(rename_in_jobs, database))
        servers.rename(name, new_name)
    say(f"{name.strip()} is called {new_name.strip()} now.")


def find_server(name: str) -> FoundServer:
    """The server of that name; what is not known of its secrets is asked for.

    Raises:
        BadInput: there is none of that name, or a secret is missing and nobody can be asked.
    """
    with _servers() as servers:
        profile = servers.get(name)
        secrets = servers.vault.read(profile)
    return FoundServer(profile, _ask_missing(profile, secrets))


@asynccontextmanager
async def server_session(server: FoundServer) -> AsyncIterator[RemoteClient]:
    """A client of a server for the body of the `async with`, which says who answers.

    Raises:
        EngineError: it does not answer, or not as an engine does.
    """
    profile = server.profile
    async with connect(profile, server.secrets, Folders.resolve()) as client:
        say(f"{client.model} at {profile.base_url} ({profile.name}) answers.")
        yield client


def verdict_values(verdict: StepVerdict) -> dict[str, str]:
    """A step's verdict as plain values for JSON."""
    return {
        "step": verdict.step.value,
        "outcome": verdict.outcome.value,
        "what": verdict.what,
        "why": verdict.why,
        "todo": verdict.todo,
    }


async def _examine(server: FoundServer, *, as_json: bool) -> None:
    verdicts: list[StepVerdict] = []
    examined = examine_server(server.profile, server.secrets, Folders.resolve())
    async with aclosing(examined) as steps:
        async for verdict in steps:
            verdicts.append(verdict)
            if not as_json:
                _tell(verdict)
    if as_json:
        typer.echo(json.dumps([verdict_values(one) for one in verdicts], ensure_ascii=False))
    failure = next((one for one in verdicts if one.outcome is Outcome.FAILED), None)
    if failure is not None:
        raise EngineFailed(
            f"{server.profile.name} can't be used: {failure.what}", failure.why, failure.todo
        )


def _tell(verdict: StepVerdict) -> None:
    mark, name = _MARKS[verdict.outcome], STEP_NAMES[verdict.step]
    typer.echo(f"{name:<11} {mark:<9} {verdict.what}")
    for line in (verdict.why, verdict.todo):
        if line:
            typer.echo(f"{_INDENT}{line}")


@contextmanager
def _servers() -> Iterator[ProfileStore]:
    with Database(Folders.resolve().database) as database:
        yield ProfileStore(database)


def _ask_missing(profile: ServerProfile, secrets: ServerSecrets) -> ServerSecrets:
    """Ask for what is not known: the environment, then the person or standard input."""
    for what in missing(profile, secrets):
        given = os.environ.get(KEY_VARIABLE, "") if what == KEY else ""
        given = given or _ask(what, profile.name)
        if what == KEY:
            secrets = replace(secrets, key=given)
        else:
            secrets = replace(secrets, headers={**secrets.headers, what: given})
    return secrets


def _ask(what: str, server: str) -> str:
    words = "Key" if what == KEY else f"Value of the header {what}"
    if sys.stdin.isatty():
        given = str(typer.prompt(f"{words} of {server}", hide_input=True, err=True))
    else:
        given = sys.stdin.readline()
    if not given.strip():
        raise BadInput(
            f"{words} of {server} is missing.",
            "It is not in the keyring, and nobody is there to be asked.",
            f"Enter it on standard input, a line each, or set {KEY_VARIABLE} for the key.",
        )
    return given.strip()


def _profile_of(request: AddRequest) -> ServerProfile:
    return ServerProfile(
        name=request.name,
        base_url=request.url,
        model=request.model,
        context_tokens=request.context_tokens,
        wants_key=request.key,
        headers=tuple(_header(text) for text in request.headers),
        secret_headers=request.secret_headers,
        ca_file=str(request.ca_file or ""),
        pinned_sha256=request.pin,
        client_certificate=str(request.client_certificate or ""),
        client_key=str(request.client_key or ""),
        tunnel=_tunnel_of(request),
    )


def _header(text: str) -> tuple[str, str]:
    name, _, value = (part.strip() for part in text.partition(":"))
    check_header(name, value)
    if looks_secret(name, value):
        raise BadInput(
            f"The header {name} looks like a secret.",
            "Other users of this machine can read command lines, and the shell keeps them.",
            f"Give --secret-header {name}: its value is asked for.",
        )
    return name, value


def _tunnel_of(request: AddRequest) -> SshTunnel | None:
    if not request.ssh:
        if request.ssh_to or request.ssh_config:
            raise BadInput("--ssh-to and --ssh-config need --ssh.")
        return None
    tunnel = parse_ssh(request.ssh)
    if request.ssh_to:
        host, port = parse_host_and_port(request.ssh_to)
        tunnel = replace(tunnel, forward_host=host, forward_port=port)
    if request.ssh_config:
        tunnel = replace(tunnel, config_file=str(request.ssh_config.expanduser().absolute()))
    return tunnel

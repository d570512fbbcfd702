"""After a whole session with a server, its secrets are in the keyring and nowhere else."""

from __future__ import annotations

import logging
import traceback
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from support.command_lines import command_lines
from support.echoing import echoing
from support.memory_keyring import MemoryKeyring
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.sshd import needs_sshd, running_sshd
from support.worker import KEY, running_worker

from m1desk.engines import (
    ProfileStore,
    ServerProfile,
    ServerSecrets,
    SshTunnel,
    connect,
    examine_server,
)
from m1desk.engines.turn import ChatMessage, ChatRequest, SamplingParameters
from m1desk.errors import EngineError
from m1desk.store import Database, Folders, close_logging, setup_logging

GATE = "gate-secret-0123456789"
SECRETS = (KEY, GATE)
HELLO = ChatRequest((ChatMessage("user", "hello"),), SamplingParameters(max_tokens=4))


@needs_sshd
async def test_no_secret_is_on_disk_in_logs_in_command_lines_or_in_errors(
    tiny_llama: Path,
    tmp_path: Path,
    home: Path,
    memory_keyring: MemoryKeyring,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    folders = Folders.resolve()
    setup_logging(folders, level=logging.DEBUG)
    said: list[str] = []
    with (
        running_sshd(tmp_path / "sshd") as sshd,
        running_worker(tiny_llama) as worker,
        serving(ReverseProxy(str(worker.client.base_url).rstrip("/")).app) as url,
        serving(echoing()) as echo,
        command_lines() as seen,
        Database(folders.database) as database,
    ):
        servers = ProfileStore(database)
        tunnel = SshTunnel(sshd.destination, config_file=str(sshd.config))
        far = ServerProfile("far", url, headers=(("X-Gate-Token", GATE),), tunnel=tunnel)
        servers.add(far, ServerSecrets(KEY))
        servers.add(replace(far, name="echo", base_url=echo, tunnel=None), ServerSecrets(KEY))
        for profile in servers.list():
            secrets = servers.vault.read(profile)
            assert (secrets.key, secrets.headers) == (KEY, {"X-Gate-Token": GATE})
            said += await _session(profile, secrets, folders)
    close_logging()
    assert any("ssh" in line for line in seen)
    assert any("[secret]" in text for text in said)  # the echo's errors are shown, without it
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {"m1desk.log", "ssh.log"} <= {path.name for path in files}
    for secret in SECRETS:
        assert secret in memory_keyring.kept.values()
        assert not [line for line in seen if secret in line]
        assert not [text for text in said if secret in text]
        assert secret not in caplog.text
        assert not [path for path in files if secret.encode() in path.read_bytes()]


async def _session(profile: ServerProfile, secrets: ServerSecrets, folders: Folders) -> list[str]:
    """Test it, connect to it, and ask it; all that is said on the way, tracebacks too."""
    said = [repr(profile), repr(secrets)]
    async with aclosing(examine_server(profile, secrets, folders)) as steps:
        said += [repr(verdict) async for verdict in steps]
    try:
        async with connect(profile, secrets, folders) as client:
            said += [repr(client), repr(client.abilities)]
            async with aclosing(client.stream_turn(HELLO)) as events:
                said += [repr(event) async for event in events]
    except EngineError as error:
        said += [str(error), "".join(traceback.format_exception(error))]
    return said

"""A real ssh, to a real sshd of this machine; nothing of it is left, whoever is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from support.certificates import Authority
from support.examining import examine
from support.reverse_proxy import ReverseProxy
from support.serving import serving
from support.sshd import RunningSshd, needs_sshd, running_sshd
from support.worker import KEY, Worker, running_worker

from m1desk.engines import (
    Outcome,
    ServerProfile,
    ServerSecrets,
    SshTunnel,
    Step,
    connect,
)
from m1desk.engines.process import ProcessEnd
from m1desk.engines.remote.tunnel import explain_ssh, ssh_command
from m1desk.store import Folders

SECRETS = ServerSecrets(KEY)
OWNER = Path(__file__).with_name("standin_tunnel_owner.py")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def worker(tiny_llama: Path) -> Iterator[Worker]:
    with running_worker(tiny_llama) as running:
        yield running


def way(sshd: RunningSshd) -> SshTunnel:
    return SshTunnel(sshd.destination, config_file=str(sshd.config))


def profile_of(sshd: RunningSshd, worker: Worker) -> ServerProfile:
    return ServerProfile("far", str(worker.client.base_url), tunnel=way(sshd))


def ssh_processes(sshd: RunningSshd) -> list[psutil.Process]:
    """The ssh clients of these tests, and their guards."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = str(sshd.config) in process.cmdline()
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@needs_sshd
async def test_every_step_through_a_tunnel(sshd: RunningSshd, worker: Worker) -> None:
    verdicts = await examine(profile_of(sshd, worker), SECRETS)
    assert {one.outcome for one in verdicts.values()} <= {Outcome.OK, Outcome.WARNING}
    assert "test-gate" in verdicts[Step.TUNNEL].what
    assert Step.NAME not in verdicts
    assert ssh_processes(sshd) == []


@needs_sshd
async def test_tls_through_a_tunnel_is_for_the_servers_own_name(
    sshd: RunningSshd, worker: Worker, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("server", ["llm.example"])
    with serving(ReverseProxy(str(worker.client.base_url).rstrip("/")).app, files) as url:
        tunnel = replace(
            way(sshd), forward_host="127.0.0.1", forward_port=int(url.rpartition(":")[2])
        )
        profile = ServerProfile(
            "far", "https://llm.example", ca_file=str(authority.file), tunnel=tunnel
        )
        verdicts = await examine(profile, SECRETS)
    assert verdicts[Step.TLS].outcome is Outcome.OK
    assert verdicts[Step.STREAM].outcome is Outcome.OK


@needs_sshd
async def test_a_tunnel_that_was_cut_is_opened_again(sshd: RunningSshd, worker: Worker) -> None:
    async with connect(profile_of(sshd, worker), SECRETS, Folders.resolve()) as client:
        for process in ssh_processes(sshd):
            if process.name() == "ssh":
                process.kill()
        assert await client.count_text("hello") > 0
    assert ssh_processes(sshd) == []


@needs_sshd
async def test_nothing_at_the_other_end(sshd: RunningSshd) -> None:
    tunnel = replace(way(sshd), forward_host="127.0.0.1", forward_port=1)
    verdicts = await examine(ServerProfile("far", "http://far.example", tunnel=tunnel), SECRETS)
    assert verdicts[Step.TUNNEL].outcome is Outcome.OK
    assert verdicts[Step.TCP].outcome is Outcome.FAILED
    assert "127.0.0.1:1" in verdicts[Step.TCP].what


@needs_sshd
async def test_an_ssh_server_that_does_not_let_us_in(
    sshd: RunningSshd, worker: Worker, tmp_path: Path
) -> None:
    wrong = tmp_path / "config"
    wrong.write_text(sshd.config.read_text().replace("/user\n", "/host\n"))
    tunnel = SshTunnel(sshd.destination, config_file=str(wrong))
    verdicts = await examine(replace(profile_of(sshd, worker), tunnel=tunnel), SECRETS)
    assert verdicts[Step.TUNNEL].outcome is Outcome.FAILED
    assert verdicts[Step.TUNNEL].why == "The other machine does not let us in without asking."
    assert verdicts[Step.CHAT].outcome is Outcome.NOT_REACHED


@needs_sshd
def test_kill_9_leaves_no_ssh(sshd: RunningSshd) -> None:
    owner = subprocess.Popen(
        [sys.executable, str(OWNER), sshd.destination, str(sshd.config)],
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline().strip() == b"open"
        assert any(process.name() == "ssh" for process in ssh_processes(sshd))
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    deadline = time.monotonic() + 20
    while ssh_processes(sshd) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ssh_processes(sshd) == []


def test_the_command_line_asks_nobody_and_shares_nothing() -> None:
    argv = ssh_command(SshTunnel("me@gate", 2222), 5000, "::1:8000")
    assert argv[-4:] == ("-L", "127.0.0.1:5000:[::1]:8000", "--", "me@gate")
    assert {"BatchMode=yes", "ExitOnForwardFailure=yes", "ControlPath=none"} <= set(argv)
    assert argv[argv.index("-p") + 1] == "2222"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ssh: Could not resolve hostname gate: Name or service not known", "name is not known"),
        ("ssh: connect to host gate port 22: Connection refused", "No ssh server"),
        ("ssh: connect to host gate port 22: Connection timed out", "can't be reached"),
        ("Host key verification failed.", "host key is not known"),
        ("me@gate: Permission denied (publickey).", "without asking"),
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!", "another host key"),
        ("something new", "something new"),
        ("", "without a word"),
    ],
)
def test_what_ssh_says_becomes_readable(said: str, words: str) -> None:
    error = explain_ssh(SshTunnel("me@gate"), said, ProcessEnd(None, None))
    assert words in error.why
    assert error.todo

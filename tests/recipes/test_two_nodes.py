"""A real cluster: vLLM on two machines from a recipe's files, asked from a third, and then broken.

The machines are namespaces (support/nodes.py). The tests share them, and the last one breaks them.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing
from dataclasses import dataclass
from typing import Final

import psutil
import pytest
from support.certificates import Authority
from support.examining import examine, failed_steps
from support.nodes import Node, running_nodes, skip_without_nodes
from support.programs import needs_nginx
from support.sshd import RunningSshd, needs_sshd, running_sshd
from support.vllm_recipe import MODEL_NAME, CpuVllm, is_well, key_of, wait_until_well

from m1desk.engines import (
    Outcome,
    RemoteClient,
    ServerProfile,
    ServerSecrets,
    SshTunnel,
    Step,
    connect,
)
from m1desk.engines.environments.values import EngineEnvironment
from m1desk.engines.turn import ChatMessage, ChatRequest, SamplingParameters, TextDelta
from m1desk.errors import EngineStalled
from m1desk.recipes import RecipeOptions
from m1desk.store import Folders

pytestmark = [needs_nginx, needs_sshd]

HOST: Final = "m1.example"
"""What the cluster is called; no name service knows it."""
PROMISE_SECONDS: Final = 20
"""A stall is told after so long at most: the product's promise, not a measurement."""
OWNER: Final = """
import time
from support.nodes import running_nodes
with running_nodes(1) as (node,):
    print(node.number, flush=True)
    time.sleep(300)
"""
PIECES: Final = 5
LONG: Final = ChatRequest(
    (ChatMessage("user", "Write."),), SamplingParameters(max_tokens=3500, temperature=0)
)


@dataclass(frozen=True)
class Cluster:
    """The machines, and all that a client must know."""

    head: Node
    other: Node
    serving: psutil.Process
    sshd: RunningSshd
    ca_file: str
    key: str

    @property
    def secrets(self) -> ServerSecrets:
        return ServerSecrets(self.key)

    @property
    def over_tls(self) -> ServerProfile:
        url = f"https://{self.head.front}:8443"
        return ServerProfile("over TLS", url, ca_file=self.ca_file)

    @property
    def through_ssh(self) -> ServerProfile:
        """TLS inside, for the name of a machine that only the other end of the tunnel reaches."""
        return ServerProfile(
            "through ssh",
            f"https://{HOST}:8443",
            ca_file=self.ca_file,
            tunnel=self.tunnel("127.0.0.1", 8443),
        )

    @property
    def past_the_proxy(self) -> ServerProfile:
        """Through ssh to vLLM's own port."""
        return ServerProfile("past the proxy", "http://127.0.0.1:8000", tunnel=self.tunnel())

    def tunnel(self, host: str = "", port: int = 0) -> SshTunnel:
        config = str(self.sshd.config)
        return SshTunnel(
            self.sshd.destination, forward_host=host, forward_port=port, config_file=config
        )


@pytest.fixture(scope="module")
def cluster(
    vllm_environment: EngineEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two machines, started as the recipe's README says; for the last test to break."""
    skip_without_nodes()
    place = tmp_path_factory.mktemp("cluster")
    vllm = CpuVllm(vllm_environment, place / "vllm")
    vllm.prepare()
    authority = Authority(place)
    with ExitStack() as held:
        head, other = held.enter_context(running_nodes(2))
        certificate = authority.issue("server", [head.front, HOST])
        options = RecipeOptions(
            host=HOST,
            certificate=str(certificate.certificate),
            certificate_key=str(certificate.key),
            arguments=(*vllm.arguments, "-O1"),  # stages that are not compiled end when asked
            environment=vllm.variables,
        )
        recipe = vllm.recipe(2, options)
        log = place / "serve.log"
        folders = [vllm.install(recipe, place / node.name) for node in (head, other)]
        head.run("env", "--chdir", str(folders[0]), "./new-keys.sh")
        scripts = [
            node.start(folder, "./serve.sh", str(rank), head.address, log=log)
            for rank, (node, folder) in enumerate(zip((head, other), folders, strict=True))
        ]
        scripts.append(head.start(folders[0], "./proxy.sh", log=place / "proxy.log"))
        sshd = held.enter_context(
            running_sshd(place / "sshd", address=head.front, before=head.command())
        )
        wait_until_well(f"https://{head.front}:8443", str(authority.file), scripts, log)
        (serving,) = psutil.Process(scripts[0].pid).children()
        key = key_of(folders[0])
        yield Cluster(head, other, serving, sshd, str(authority.file), key)


def test_nothing_of_the_machines_is_left_when_the_tests_are_killed() -> None:
    skip_without_nodes()
    before = set(psutil.net_if_addrs())
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    try:
        number = int(owner.stdout.readline())
        made = set(psutil.net_if_addrs()) - before
        assert made
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    until = time.monotonic() + 60
    while psutil.pid_exists(number) or made & set(psutil.net_if_addrs()):
        assert time.monotonic() < until, "a machine outlives whoever made it"
        time.sleep(0.05)


async def test_every_step_over_tls_with_an_authority_of_its_own(cluster: Cluster) -> None:
    verdicts = await examine(cluster.over_tls, cluster.secrets)
    assert failed_steps(verdicts) == []
    assert "is for" in verdicts[Step.TLS].what
    assert "nginx" in verdicts[Step.HTTP].what
    assert verdicts[Step.KEY].what == "The key is accepted."
    assert verdicts[Step.MODELS].what == f"{MODEL_NAME} (4,096 tokens)."
    assert verdicts[Step.STREAM].outcome is Outcome.OK
    assert verdicts[Step.ABILITIES].what.startswith("vllm")
    # the proxy shows the counters, and keeps all else that asks for no key to itself
    assert "counters" not in verdicts[Step.ABILITIES].why
    assert "does not count tokens" in verdicts[Step.ABILITIES].why


async def test_an_authority_that_nobody_named_is_not_trusted(cluster: Cluster) -> None:
    stranger = ServerProfile("stranger", cluster.over_tls.base_url)
    assert failed_steps(await examine(stranger, cluster.secrets)) == [Step.TLS]


@pytest.mark.parametrize(("key", "words"), [("wrong-key", "not accept"), ("", "wants a key")])
async def test_a_key_that_is_wrong_or_absent(cluster: Cluster, key: str, words: str) -> None:
    verdicts = await examine(cluster.over_tls, ServerSecrets(key))
    assert failed_steps(verdicts) == [Step.KEY]
    assert words in verdicts[Step.KEY].what


async def test_every_step_through_ssh(cluster: Cluster) -> None:
    verdicts = await examine(cluster.through_ssh, cluster.secrets)
    assert failed_steps(verdicts) == []
    assert verdicts[Step.TUNNEL].outcome is Outcome.OK
    assert HOST in verdicts[Step.TLS].what
    assert "counters" not in verdicts[Step.ABILITIES].why


async def test_every_step_through_ssh_to_the_engine_itself(cluster: Cluster) -> None:
    verdicts = await examine(cluster.past_the_proxy, cluster.secrets)
    assert failed_steps(verdicts) == []
    assert Step.TLS not in verdicts
    assert "0.32.0" in verdicts[Step.ABILITIES].what
    assert "does not count tokens" not in verdicts[Step.ABILITIES].why


async def test_a_machine_lost_in_mid_stream_is_told_within_20_seconds(cluster: Cluster) -> None:
    ways = (cluster.over_tls, cluster.through_ssh, cluster.past_the_proxy)
    async with AsyncExitStack() as held:
        clients = [
            await held.enter_async_context(connect(way, cluster.secrets, Folders.resolve()))
            for way in ways
        ]
        begun = [asyncio.Event() for _ in ways]
        async with asyncio.TaskGroup() as group:
            answers = [
                group.create_task(until_it_stalls(client, event))
                for client, event in zip(clients, begun, strict=True)
            ]
            for event in begun:
                await event.wait()
            await asyncio.to_thread(cluster.other.lose)
        for stalled in (answer.result() for answer in answers):
            assert stalled.what == "The server has stopped working on the answer."
            assert "its counters say that it reads and writes nothing" in stalled.why
            assert silent_seconds(stalled) <= PROMISE_SECONDS
        assert [client.abilities.metrics_path for client in clients] == [
            "/v1/metrics",
            "/v1/metrics",
            "/metrics",
        ]
        # what makes the watch needed: the server is well, and its requests are still running
        assert (await clients[0].metrics()).running == len(ways)
        assert is_well(cluster.over_tls.base_url, cluster.ca_file)
    await asyncio.to_thread(ends_without_a_trace, cluster)


async def until_it_stalls(client: RemoteClient, begun: asyncio.Event) -> EngineStalled:
    """Ask for a long answer, and say when it has begun."""
    pieces = 0
    try:
        async with aclosing(client.stream_turn(LONG)) as events:
            async for event in events:
                pieces += isinstance(event, TextDelta)
                if pieces == PIECES:
                    begun.set()
    except EngineStalled as stalled:
        return stalled
    raise AssertionError("the answer came to its end")


def silent_seconds(stalled: EngineStalled) -> int:
    """By the watchdog's own clock, as it says."""
    said = re.search(r"Nothing has come for (\d+) seconds", stalled.why)
    assert said is not None, stalled.why
    return int(said[1])


def ends_without_a_trace(cluster: Cluster) -> None:
    """What is left of the group ends by SIGTERM to its script, as the recipe promises."""
    cluster.serving.terminate()
    cluster.serving.wait(60)
    left = [words for words in cluster.head.processes().values() if "vllm" in words.casefold()]
    assert left == []
    assert "psm_" not in cluster.head.run("ls", "/dev/shm")

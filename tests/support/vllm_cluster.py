"""A cluster of two machines that runs a real vLLM from a recipe's files, for several test files.

The machines are namespaces (nodes.py). Starting them takes minutes, so that they are started once.
Registered as a plugin by tests/conftest.py: a test asks for them by naming `vllm_cluster`, and the
one that breaks them by naming `vllm_cluster_to_break`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil
import pytest
from support.certificates import Authority
from support.nodes import Node, running_nodes, skip_without_nodes
from support.sshd import RunningSshd, running_sshd
from support.vllm_recipe import CpuVllm, key_of, wait_until_well

from m1desk.engines import ServerProfile, ServerSecrets, SshTunnel
from m1desk.recipes import RecipeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m1desk.engines.environments.values import EngineEnvironment

HOST: Final = "m1.example"
"""What the cluster is called; no name service knows it."""
_TO_BREAK: Final = "vllm_cluster_to_break"


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
            tunnel=self._tunnel("127.0.0.1", 8443),
        )

    @property
    def past_the_proxy(self) -> ServerProfile:
        """Through ssh to vLLM's own port."""
        url = "http://127.0.0.1:8000"
        return ServerProfile("past the proxy", url, tunnel=self._tunnel())

    def end_serving(self) -> None:
        """End by SIGTERM to its script what the first machine runs, as the recipe promises."""
        self.serving.terminate()
        self.serving.wait(60)

    def _tunnel(self, host: str = "", port: int = 0) -> SshTunnel:
        config = str(self.sshd.config)
        return SshTunnel(
            self.sshd.destination, forward_host=host, forward_port=port, config_file=config
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with the cluster one after the other, whoever breaks it last.

    So it runs beside no other test, and their order in the files and folders does not matter.
    """
    users = [item for item in items if "vllm_cluster" in getattr(item, "fixturenames", ())]
    if not users:
        return
    last = items.index(users[-1])
    before = [item for item in items[:last] if item not in users]
    users.sort(key=lambda item: _TO_BREAK in getattr(item, "fixturenames", ()))
    items[:] = [*before, *users, *items[last + 1 :]]


@pytest.fixture(scope="session")
def vllm_cluster(
    vllm_environment: EngineEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two machines, started as the recipe's README says."""
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


@pytest.fixture
def vllm_cluster_to_break(vllm_cluster: Cluster) -> Cluster:
    """The cluster, for the last test that wants it."""
    return vllm_cluster

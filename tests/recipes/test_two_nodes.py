"""A real cluster: vLLM on two machines from a recipe's files, asked from a third.

It is the cluster of support/vllm_cluster.py; tests/ui/test_cluster_app.py breaks it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import psutil
import pytest
from support.examining import examine, failed_steps
from support.nodes import skip_without_nodes
from support.programs import needs_nginx
from support.sshd import needs_sshd
from support.vllm_cluster import HOST
from support.vllm_recipe import MODEL_NAME

from m1desk.engines import Outcome, ServerProfile, ServerSecrets, Step

if TYPE_CHECKING:
    from support.vllm_cluster import Cluster

pytestmark = [needs_nginx, needs_sshd]

OWNER: Final = """
import time
from support.nodes import running_nodes
with running_nodes(1) as (node,):
    print(node.number, flush=True)
    time.sleep(300)
"""


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


async def test_every_step_over_tls_with_an_authority_of_its_own(vllm_cluster: Cluster) -> None:
    verdicts = await examine(vllm_cluster.over_tls, vllm_cluster.secrets)
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


async def test_an_authority_that_nobody_named_is_not_trusted(vllm_cluster: Cluster) -> None:
    stranger = ServerProfile("stranger", vllm_cluster.over_tls.base_url)
    assert failed_steps(await examine(stranger, vllm_cluster.secrets)) == [Step.TLS]


@pytest.mark.parametrize(("key", "words"), [("wrong-key", "not accept"), ("", "wants a key")])
async def test_a_key_that_is_wrong_or_absent(vllm_cluster: Cluster, key: str, words: str) -> None:
    verdicts = await examine(vllm_cluster.over_tls, ServerSecrets(key))
    assert failed_steps(verdicts) == [Step.KEY]
    assert words in verdicts[Step.KEY].what


async def test_every_step_through_ssh(vllm_cluster: Cluster) -> None:
    verdicts = await examine(vllm_cluster.through_ssh, vllm_cluster.secrets)
    assert failed_steps(verdicts) == []
    assert verdicts[Step.TUNNEL].outcome is Outcome.OK
    assert HOST in verdicts[Step.TLS].what
    assert "counters" not in verdicts[Step.ABILITIES].why


async def test_every_step_through_ssh_to_the_engine_itself(vllm_cluster: Cluster) -> None:
    verdicts = await examine(vllm_cluster.past_the_proxy, vllm_cluster.secrets)
    assert failed_steps(verdicts) == []
    assert Step.TLS not in verdicts
    assert "0.32.0" in verdicts[Step.ABILITIES].what
    assert "does not count tokens" not in verdicts[Step.ABILITIES].why

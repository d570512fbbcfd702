"""A real vLLM with a key, behind an nginx that adds a path: what each step of the test says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.certificates import Authority
from support.examining import examine, failed_steps
from support.programs import free_port, needs_nginx, running_nginx
from support.vllm_recipe import MODEL_NAME, CpuVllm, key_of, wait_until_well

from m1desk.engines import Outcome, ServerProfile, ServerSecrets, Step
from m1desk.engines.environments.values import EngineEnvironment
from m1desk.recipes import RecipeOptions

pytestmark = needs_nginx

PREFIX = "/team/lab"


@dataclass(frozen=True)
class Guarded:
    """Where it is, without the path, and what it asks for."""

    origin: str
    ca_file: str
    key: str

    def at(self, prefix: str) -> ServerProfile:
        return ServerProfile("lab", self.origin + prefix, ca_file=self.ca_file)


@pytest.fixture(scope="module")
def guarded(
    vllm_environment: EngineEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """One machine's recipe, with another nginx than its own in front."""
    place = tmp_path_factory.mktemp("vllm")
    vllm = CpuVllm(vllm_environment, place / "vllm")
    vllm.prepare()
    port = free_port()
    options = RecipeOptions(
        engine_port=port,
        launcher="module",
        arguments=(*vllm.arguments, "--enforce-eager"),
        environment=(*vllm.variables, ("VLLM_ENABLE_V1_MULTIPROCESSING", "0")),
    )
    folder = vllm.install(vllm.recipe(1, options), place / "recipe")
    subprocess.run(["./new-keys.sh"], cwd=folder, check=True, capture_output=True)
    log = place / "serve.log"
    with log.open("wb") as output:
        serving = subprocess.Popen(
            # SIGTERM from the system, should these tests be killed
            ["setpriv", "--pdeathsig", "TERM", "./serve.sh"],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(place), "TMPDIR": str(place)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_well(f"http://127.0.0.1:{port}", "", [serving], log)
        authority = Authority(place)
        onward = {f"{PREFIX}/": f"proxy_pass http://127.0.0.1:{port}/; proxy_buffering off;"}
        with running_nginx(place, authority.issue("server"), onward) as origin:
            yield Guarded(origin, str(authority.file), key_of(folder))
    finally:
        serving.terminate()
        serving.wait(60)


async def test_every_step_with_the_path_and_the_key(guarded: Guarded) -> None:
    verdicts = await examine(guarded.at(PREFIX), ServerSecrets(guarded.key))
    assert failed_steps(verdicts) == []
    assert f"{PREFIX}/v1/models" in verdicts[Step.PATH].what
    assert verdicts[Step.KEY].what == "The key is accepted."
    assert verdicts[Step.MODELS].what == f"{MODEL_NAME} (4,096 tokens)."
    assert verdicts[Step.STREAM].outcome is Outcome.OK
    assert "vllm 0.32.0" in verdicts[Step.ABILITIES].what
    assert "counters" not in verdicts[Step.ABILITIES].why


@pytest.mark.parametrize(("key", "words"), [("wrong-key", "not accept"), ("", "wants a key")])
async def test_a_key_that_is_wrong_or_absent(guarded: Guarded, key: str, words: str) -> None:
    verdicts = await examine(guarded.at(PREFIX), ServerSecrets(key))
    assert failed_steps(verdicts) == [Step.KEY]
    assert words in verdicts[Step.KEY].what
    assert verdicts[Step.KEY].why == "Unauthorized"
    assert verdicts[Step.PATH].what == "Something is there, behind a key."
    assert verdicts[Step.CHAT].outcome is Outcome.NOT_REACHED


@pytest.mark.parametrize("prefix", ["", "/team"])
async def test_a_path_that_is_wrong_or_absent(guarded: Guarded, prefix: str) -> None:
    verdicts = await examine(guarded.at(prefix), ServerSecrets(guarded.key))
    assert failed_steps(verdicts) == [Step.PATH]
    assert "404" in verdicts[Step.PATH].why

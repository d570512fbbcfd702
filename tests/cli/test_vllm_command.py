"""`m1desk chat` and `m1desk serve` with a folder for vLLM: what is refused, in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tiny_checkpoint import write_tiny_checkpoint

from m1desk.__main__ import main
from m1desk.cli.vllm import wants_vllm, wish_of
from m1desk.engines.environments.store import EnvironmentStore
from m1desk.engines.environments.values import VLLM, EngineEnvironment, EnvironmentAnswer
from m1desk.errors import BadInput
from m1desk.store import Folders


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_checkpoint(tmp_path / "tiny")


def keep_environment(home: Path, version: str, **removed: str) -> None:
    """Keep an environment that is never started."""
    folders = Folders.under(home)
    python = home / "python"
    python.touch()
    environment = EngineEnvironment("mine", VLLM, "vllm", version, python, False, None)
    answer = EnvironmentAnswer("vllm", version, "3.12", ("cuda",), removed=tuple(removed.items()))
    store = EnvironmentStore.of(folders)
    with store.locked():
        store.keep(environment, answer)


def test_a_folder_is_for_vllm_and_a_file_is_not(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    assert wants_vllm(tmp_path, "", "")
    assert wants_vllm(file, "vllm", "")
    assert wants_vllm(file, "", "mine")
    assert not wants_vllm(file, "", "")
    assert not wants_vllm(tmp_path, "llama.cpp", "")
    with pytest.raises(BadInput, match="no engine"):
        wants_vllm(file, "ollama", "")
    with pytest.raises(BadInput, match="needs none"):
        wants_vllm(file, "llama.cpp", "mine")
    with pytest.raises(BadInput, match="vLLM only"):
        wants_vllm(file, "", "", tmp_path / "tools.jinja")


def test_options_are_read_as_vllm_understands_them() -> None:
    assert wish_of(None, "f16", -1, 4, 0).context_tokens is None
    assert wish_of(8192, "f16", -1, 4, 0).context_tokens == 8192
    wish = wish_of(4096, "fp8", -1, 4, 8000)
    assert (wish.context_tokens, wish.kv_type, wish.parallel, wish.port) == (4096, "fp8", 4, 8000)
    with pytest.raises(BadInput, match="q8_0"):
        wish_of(8192, "q8_0", -1, 4, 0)
    with pytest.raises(BadInput, match="all layers"):
        wish_of(8192, "f16", 3, 4, 0)


def test_without_an_environment_it_says_how_to_get_one(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tiny)]) != 0
    assert "m1desk engines install vllm" in capsys.readouterr().err


def test_an_environment_that_removed_the_model_is_refused(
    home: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_environment(home, "0.32.0", LlamaForCausalLM="0.31.0")
    assert main(["chat", str(tiny), "--environment", "mine", "-p", "hello"]) != 0
    said = capsys.readouterr().err
    assert "does not run in mine" in said
    assert "0.31.0" in said


def test_an_unknown_environment_is_named(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tiny), "--environment", "nowhere"]) != 0
    assert '"nowhere"' in capsys.readouterr().err

"""Generated models load in real llama.cpp, tokenize, decode and say what their specs promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import jinja2
import numpy as np
import pytest
from support.bare_llama import BareLlama

from m1desk.llama_worker.tiny_model import (
    BENCHMARK_MODEL,
    CALIBRATION_MODEL,
    Architecture,
    Quantization,
    TinyModelSpec,
    plan_tensors,
    write_calibration_model,
    write_tiny_model,
)

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURES: tuple[Architecture, ...] = ("llama", "minimax-01")
TEXT = "Hello world, the thing is on the table; ünïcödé 日本 🙂\n    x = 1\n\n\tend ."
SCRIPT = ("<think>", "Thinking it over.", "</think>", "Good", " morning.\n")

M1_CHAT = (
    "<begin_of_document>"
    "<beginning_of_sentence>system ai_setting=assistant\nBe brief.<end_of_sentence>\n"
    "<beginning_of_sentence>system tool_setting=tools\nYou are provided with these tools:\n"
    '<tools>\n{"name": "weather"}\n</tools>\n\nIf you need to call tools, please respond with '
    "<tool_calls></tool_calls> XML tags, and provide tool-name and json-object of arguments, "
    "following the format below:\n<tool_calls>\n"
    "{name: <tool-name-1>, arguments: <args-json-object-1>}\n...\n</tool_calls>"
    "<end_of_sentence>\n"
    "<beginning_of_sentence>user name=user\nWeather?<end_of_sentence>\n"
    "<beginning_of_sentence>ai name=assistant\nI look.<end_of_sentence>\n"
    "<beginning_of_sentence>tool name=tools\ntool name: weather\ntool result: sun\n\n"
    "<end_of_sentence>\n"
    "<beginning_of_sentence>ai name=assistant\n"
)


def _chat_prompt(spec: TinyModelSpec, messages: list[dict[str, Any]], **more: Any) -> str:
    template = jinja2.Environment().from_string(spec.vocabulary().chat_template)
    return template.render(messages=messages, add_generation_prompt=True, **more)


@pytest.mark.parametrize("quantization", ["F32", "F16", "Q8_0", "Q5_0", "Q4_0"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kind_of_file_loads_and_answers_the_same_twice(
    tmp_path: Path, architecture: Architecture, quantization: Quantization
) -> None:
    spec = TinyModelSpec(architecture=architecture, quantization=quantization)
    path = write_tiny_model(tmp_path / "model.gguf", spec)

    with BareLlama(path) as llama:
        prompt = llama.tokenize("Once upon a time")
        first, second = llama.greedy(prompt, 20), llama.greedy(prompt, 20)

    assert first == second
    assert len(set(first)) > 3  # it does not say one token only


def test_m1s_architecture_has_recurrent_layers_and_the_dense_one_has_not(tmp_path: Path) -> None:
    kinds = {}
    for architecture in ARCHITECTURES:
        path = write_tiny_model(
            tmp_path / f"{architecture}.gguf", TinyModelSpec(architecture=architecture)
        )
        with BareLlama(path) as llama:
            kinds[llama.metadata("general.architecture")] = llama.is_hybrid

    assert kinds == {"llama": False, "minimax-01": True}


def test_equal_specs_make_equal_files_and_seeds_make_different_ones(tmp_path: Path) -> None:
    spec, other = TinyModelSpec(seed=3), TinyModelSpec(seed=4)

    once = write_tiny_model(tmp_path / "a.gguf", spec).read_bytes()
    again = write_tiny_model(tmp_path / "b.gguf", spec).read_bytes()
    different = write_tiny_model(tmp_path / "c.gguf", other).read_bytes()

    assert once == again
    assert once != different


def test_the_file_carries_what_the_spec_says(tmp_path: Path) -> None:
    spec = TinyModelSpec(
        architecture="minimax-01", context_tokens=8192, name="small one", chat_template="{{ 1 }}"
    )
    with BareLlama(write_tiny_model(tmp_path / "model.gguf", spec)) as llama:
        assert llama.metadata("general.name") == "small one"
        assert llama.metadata("minimax-01.context_length") == "8192"
        assert llama.metadata("tokenizer.chat_template") == "{{ 1 }}"
        assert llama.metadata("minimax-01.rope.dimension_count") == "8"  # half a head, as M1


def test_a_model_can_be_without_a_chat_template(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "model.gguf", TinyModelSpec(chat_template=""))

    with BareLlama(path) as llama:
        assert llama.metadata("tokenizer.chat_template") is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_text_survives_tokenizing_and_words_are_merged(
    tmp_path: Path, architecture: Architecture
) -> None:
    path = write_tiny_model(tmp_path / "model.gguf", TinyModelSpec(architecture=architecture))

    with BareLlama(path) as llama:
        tokens = llama.tokenize(TEXT)
        assert llama.detokenize(tokens) == TEXT
        assert len(tokens) < len(TEXT.encode())
        assert len(llama.tokenize(" the")) == 1


def test_m1s_special_tokens_are_tokens_and_only_the_end_of_a_sentence_ends(
    tmp_path: Path,
) -> None:
    path = write_tiny_model(tmp_path / "model.gguf", TinyModelSpec(architecture="minimax-01"))

    with BareLlama(path) as llama:
        names = ["<begin_of_document>", "<beginning_of_sentence>", "<end_of_sentence>"]
        ids = [llama.tokenize(name) for name in names]
        assert [len(found) for found in ids] == [1, 1, 1]
        assert [llama.is_end(found[0]) for found in ids] == [False, False, True]
        assert llama.detokenize(llama.tokenize("<think>so</think>")) == "<think>so</think>"
        assert len(llama.tokenize("<end_of_sentence>", special=False)) > 1


def test_a_readable_model_answers_in_printable_text(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "model.gguf", TinyModelSpec(readable=True))

    with BareLlama(path) as llama:
        answer = llama.detokenize(llama.greedy(llama.tokenize("Tell me a story."), 100))

    assert answer.isascii()
    assert answer.isprintable()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_scripted_model_says_its_script_and_ends(
    tmp_path: Path, architecture: Architecture
) -> None:
    spec = TinyModelSpec(architecture=architecture, script=SCRIPT)
    path = write_tiny_model(tmp_path / "model.gguf", spec)
    prompt = _chat_prompt(spec, [{"role": "user", "content": "Good morning?"}])

    with BareLlama(path) as llama:
        answer = llama.greedy(llama.tokenize(prompt), len(SCRIPT) + 1)
        said = llama.detokenize(answer)
        assert said == "<think>Thinking it over.</think>Good morning.\n"
        assert [llama.is_end(token) for token in answer] == [False] * len(SCRIPT) + [True]
        assert llama.tokenize(said) == answer[:-1]  # a later turn reads the same tokens again


def test_m1s_template_says_what_m1s_own_says() -> None:
    def parts(text: str, **more: str) -> list[dict[str, str]]:
        return [{"type": "text", "text": text, **more}]

    prompt = _chat_prompt(
        TinyModelSpec(architecture="minimax-01"),
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": parts("Weather?")},
            {"role": "assistant", "content": "I look."},
            {"role": "tool", "content": parts("sun", name="weather")},
        ],
        tools=[{"name": "weather"}],
    )

    assert prompt == M1_CHAT


def test_chatml_template() -> None:
    prompt = _chat_prompt(TinyModelSpec(), [{"role": "user", "content": "Hi"}])

    assert prompt == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_calibration_model_is_of_a_real_size_and_decodes(tmp_path: Path) -> None:
    path = write_calibration_model(tmp_path / "calibration.gguf")

    assert 60e6 < sum(int(np.prod(plan.shape)) for plan in plan_tensors(CALIBRATION_MODEL)) < 80e6
    with BareLlama(path) as llama:
        logits = llama.logits(list(range(8)))
        assert np.isfinite(logits).all()
        assert logits.std() > 0.5


def test_the_benchmark_model_is_as_big_as_it_says() -> None:
    parameters = sum(int(np.prod(plan.shape)) for plan in plan_tensors(BENCHMARK_MODEL))

    assert 340e6 < parameters < 360e6


def test_quantized_weights_are_stored_as_such(tmp_path: Path) -> None:
    spec = TinyModelSpec(architecture="minimax-01", quantization="Q8_0")
    reader = gguf.GGUFReader(write_tiny_model(tmp_path / "model.gguf", spec))

    types = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}

    assert types["blk.0.attn_qkv.weight"] == "Q8_0"
    assert types["blk.0.ffn_gate_inp.weight"] == "F32"
    assert types["blk.0.attn_norm.weight"] == "F32"


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensor_data", disk_full)

    with pytest.raises(OSError, match="No space left"):
        write_tiny_model(tmp_path / "model.gguf")
    assert list(tmp_path.glob("*.gguf*")) == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"heads": 3}, "can't share"),
        ({"architecture": "minimax-01", "layers": 1}, "two layers"),
        ({"quantization": "Q8_0", "width": 48}, "multiple of 32"),
        ({"random_blocks": True}, "Q8_0 only"),
        ({"script": ("a", "a")}, "must be different"),
    ],
)
def test_impossible_specs_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TinyModelSpec(**wrong)

"""Model files that pass for whole and break the engine: always a clear failure, never a hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.gguf_surgery import ARRAY, STRING, Gguf, read_gguf

from m1desk.engines import EngineCalibration, EngineState, LlamaEngine, LlamaSettings
from m1desk.store import Folders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SafeSettings:
    """What a calibration might have found."""

    def get(self, key: str) -> dict[str, object]:
        return EngineCalibration(threads=1, self_test="safe_only").to_dict()

    def put(self, key: str, value: object) -> None:
        raise AssertionError("loading measures nothing")


def number(key: str, value: float) -> Callable[[Gguf], None]:
    """Change a number of the architecture's."""

    def change(model: Gguf) -> None:
        full = f"{model.architecture}.{key}"
        model.metadata[full] = (model.metadata[full][0], value)

    return change


def tokenizer(kind: str) -> Callable[[Gguf], None]:
    def change(model: Gguf) -> None:
        model.metadata["tokenizer.ggml.model"] = (STRING, kind)

    return change


def half(key: str) -> Callable[[Gguf], None]:
    """Leave the second half of a list out."""

    def change(model: Gguf) -> None:
        inner, entries = model.metadata[key][1]
        model.metadata[key] = (ARRAY, (inner, entries[: len(entries) // 2]))

    return change


def without(name: str) -> Callable[[Gguf], None]:
    def change(model: Gguf) -> None:
        model.tensors.remove(model.tensor(name))

    return change


def foreign(name: str) -> Callable[[Gguf], None]:
    """Call the architecture something that the engine knows, and that this is not."""

    def change(model: Gguf) -> None:
        old = f"{model.architecture}."
        model.metadata = {
            key.replace(old, f"{name}.") if key.startswith(old) else key: value
            for key, value in model.metadata.items()
        }
        model.metadata["general.architecture"] = (STRING, name)

    return change


DAMAGES = {
    "no heads": ("tiny_llama", number("attention.head_count", 0)),
    "absurd heads": ("tiny_minimax", number("attention.head_count", 2**32 - 1)),
    "absurd layers": ("tiny_llama", number("block_count", 4000)),
    "absurd experts": ("tiny_minimax", number("expert_used_count", 2**31)),
    "epsilon that is no number": ("tiny_minimax", number("attention.layer_norm_rms_epsilon", -1.0)),
    "rotation of nothing": ("tiny_minimax", number("rope.dimension_count", 0)),
    "rotation of too much": ("tiny_minimax", number("rope.dimension_count", 65535)),
    "half the kinds of tokens": ("tiny_llama", half("tokenizer.ggml.token_type")),
    "tokenizer without end": ("tiny_minimax", tokenizer("rwkv")),
    "tokenizer of another kind": ("tiny_llama", tokenizer("llama")),
    "no tokenizer": ("tiny_llama", tokenizer("none")),
    "tensor missing": ("tiny_minimax", without("blk.1.attn_qkv.weight")),
    "another architecture": ("tiny_minimax", foreign("jamba")),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_hostile_model_fails_with_words(
    damage: str, home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base, change = DAMAGES[damage]
    model = read_gguf(request.getfixturevalue(base))
    change(model)
    hostile = model.write(tmp_path / "hostile.gguf")
    engine = LlamaEngine(Folders.under(home), SafeSettings(), lambda _status: None)
    try:
        status = await engine.load(LlamaSettings(hostile, context_tokens=256, parallel=1))
        assert status.state is EngineState.FAILED
        failure = status.failure
        assert failure is not None
        assert failure.reason in {"bad_model_file", "crashed", "engine_error", "out_of_memory"}
        assert "hostile.gguf" in failure.what
        assert failure.why
        assert failure.todo
    finally:
        await engine.unload()
    assert engine.status.state is EngineState.STOPPED

"""Tiny models that several test rooms load, written once per test session.

Registered as a plugin by tests/conftest.py (`pytest_plugins = ["support.models"]`), so that a
test asks for a model by naming a fixture: `def test_x(tiny_minimax: Path)`.
The native library crashes on some machines (this project's CI among them) when quantized weights
are repacked: load `tiny_*_q8` with `use_extra_bufts` off, `--extra-buffers off` at the worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

SCRIPTED_REASONING = "The person greets me. I greet back."
SCRIPTED_ANSWER = "Hello! I am a very small model, and this is all I can say."
SCRIPT = (
    "<think>", "The person", " greets me.", " I greet", " back.", "</think>",
    "Hello!", " I am", " a very", " small model,", " and this", " is all", " I can", " say.",
)  # fmt: skip
"""What the scripted models answer to every chat: 14 tokens and the end."""


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder the models of this session are in."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny_llama(tiny_models: Path) -> Path:
    """A dense model in F32 (0.8 MB): any state of its memory can be cut at any token."""
    return write_tiny_model(tiny_models / "tiny-llama-F32.gguf", TinyModelSpec(name="tiny llama"))


@pytest.fixture(scope="session")
def tiny_minimax(tiny_models: Path) -> Path:
    """M1's architecture in F32 (2 MB): three of four layers are recurrent, 4 experts."""
    spec = TinyModelSpec(architecture="minimax-01", name="tiny minimax")
    return write_tiny_model(tiny_models / "tiny-minimax-F32.gguf", spec)


@pytest.fixture(scope="session")
def tiny_minimax_q8(tiny_models: Path) -> Path:
    """M1's architecture in Q8_0 (0.6 MB): for what only quantized weights go through."""
    spec = TinyModelSpec(architecture="minimax-01", quantization="Q8_0", name="tiny minimax q8")
    return write_tiny_model(tiny_models / "tiny-minimax-Q8_0.gguf", spec)


@pytest.fixture(scope="session")
def scripted_llama(tiny_models: Path) -> Path:
    """A dense model that answers every chat with SCRIPT and then ends by itself."""
    spec = TinyModelSpec(name="scripted llama", script=SCRIPT)
    return write_tiny_model(tiny_models / "scripted-llama-F32.gguf", spec)


@pytest.fixture(scope="session")
def scripted_minimax(tiny_models: Path) -> Path:
    """M1's architecture; answers every chat with SCRIPT and then ends by itself."""
    spec = TinyModelSpec(architecture="minimax-01", name="scripted minimax", script=SCRIPT)
    return write_tiny_model(tiny_models / "scripted-minimax-F32.gguf", spec)

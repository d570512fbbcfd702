"""The worker's own view of a model: its logits, and states that come back exactly."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from m1desk.llama_worker.context import (
    NO_KV_SPACE,
    Batch,
    Context,
    ContextOptions,
    batch_tokens,
)
from m1desk.llama_worker.model import LoadError, LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

RECORDED = Path(__file__).parents[1] / "data" / "m1_reference.npz"
MODELS = ("tiny_llama", "tiny_minimax")
TOKENS = [(7 * number) % 200 + 20 for number in range(300)]


@pytest.fixture(scope="module")
def native() -> Native:
    return Native()


@contextmanager
def opened(native: Native, path: Path, **options: int | str) -> Iterator[Context]:
    settings = {"context_tokens": 1024, "parallel": 2, **options}
    model = Model(native, LoadOptions(path, extra_buffers=False), lambda _fraction: None)
    context = Context(native, model, ContextOptions(**settings))  # type: ignore[arg-type]
    yield context
    context.close()
    model.close()


def read(
    native: Native, context: Context, tokens: list[int], *, start: int = 0, sequence: int = 0
) -> npt.NDArray[np.float32]:
    """Feed tokens to a sequence; the logits after the last one."""
    batch = Batch(native, len(tokens))
    index = batch.add(tokens, start, sequence, last_logits=True)
    assert context.decode(batch) == 0
    return context.logits(index).copy()


@pytest.mark.parametrize("chunk", [320, 64, 1])
def test_logits_of_m1s_architecture_agree_with_transformers(
    native: Native, tmp_path: Path, chunk: int
) -> None:
    with np.load(RECORDED) as recorded:
        spec = TinyModelSpec(**json.loads(str(recorded["spec"])))
        tokens, expected = recorded["tokens"].tolist(), recorded["logits"]
    model = write_tiny_model(tmp_path / "m1.gguf", spec)
    rows = []
    with opened(native, model, batch_tokens=512) as context:
        batch = Batch(native, 512)
        for start in range(0, len(tokens), chunk):
            batch.clear()
            batch.add(tokens[start : start + chunk], start, 0, last_logits=True)
            batch.want_all_logits()
            assert context.decode(batch) == 0
            rows += [context.logits(index).copy() for index in range(batch.size)]
    logits = np.stack(rows)
    assert np.abs(logits - expected).max() / np.abs(expected).max() <= 1e-3
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_a_restored_state_continues_exactly_beside_busy_sequences(
    native: Native, tiny_minimax: Path
) -> None:
    with opened(native, tiny_minimax) as context:
        read(native, context, TOKENS[:200])
        saved = context.save_recurrent(0)
        straight_on = read(native, context, TOKENS[200:], start=200)
        read(native, context, TOKENS[:50], sequence=1)
        assert context.restore_recurrent(0, saved)
        assert context.forget(0, 200)
        again = read(native, context, TOKENS[200:], start=200)
    assert np.abs(again - straight_on).max() == 0.0


def test_recurrent_memory_refuses_to_be_cut_without_its_state(
    native: Native, tiny_minimax: Path
) -> None:
    with opened(native, tiny_minimax) as context:
        read(native, context, TOKENS)
        assert not context.forget(0, 100)


def test_attention_memory_is_cut_exactly(native: Native, tiny_llama: Path) -> None:
    with opened(native, tiny_llama) as context:
        read(native, context, TOKENS[:200])
        straight_on = read(native, context, TOKENS[200:], start=200)
        assert context.forget(0, 200)
        again = read(native, context, TOKENS[200:], start=200)
    assert np.abs(again - straight_on).max() == 0.0


@pytest.mark.parametrize("name", MODELS)
def test_a_full_cache_is_said_and_nothing_is_changed(
    native: Native, name: str, request: pytest.FixtureRequest
) -> None:
    with opened(native, request.getfixturevalue(name), context_tokens=256) as context:
        read(native, context, TOKENS[:250])
        batch = Batch(native, 20)
        batch.add(TOKENS[:20], 0, 1, last_logits=True)
        assert context.decode(batch) == NO_KV_SPACE
        assert np.isfinite(read(native, context, TOKENS[250:254], start=250)).all()


def test_a_model_says_what_it_is(native: Native, tiny_minimax: Path) -> None:
    heard: list[float] = []
    model = Model(native, LoadOptions(tiny_minimax, extra_buffers=False), heard.append)
    facts = model.facts
    model.close()
    assert facts.architecture == "minimax-01"
    assert facts.needs_snapshots
    assert facts.name == "tiny minimax"
    assert facts.chat_template
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_token_byte_ends_follow_the_text(native: Native, tiny_llama: Path) -> None:
    model = Model(native, LoadOptions(tiny_llama, extra_buffers=False), lambda _fraction: None)
    text = "Hello, wörld"
    tokens = model.tokenize(text, add_special=False)
    ends = model.token_byte_ends(tokens)
    assert ends[-1] == len(text.encode())
    assert model.detokenize(tokens).decode() == text
    model.close()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [("architecture", "unknown_architecture"), ("truncated", "bad_model_file")],
)
def test_a_model_that_does_not_load_says_why(
    native: Native, tmp_path: Path, tiny_llama: Path, damage: str, reason: str
) -> None:
    data = tiny_llama.read_bytes()
    changed = {
        "architecture": data.replace(b"llama", b"lambs", 1),
        "truncated": data[: len(data) * 2 // 3],
    }[damage]
    path = tmp_path / "damaged.gguf"
    path.write_bytes(changed)
    with pytest.raises(LoadError) as caught:
        Model(native, LoadOptions(path, extra_buffers=False), lambda _fraction: None)
    assert caught.value.reason == reason
    assert caught.value.detail


def test_a_batch_is_as_large_as_was_asked(native: Native, tiny_llama: Path) -> None:
    assert batch_tokens(64) == 512
    most = batch_tokens(4096)
    with opened(
        native, tiny_llama, context_tokens=4096, batch_tokens=most, ubatch_tokens=4096
    ) as context:
        assert context.ubatch_tokens == context.batch_tokens == 4096

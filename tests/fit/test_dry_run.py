"""The engine's dry run: exact figures of a model nobody has downloaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from m1desk.errors import BadInput
from m1desk.fit import (
    Variant,
    Wished,
    exact_needs,
    known_variants,
    needs_of,
    variant_from_header,
)
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.models import read_gguf_header

COMMAND = [sys.executable, "-m", "m1desk.llama_worker"]
MIB = 1 << 20


def test_the_engine_agrees_about_the_whole_of_m1(m1: dict[str, Variant]) -> None:
    wished = Wished(131_072, parallel=2)
    ours = needs_of(m1["IQ1_M"], wished)
    engines = exact_needs(m1["IQ1_M"], wished, COMMAND).needs
    assert engines.weights == ours.weights
    assert engines.kv_cache == ours.kv_cache
    assert engines.state == ours.state
    assert engines.compute / MIB == pytest.approx(444, rel=0.01)
    assert ours.compute == pytest.approx(engines.compute, rel=0.01)


@pytest.mark.parametrize(
    "model",
    ["Llama-3.1-8B", "Qwen3-8B", "Qwen3-0.6B", "Qwen3-32B", "Qwen3-30B-A3B", "Mistral-7B-v0.3"],
)
def test_the_formulas_agree_with_the_engine_about_known_models(model: str) -> None:
    (variant,) = known_variants(model, ("Q4_K_M",))
    for wished in (Wished(32_768), Wished(32_768, kv_type="q8_0", ubatch_tokens=1024)):
        engines, ours = exact_needs(variant, wished, COMMAND).needs, needs_of(variant, wished)
        assert ours.weights == engines.weights
        assert ours.kv_cache == engines.kv_cache
        assert ours.compute == pytest.approx(engines.compute, rel=0.05)


def test_a_header_from_afar_gives_what_the_whole_file_gives(tmp_path: Path) -> None:
    spec = TinyModelSpec(architecture="minimax-01", vocabulary_tokens=4096)
    header = read_gguf_header(write_tiny_model(tmp_path / "tiny.gguf", spec))
    elsewhere = Path("not-here.gguf")
    remote = replace(header, path=elsewhere, parts=(elsewhere,))
    whole, afar = (
        exact_needs(variant_from_header(one), Wished(2048), COMMAND).needs
        for one in (header, remote)
    )
    assert whole == afar


def test_settings_the_engine_refuses_are_refused_in_its_words() -> None:
    (variant,) = known_variants("Qwen3-0.6B", ("Q8_0",))
    wished = Wished(4096, kv_type="q8_0", flash_attention=False)
    with pytest.raises(BadInput, match="refused") as caught:
        exact_needs(variant, wished, COMMAND)
    assert caught.value.why


def test_figures_without_a_table_of_tensors_cannot_be_tried(m1: dict[str, Variant]) -> None:
    with pytest.raises(BadInput, match="can't be tried"):
        exact_needs(replace(m1["Q8_0"], header=None), Wished(), COMMAND)


def test_a_file_that_is_no_model_ends_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"GGUF" + bytes(range(200)))
    line = [*COMMAND, "dry-run", "--header", str(path), "--size", "100000", "--context", "256"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert '"reason": "bad_model_file"' in done.stdout

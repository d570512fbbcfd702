"""What the header of a sound GGUF says about its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import pytest
from gguf_making import MINIMAX, write_gguf, write_split

from m1desk.errors import BadInput
from m1desk.models import SkippedValue, read_gguf_header
from m1desk.models.ggml_types import file_type_name, types_by_number

if TYPE_CHECKING:
    from pathlib import Path


def test_a_model_tells_its_name_size_and_quantization(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", template="{{ messages }}", vocabulary=3000)
    header = read_gguf_header(path)
    assert header.architecture == "llama"
    assert header.name == "Tiny"
    assert header.license == "apache-2.0"
    assert header.file_type_name == "Q4_K_M"
    assert header.version == 3
    assert header.size_bytes == path.stat().st_size
    assert header.parts == (path,)
    assert header.vocabulary_size == 3000
    assert header.has_chat_template
    assert header.chat_template == "{{ messages }}"
    assert header.kind == "model"


def test_without_a_name_the_file_gives_it(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "my-model.gguf", name=""))
    assert header.name == "my-model"
    assert not header.has_chat_template


def test_the_tensor_table_agrees_with_the_reference_reader(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", vocabulary=40, alignment=64)
    ours = read_gguf_header(path).tensors
    theirs = gguf.GGUFReader(path).tensors
    assert [
        (tensor.name, tensor.shape, tensor.type_name, tensor.offset, tensor.size_bytes)
        for tensor in ours
    ] == [
        (
            tensor.name,
            tuple(int(size) for size in tensor.shape),
            tensor.tensor_type.name,
            int(tensor.data_offset),
            int(tensor.n_bytes),
        )
        for tensor in theirs
    ]


def test_bytes_and_bits_follow_from_the_tensors(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "a.gguf"))
    assert header.parameter_count == 8 * 32 + 4 * 256 + 2 * 4 * 32
    assert header.bytes_by_type == {"F32": 1024, "Q4_K": 576, "F16": 512}
    assert header.weights_bytes == 2112
    assert header.expert_bytes == 512
    assert header.bits_per_weight == pytest.approx(8 * 2112 / 1536)


def test_long_arrays_are_counted_and_not_kept(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "a.gguf", vocabulary=150_000))
    assert header.metadata["tokenizer.ggml.tokens"] == SkippedValue("string", 150_000)
    assert header.metadata["tokenizer.ggml.scores"] == SkippedValue("float32", 150_000)
    assert header.tensors[0].name == "token_embd.weight"


def test_short_arrays_are_kept(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "a.gguf", vocabulary=3))
    assert header.metadata["tokenizer.ggml.tokens"] == ("token 0", "token 1", "token 2")
    assert header.vocabulary_size == 3


def test_minimax_m1_keeps_a_cache_in_ten_of_eighty_layers(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "m1.gguf", "minimax-01", MINIMAX))
    kinds = header.layer_kinds
    assert [place for place, kind in enumerate(kinds) if kind == "softmax"] == list(range(7, 80, 8))
    assert kinds.count("lightning") == 70
    assert header.context_tokens == 10_240_000
    assert (header.head_count, header.kv_head_count) == (64, 8)
    assert (header.key_length, header.value_length) == (128, 128)
    assert (header.expert_count, header.expert_used_count) == (32, 2)


@pytest.mark.parametrize(("kv_type", "size"), [("f16", 40_960), ("q8_0", 21_760), ("q4_0", 11_520)])
def test_minimax_m1_needs_the_measured_bytes_per_token(
    tmp_path: Path, kv_type: str, size: int
) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "m1.gguf", "minimax-01", MINIMAX))
    assert header.kv_cache_bytes_per_token(kv_type) == size
    assert header.recurrent_state_bytes == 293_601_280


def test_recurrent_layers_that_the_file_lists_count(tmp_path: Path) -> None:
    numbers = {
        **MINIMAX,
        "block_count": 4,
        "attention.recurrent_layers": [True, False, True, False],
    }
    header = read_gguf_header(write_gguf(tmp_path / "m1.gguf", "minimax-01", numbers))
    assert header.layer_kinds == ("lightning", "softmax", "lightning", "softmax")


def test_another_interval_counts(tmp_path: Path) -> None:
    numbers = {**MINIMAX, "block_count": 4, "full_attention_interval": 2}
    header = read_gguf_header(write_gguf(tmp_path / "m1.gguf", "minimax-01", numbers))
    assert header.layer_kinds == ("lightning", "softmax", "lightning", "softmax")


def test_a_dense_model_keeps_a_cache_in_every_layer(tmp_path: Path) -> None:
    numbers = {
        "block_count": 32,
        "embedding_length": 4096,
        "attention.head_count": 32,
        "attention.head_count_kv": 8,
    }
    header = read_gguf_header(write_gguf(tmp_path / "a.gguf", numbers=numbers))
    assert set(header.layer_kinds) == {"softmax"}
    assert header.kv_cache_bytes_per_token() == 32 * 8 * (128 + 128) * 2
    assert header.recurrent_state_bytes == 0


def test_layers_without_kv_heads_keep_a_state_instead(tmp_path: Path) -> None:
    numbers = {
        "block_count": 3,
        "embedding_length": 256,
        "attention.head_count": 4,
        "attention.head_count_kv": [0, 2, 0],
        "feed_forward_length": [0, 0, 512],
        "ssm.inner_size": 512,
        "ssm.state_size": 16,
        "ssm.conv_kernel": 4,
        "ssm.group_count": 1,
    }
    header = read_gguf_header(write_gguf(tmp_path / "h.gguf", "nemotron_h", numbers))
    assert header.layer_kinds == ("recurrent", "softmax", "none")
    assert header.kv_cache_bytes_per_token() == 2 * (64 + 64) * 2
    assert header.recurrent_state_bytes == (3 * (512 + 32) + 512 * 16) * 4


def test_latent_attention_keeps_the_compressed_key_alone(tmp_path: Path) -> None:
    numbers = {
        "block_count": 61,
        "attention.head_count": 128,
        "attention.head_count_kv": 1,
        "attention.key_length": 576,
        "attention.value_length": 512,
        "attention.key_length_mla": 192,
    }
    header = read_gguf_header(write_gguf(tmp_path / "d.gguf", "deepseek2", numbers))
    assert header.kv_cache_bytes_per_token() == 61 * 576 * 2


def test_an_unknown_cache_type_is_refused(tmp_path: Path) -> None:
    header = read_gguf_header(write_gguf(tmp_path / "a.gguf"))
    with pytest.raises(BadInput, match="not a type for a KV cache"):
        header.kv_cache_bytes_per_token("q99")


def test_all_types_of_the_reference_package_are_known() -> None:
    ours = types_by_number()
    for kind, (elements, size) in gguf.GGML_QUANT_SIZES.items():
        known = ours[int(kind)]
        assert (known.name, known.block_elements, known.block_bytes) == (kind.name, elements, size)
    assert {"MXFP4", "NVFP4", "Q2_0", "IQ1_M"} <= {known.name for known in ours.values()}


def test_file_types_have_their_usual_names() -> None:
    assert file_type_name(15) == "Q4_K_M"
    assert file_type_name(0) == "F32"
    assert file_type_name(1024 + 18) == "Q6_K"
    assert file_type_name(999) == ""


def test_the_parts_of_a_split_model_are_one_model(tmp_path: Path) -> None:
    parts = write_split(tmp_path)
    for chosen in parts:
        header = read_gguf_header(chosen)
        assert header.path == parts[0]
        assert header.parts == tuple(parts)
        assert header.name == "Split"
        assert header.size_bytes == sum(part.stat().st_size for part in parts)
        assert [tensor.part for tensor in header.tensors] == [0, 1, 2]

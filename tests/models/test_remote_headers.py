"""Headers read over the network: little travels, and hostile servers get a readable refusal."""

from __future__ import annotations

import json
import os
import random
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from gguf_making import MINIMAX, write_gguf, write_split
from support.hub_server import HubServer
from test_gguf_damage import mutate

from m1desk.errors import HubError, ModelFileError
from m1desk.models import Hub, HubSettings, read_gguf_header, read_safetensors_folder
from m1desk.models.gguf import read_part
from m1desk.models.ranges import RangeStream
from m1desk.models.safetensors import read_tensor_table

FUZZ_CASES = 10_000


@pytest.fixture
def hub(hub_server: HubServer) -> Hub:
    return Hub(HubSettings(hub_server.endpoint))


def test_a_remote_header_is_the_local_one_and_weights_do_not_travel(
    tmp_path: Path, hub: Hub, hub_server: HubServer
) -> None:
    path = write_gguf(tmp_path / "m1.gguf", "minimax-01", MINIMAX, vocabulary=200_000)
    local = read_gguf_header(path)
    hub_server.add("me/m1", {"m1.gguf": path}, "gguf")
    remote = hub.gguf_header("me/m1", "m1.gguf")
    assert remote.metadata == local.metadata
    assert remote.tensors == local.tensors
    assert remote.size_bytes == local.size_bytes
    assert remote.path == Path("m1.gguf")


def test_only_the_header_of_a_large_file_travels(
    tmp_path: Path, hub: Hub, hub_server: HubServer, tiny_llama: Path
) -> None:
    path = tmp_path / "large.gguf"
    path.write_bytes(tiny_llama.read_bytes())
    os.truncate(path, 3_000_000_000)
    hub_server._hashes[("me/large", "large.gguf")] = "0" * 64
    hub_server.add("me/large", {"large.gguf": path})
    assert hub.gguf_header("me/large", "large.gguf").size_bytes == 3_000_000_000
    assert sum(served.sent for served in hub_server.served) < 1_000_000


def test_the_parts_of_a_remote_model_are_one(
    tmp_path: Path, hub: Hub, hub_server: HubServer
) -> None:
    parts = write_split(tmp_path)
    hub_server.add("me/split", {f"Q8/{part.name}": part for part in parts})
    header = hub.gguf_header("me/split", f"Q8/{parts[1].name}")
    local = read_gguf_header(parts[0])
    assert header.tensors == local.tensors
    assert header.parts == tuple(Path("Q8") / part.name for part in parts)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"no_ranges": True}, "whole files only"),
        ({"other_range": True}, "another part of the file"),
        ({"endless": True}, "more than it was asked for"),
        ({"cut_after": 1000}, "broke|reached|early"),
        ({"status": 416}, "refused"),
        ({"status": 500}, "fault"),
        ({"wrong_bytes": True}, "not a GGUF"),
    ],
)
def test_a_hostile_storage_server_is_refused(
    tmp_path: Path, hub: Hub, hub_server: HubServer, fault: dict[str, Any], words: str
) -> None:
    path = write_gguf(tmp_path / "a.gguf", vocabulary=100_000)
    hub_server.add("me/a", {"a.gguf": path})
    # The second range is asked for with the vocabulary; the first one must be hostile too.
    hub_server.fault("storage", **fault)
    with pytest.raises((ModelFileError, HubError), match=words):
        hub.gguf_header("me/a", "a.gguf")


def test_a_file_that_is_shorter_than_its_header_says_is_refused(
    tmp_path: Path, hub: Hub, hub_server: HubServer
) -> None:
    path = write_gguf(tmp_path / "a.gguf", vocabulary=20_000)
    hub_server.add("me/a", {"a.gguf": path.read_bytes()[:-100]})
    with pytest.raises(ModelFileError, match="incomplete"):
        hub.gguf_header("me/a", "a.gguf")


def test_a_header_that_never_ends_is_given_up() -> None:
    """4 million strings of 4 KB: 16 GB of header, of which only so much is fetched."""
    entry = struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 8, 3_999_999)
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry
    string = struct.pack("<Q", 4096) + bytes(4096)
    fetched = 0

    def fetch(place: int, count: int) -> bytes:
        nonlocal fetched
        fetched += count
        body = start + string * ((place + count) // len(string) + 1) if place == 0 else b""
        return body[place : place + count] if body else (string * (count // 4000 + 2))[:count]

    with pytest.raises(ModelFileError):
        read_part(RangeStream(fetch, 1 << 40, "huge"), 1 << 40, "huge")
    assert fetched < 200 * 1024 * 1024


def test_a_server_that_takes_for_ever_is_given_up() -> None:
    now = 0.0

    def fetch(place: int, count: int) -> bytes:
        nonlocal now
        now += 50.0
        return bytes(count)

    stream = RangeStream(fetch, 1 << 40, "slow", clock=lambda: now)
    with pytest.raises(ModelFileError, match="too slow"):
        stream.read(1 << 30)


def test_no_mutation_of_a_remote_file_gets_anything_but_a_header_or_a_refusal(
    tmp_path: Path,
) -> None:
    numbers = {"block_count": 2, "attention.head_count_kv": [1, 0]}
    sound = write_gguf(tmp_path / "sound.gguf", numbers=numbers, vocabulary=40).read_bytes()
    chance = random.Random(20_260_901)
    outcomes = {"header": 0, "refused": 0}
    for _ in range(FUZZ_CASES):
        content = mutate(bytearray(sound), chance)
        stream = RangeStream(lambda s, n, c=content: c[s : s + n], len(content), "f")
        try:
            remote = repr(read_part(stream, len(content), "f"))
            outcomes["header"] += 1
        except ModelFileError as error:
            remote = str(error)
            outcomes["refused"] += 1
        assert remote == local_outcome(content)
    assert min(outcomes.values()) > FUZZ_CASES // 20


def local_outcome(content: bytes) -> str:
    """As text, in which a number that is none equals itself."""
    try:
        return repr(read_part(BytesIO(content), len(content), "f"))
    except ModelFileError as error:
        return str(error)


def safetensors_bytes(tensors: dict[str, tuple[str, list[int], int]]) -> bytes:
    place, header = 0, {}
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(place)


CONFIG = {
    "architectures": ["MiniMaxM1ForCausalLM"],
    "model_type": "minimax_m1",
    "attn_type_list": [0, 0, 1],
    "num_hidden_layers": 3,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}


@pytest.fixture
def checkpoint() -> dict[str, Path | bytes]:
    one = safetensors_bytes({"a.weight": ("BF16", [16, 2048], 65_536)})
    two = safetensors_bytes({"l.0.experts.0.w1.weight": ("F32", [4, 4], 64)})
    index = {
        "weight_map": {
            "a.weight": "model-00001-of-00002.safetensors",
            "l.0.experts.0.w1.weight": "model-00002-of-00002.safetensors",
        }
    }
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-00001-of-00002.safetensors": one,
        "model-00002-of-00002.safetensors": two,
    }


def test_a_checkpoint_says_what_it_is_without_its_weights(
    hub: Hub, hub_server: HubServer, checkpoint: dict[str, Path | bytes]
) -> None:
    hub_server.add(
        "me/m1",
        checkpoint,
        "license:apache-2.0",
        extra={"safetensors": {"total": 999, "parameters": {"BF16": 999}}},
    )
    model = hub.safetensors_model("me/m1")
    assert model.architecture == "MiniMaxM1ForCausalLM"
    assert model.layer_kinds == ("lightning", "lightning", "softmax")
    assert (model.head_count, model.kv_head_count, model.head_length) == (4, 2, 16)
    assert (model.expert_count, model.expert_used_count) == (4, 2)
    assert (model.vocabulary_size, model.context_tokens) == (1000, 4096)
    assert (model.dtype, model.license, model.parameter_count) == ("bfloat16", "apache-2.0", 999)
    assert model.tensor_names == ("a.weight", "l.0.experts.0.w1.weight")
    assert model.tensors == ()
    assert len(model.shards) == 2
    exact = hub.safetensors_model("me/m1", tensors=True)
    assert exact.bytes_by_dtype == {"BF16": 65_536, "F32": 64}
    assert (exact.weights_bytes, exact.expert_bytes) == (65_600, 64)
    assert (exact.dtype, exact.parameter_count) == ("BF16", 16 * 2048 + 16)


def test_a_checkpoint_on_disk_says_the_same(
    tmp_path: Path, checkpoint: dict[str, Path | bytes]
) -> None:
    for name, content in checkpoint.items():
        assert isinstance(content, bytes)
        (tmp_path / name).write_bytes(content)
    model = read_safetensors_folder(tmp_path)
    assert model.parameter_count == 16 * 2048 + 16
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelFileError, match="1 of the 2 files"):
        read_safetensors_folder(tmp_path)


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        ({"layer_types": ["linear_attention", "full_attention"]}, ("recurrent", "softmax")),
        ({"layer_types": ["sliding_attention", "full_attention"]}, ("softmax", "softmax")),
        (
            {"model_type": "minimax", "layer_types": ["linear_attention", "full_attention"]},
            ("lightning", "softmax"),
        ),
        ({"layers_block_type": ["mamba", "attention"]}, ("recurrent", "softmax")),
        ({"hybrid_override_pattern": "M*"}, ("recurrent", "softmax")),
        ({"full_attention_interval": 2}, ("recurrent", "softmax")),
        ({"model_type": "minimax_m2", "attn_type_list": [1, 1]}, ("softmax", "softmax")),
        ({"text_config": {"layer_types": ["conv", "full_attention"]}}, ("recurrent", "softmax")),
        ({}, ("softmax", "softmax")),
    ],
)
def test_layers_are_told_apart(
    tmp_path: Path, config: dict[str, Any], kinds: tuple[str, ...]
) -> None:
    whole = {"num_hidden_layers": 2, "architectures": ["X"], **config}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({"a": ("F32", [1], 4)}))
    assert read_safetensors_folder(tmp_path).layer_kinds == kinds


@pytest.mark.parametrize(
    "path",
    [("text_config",), ("llm_config",), ("language_config",), ("thinker_config", "text_config")],
)
def test_a_model_that_sees_or_hears_has_its_language_models_sizes(
    tmp_path: Path, path: tuple[str, ...]
) -> None:
    config: dict[str, Any] = {"num_hidden_layers": 3, "hidden_size": 64, "architectures": ["Y"]}
    for key in reversed(path):
        config = {key: config, "vision_config": {"num_hidden_layers": 9}}
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["X"]}))
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({"a": ("F32", [1], 4)}))
    model = read_safetensors_folder(tmp_path)
    assert (model.block_count, model.embedding_length, model.architecture) == (3, 64, "X")


def test_a_quantized_checkpoint_says_how(tmp_path: Path) -> None:
    config = {"num_hidden_layers": 1, "quantization_config": {"quant_method": "fp8"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({"a": ("F8_E4M3", [8], 8)}))
    model = read_safetensors_folder(tmp_path)
    assert (model.quantization_method, model.dtype) == ("fp8", "F8_E4M3")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 3) + b"[1]",
        struct.pack("<Q", 4) + b"nope",
        safetensors_bytes({"a": ("F99", [1], 4)}),
        safetensors_bytes({"a": ("F32", [2], 4)}),
        safetensors_bytes({"a": ("F32", [-1, -1], 4)}),
        safetensors_bytes({"a": ("F32", [1 << 62], 4)}),
        safetensors_bytes({"a": ("F32", [1024], 4096)})[:-1],
    ],
)
def test_a_damaged_safetensors_file_is_refused(content: bytes) -> None:
    with pytest.raises(ModelFileError):
        read_tensor_table(BytesIO(content), len(content), "bad.safetensors")


def test_mutated_safetensors_headers_get_a_table_or_a_refusal() -> None:
    sound = safetensors_bytes({"a": ("BF16", [4, 4], 32), "b": ("F32", [8], 32)})
    chance = random.Random(7)
    for _ in range(2_000):
        content = mutate(bytearray(sound), chance)
        try:
            read_tensor_table(BytesIO(content), len(content), "fuzzed")
        except ModelFileError:
            continue


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"num_hidden_layers": 99999999}',
        b'{"n_layer": 4503599627370496}',
        b'{"num_layers": 99999999}',
        b'{"thinker_config": {"text_config": {"n_layer": 99999999}}}',
    ],
)
def test_a_damaged_config_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({"a": ("F32", [1], 4)}))
    with pytest.raises(ModelFileError):
        read_safetensors_folder(tmp_path)

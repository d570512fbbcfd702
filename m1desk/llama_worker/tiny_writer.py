"""Writes the GGUF file of a tiny model: metadata, weights, quantization."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any, Final

import gguf
import numpy as np
from gguf.quants import quant_shape_to_byte_shape, quantize

from m1desk.llama_worker.tiny_model import M1_RESIDUAL_SCALE, plan_tensors
from m1desk.llama_worker.tiny_vocabulary import byte_letters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from m1desk.llama_worker.tiny_model import TensorPlan, TinyModelSpec

_LOGIT_SPREAD: Final = 2.5
"""Standard deviation of the logits: sampling at temperature 1 has a few dozen likely tokens."""

_SCRIPT_LOGIT: Final = 40.0
"""The logit of a script's next piece; others reach about half of it."""

_BRANCH_ENDS: Final = frozenset({"attn_output", "ffn_down", "ffn_down_exps"})
"""The matrices through which attention and experts reach the residual stream."""

NORM_EPSILON: Final = 1e-5
_FILE_TYPES: Final = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q5_0": 8}
_TOKEN_KINDS: Final = {"normal": 1, "control": 3, "user_defined": 4, "unused": 5}


def write_gguf(path: Path, spec: TinyModelSpec) -> None:
    """Write the model of `spec` to `path`, whole or not at all.

    Raises:
        OSError: the folder can't be written to, or the disk is full.
    """
    unfinished = path.with_name(path.name + ".part")
    writer = gguf.GGUFWriter(unfinished, spec.architecture)
    try:
        try:
            _add_metadata(writer, spec)
            _add_tokenizer(writer, spec)
            _write_tensors(writer, spec)
        finally:
            writer.close()
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def seeded_weights(spec: TinyModelSpec) -> Iterator[tuple[TensorPlan, npt.NDArray[np.float32]]]:
    """Make the model's weights, before quantization, in the order of the file.

    Each tensor has a stream of its own, named by the seed and the tensor's name. Only the raw
    output of PCG64 is used: numpy promises that one for all versions, its distributions not.
    """
    for plan in plan_tensors(spec):
        yield plan, _seeded(plan, spec)


def _seeded(plan: TensorPlan, spec: TinyModelSpec) -> npt.NDArray[np.float32]:
    if plan.role == "output" and spec.script:
        return _scripted_output(plan, spec)
    uniform = _uniform(plan, spec)
    if plan.role == "norm":
        spread = np.float32(0.0 if spec.script else 0.2)
        return np.float32(1.0) + spread * uniform
    # A uniform distribution over -1..1 has the standard deviation 1 / sqrt(3).
    weights: npt.NDArray[np.float32] = uniform * np.float32(_deviation(plan) * math.sqrt(3.0))
    if plan.role == "output" and spec.readable:
        # A row of zeros is a logit of zero: always far behind the best of many random ones.
        weights *= np.array(spec.vocabulary().readable, dtype=np.float32)[:, None]
    if spec.script and plan.name.split(".")[-2] in _BRANCH_ENDS:
        weights *= np.float32(0.1)
    return weights


def _uniform(plan: TensorPlan, spec: TinyModelSpec) -> npt.NDArray[np.float32]:
    """Return seeded numbers from -1 (inclusive) to 1 (exclusive)."""
    stream = np.random.PCG64(np.random.SeedSequence([spec.seed, zlib.crc32(plan.name.encode())]))
    raw = stream.random_raw(math.prod(plan.shape)) >> np.uint64(40)
    return raw.astype(np.float32).reshape(plan.shape) * np.float32(2.0**-23) - np.float32(1.0)


def _scripted_output(plan: TensorPlan, spec: TinyModelSpec) -> npt.NDArray[np.float32]:
    """Return an output matrix that makes each piece of the script follow the one before.

    The layers' branches are nearly silent in a scripted model, so what arrives here is the last
    token's embedding, and the row of its successor is that embedding.
    """
    vocabulary = spec.vocabulary()
    embeddings = _uniform(plan_tensors(spec)[0], spec)
    ids = [vocabulary.tokens.index(piece) for piece in spec.script]
    weights = np.zeros(plan.shape, dtype=np.float32)
    said = [vocabulary.tokens.index(byte_letters()[ord("\n")]), *ids]
    for token, successor in zip(said, [*ids, vocabulary.eos], strict=True):
        row = embeddings[token] / np.linalg.norm(embeddings[token])
        weights[successor] += row * np.float32(_SCRIPT_LOGIT / math.sqrt(spec.width))
    return weights


def _deviation(plan: TensorPlan) -> float:
    """Return the standard deviation that keeps activations near 1 through the layers."""
    if plan.role == "embedding":
        return 1.0
    spread = _LOGIT_SPREAD if plan.role == "output" else 1.0
    return spread / math.sqrt(plan.shape[-1])


def _add_metadata(writer: Any, spec: TinyModelSpec) -> None:  # noqa: ANN401 - gguf has no types
    writer.add_name(spec.name)
    writer.add_license("apache-2.0")
    writer.add_file_type(_FILE_TYPES[spec.quantization])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(spec.context_tokens)
    writer.add_embedding_length(spec.width)
    writer.add_block_count(spec.layers)
    writer.add_feed_forward_length(spec.ffn_width)
    writer.add_head_count(spec.heads)
    writer.add_head_count_kv(spec.kv_heads)
    writer.add_key_length(spec.head_dim)
    writer.add_value_length(spec.head_dim)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_dimension_count(spec.rotated_dimensions)
    writer.add_rope_freq_base(spec.rope_base)
    writer.add_vocab_size(len(spec.vocabulary().tokens))
    if spec.is_minimax:
        writer.add_expert_count(spec.experts)
        writer.add_expert_used_count(spec.experts_used)
        writer.add_residual_scale(M1_RESIDUAL_SCALE)
        writer.add_full_attention_interval(spec.full_attention_interval)


def _add_tokenizer(writer: Any, spec: TinyModelSpec) -> None:  # noqa: ANN401 - gguf has no types
    vocabulary = spec.vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([_TOKEN_KINDS[kind] for kind in vocabulary.kinds])
    writer.add_token_merges(vocabulary.merges)
    writer.add_eos_token_id(vocabulary.eos)
    writer.add_pad_token_id(vocabulary.pad)
    if vocabulary.bos is not None:
        writer.add_bos_token_id(vocabulary.bos)
    if vocabulary.unk is not None:
        writer.add_unk_token_id(vocabulary.unk)
    writer.add_add_bos_token(False)
    template = vocabulary.chat_template if spec.chat_template is None else spec.chat_template
    if template:
        writer.add_chat_template(template)


def _write_tensors(writer: Any, spec: TinyModelSpec) -> None:  # noqa: ANN401 - gguf has no types
    """Announce all tensors, then make and write one after the other: memory stays small."""
    plans = plan_tensors(spec)
    for plan in plans:
        kind = _stored_type(plan, spec)
        bytes_shape = _stored_shape(plan, kind)
        dtype = _stored_dtype(kind)
        nbytes = math.prod(bytes_shape) * dtype.itemsize
        writer.add_tensor_info(plan.name, bytes_shape, dtype, nbytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for plan in plans:
        kind = _stored_type(plan, spec)
        if spec.random_blocks and kind == gguf.GGMLQuantizationType.Q8_0:
            writer.write_tensor_data(_random_blocks(plan, spec))
        else:
            writer.write_tensor_data(quantize(_seeded(plan, spec), kind))


def _stored_type(plan: TensorPlan, spec: TinyModelSpec) -> Any:  # noqa: ANN401 - gguf has no types
    if plan.role in {"norm", "router"}:
        return gguf.GGMLQuantizationType.F32
    return gguf.GGMLQuantizationType[spec.quantization]


def _stored_dtype(kind: Any) -> np.dtype[Any]:  # noqa: ANN401 - gguf has no types
    plain = {gguf.GGMLQuantizationType.F32: np.float32, gguf.GGMLQuantizationType.F16: np.float16}
    return np.dtype(plain.get(kind, np.uint8))


def _stored_shape(plan: TensorPlan, kind: Any) -> tuple[int, ...]:  # noqa: ANN401 - gguf untyped
    if _stored_dtype(kind) == np.uint8:
        return tuple(quant_shape_to_byte_shape(plan.shape, kind))
    return plan.shape


def _random_blocks(plan: TensorPlan, spec: TinyModelSpec) -> npt.NDArray[np.uint8]:
    """Q8_0 blocks (a half-precision scale, 32 signed bytes) of random weights, seeded."""
    blocks = math.prod(plan.shape) // 32
    stream = np.random.default_rng([spec.seed, zlib.crc32(plan.name.encode())])
    data = stream.integers(0, 256, size=(blocks, 34), dtype=np.uint8)
    # A uniform signed byte has the standard deviation 256 / sqrt(12).
    scale = np.float16(_deviation(plan) * math.sqrt(12.0) / 256.0)
    data[:, :2] = np.frombuffer(scale.tobytes(), dtype=np.uint8)
    if plan.role == "output" and spec.readable:
        rows = data.reshape(plan.shape[0], -1)
        rows[~np.array(spec.vocabulary().readable)] = 0  # a logit of zero, as above
    return data.reshape(*plan.shape[:-1], plan.shape[-1] // 32 * 34)

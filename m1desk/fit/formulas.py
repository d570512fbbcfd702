"""The formulas of memory, each in one place: KV cache, recurrent state, compute buffers."""

from __future__ import annotations

from typing import Final

from m1desk.fit.quantizations import sizes_of
from m1desk.fit.variant import ModelShape

_PADDING: Final = 256
"""llama.cpp rounds the context up to a multiple of this (tokens)."""
_GRAPHS: Final = 3  # the one reserved and the last two computed
_NODE_BYTES: Final = 408  # a tensor, its places in the lists, and two in the hash table
_TOKEN_BYTES: Final = 128
_SMALL: Final = 20  # positions, token ids and output ids of one token (bytes)


def padded(context_tokens: int) -> int:
    """Round a context up as llama.cpp does (tokens)."""
    return -(-context_tokens // _PADDING) * _PADDING


def kv_cache_bytes(shape: ModelShape, context_tokens: int, kv_type: str) -> int:
    """Bytes of the KV cache: padded context x keys and values of all softmax layers x type.

    Raises BadInput for an unknown type. Layers with a sliding window count in full, as our worker
    keeps them (`swa_full`).
    """
    sizes = sizes_of(kv_type)
    per_token = shape.kv_elements * sizes.block_bytes / sizes.block_elements
    return round(padded(context_tokens) * per_token)


def state_bytes(shape: ModelShape, parallel: int) -> int:
    """Bytes of recurrent state: for each sequence the same, however long it is."""
    return shape.state_bytes * parallel


def compute_bytes(
    shape: ModelShape,
    context_tokens: int,
    ubatch_tokens: int,
    *,
    flash_attention: bool = True,
    kv_type: str = "f16",
    outputs: int | None = None,
) -> int:
    """Bytes of llama.cpp's compute buffer: that of the widest moment of one pass.

    Found by asking the engine (0.3.36 of llama-cpp-python) about some hundred shapes without
    weights. Per token of the batch, in F32: the logits stand beside two hidden states; attention
    holds two hidden states, twice the queries, five times the keys; a feed-forward network three
    times its width, for each expert chosen, beside three hidden states and the queries; lightning
    attention one hidden state, seven times the queries and the decay matrix three times (heads x
    batch), of which one stays throughout. The attention mask (2 bytes a cell, 4 without flash
    attention) stays until the logits. Without flash attention the scores (heads x cells) are kept.

    `outputs` is how many rows of logits are asked for; None: one for each token of the batch,
    which is what llama.cpp reserves unless it is told. Our worker asks for one a request.
    With a quantized cache the engine rotates queries and keys first, and places differ a little.
    """
    cells = padded(context_tokens)
    tokens = min(ubatch_tokens, cells)
    rows = tokens if outputs is None else min(outputs, tokens)
    rotated = is_quantized(kv_type)
    beside = 12 if rotated and shape.inner <= shape.width else 8
    logits = 4 * shape.vocabulary * rows + beside * shape.width * tokens
    kept = _SMALL + (2 if flash_attention else 4) * cells
    scores = 0 if flash_attention else 4 * shape.heads * cells
    decay = 4 * shape.heads * tokens if shape.lightning_layers else 0
    stages = [
        8 * shape.width + 8 * shape.inner + 20 * shape.kv_width + scores + decay,
        _feed_forward(shape, rotated=rotated) + decay,
    ]
    if shape.lightning_layers:
        stages.append(4 * shape.width + 28 * shape.inner + 3 * decay)
    return max(logits, tokens * (kept + max(stages)))


def graph_bytes(shape: ModelShape, ubatch_tokens: int) -> int:
    """Bytes of main memory llama.cpp takes to describe its computation.

    Three graphs of as many nodes as it expects at most (`llama_context::graph_max_nodes`): eight
    for each tensor; with lightning attention 32, or 40 for each token of a batch.
    """
    nodes = max(1024, 8 * shape.tensors)
    if shape.lightning_layers:
        nodes = max(40 * ubatch_tokens, 32 * shape.tensors)
    return _GRAPHS * _NODE_BYTES * nodes


def vocabulary_bytes(shape: ModelShape) -> int:
    """Bytes of main memory the engine takes for its vocabulary.

    For each token about 128: its text and kind, its place in a hash table, and its text once more
    as people read it.
    """
    return _TOKEN_BYTES * shape.vocabulary


def work_bytes(shape: ModelShape, ubatch_tokens: int) -> int:
    """Bytes a processor takes to hold a batch's widest values in the weights' precision.

    Of a batch as wide as a feed-forward network, for each expert chosen, 34 bytes for 32 values
    (Q8_0).
    """
    widest = max(shape.ffn_width * max(shape.experts_used, 1), shape.inner, shape.width)
    return ubatch_tokens * widest * 34 // 32


def unused_input_bytes(shape: ModelShape, context_tokens: int, ubatch_tokens: int) -> int:
    """Bytes of the compute buffer that text never touches.

    llama.cpp keeps room for a batch given as embeddings (of images) beside the one given as tokens
    (`llm_graph_context::build_inp_embd`): 4 bytes for each token and element of the state. A GPU's
    memory is taken all the same; of main memory an operating system gives only what is touched.
    """
    return 4 * shape.width * min(ubatch_tokens, padded(context_tokens))


def is_quantized(kv_type: str) -> bool:
    """Whether a cache of this type holds blocks with a common scale; raises BadInput."""
    return sizes_of(kv_type).block_elements > 1


def _feed_forward(shape: ModelShape, *, rotated: bool) -> int:
    """Bytes per token, with what the engine's allocator leaves between them.

    The queries' place is used again beside a much wider state, or when they were rotated. Results
    of narrow experts (less than half as wide as the state) find no room where their inputs were.
    """
    width, inner = shape.width, shape.inner
    beside = 12 * width + 4 * inner
    if not shape.experts:
        if width >= 2 * inner:
            beside = 8 * width + 8 * inner
        elif rotated and inner <= width:
            beside = 12 * width
        return 12 * shape.ffn_width + beside
    results = 4 * shape.experts_used * width
    networks = 12 * shape.ffn_width * shape.experts_used + beside
    if 2 * shape.ffn_width < width:
        networks += results
    return max(networks, 2 * results + 4 * width)

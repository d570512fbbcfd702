"""The demo model in PyTorch: MiniMax-M1's architecture, computed as llama.cpp computes it.

Tensor names and shapes are those of the GGUF file, so that writing the file is copying. Lightning
attention runs in chunks (inside a chunk as masked attention, between chunks through the summed
states), experts run on the tokens that chose them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows it by
from torch import Tensor, nn

RESIDUAL_SCALE = 3.5565588200778455
"""`layernorm_*_alpha` of MiniMax-M1's config.json."""

NORM_EPSILON = 1e-5
WIDTH = 256
"""Numbers per token between the layers."""

CHUNK = 128
"""Tokens of one chunk of lightning attention; any value gives the same result."""


@dataclass(frozen=True, slots=True)
class DemoShape:
    """The model's shape. `recurrent` says per layer whether it is lightning attention."""

    vocabulary: int
    width: int = WIDTH
    heads: int = 4
    kv_heads: int = 4
    head_dim: int = 64
    expert_width: int = 256
    experts: int = 4
    experts_used: int = 2
    recurrent: tuple[bool, ...] = (True, False, True, False)
    rope_dimension: int = 32
    rope_base: float = 10_000.0
    context_tokens: int = 4096

    @property
    def inner(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_dim


def slopes(shape: DemoShape, layer: int) -> Tensor:
    """Return each head's decay per token in a lightning layer (M1's formula), as llama.cpp does."""
    start = 2.0 ** -(2.0 ** -(math.log2(shape.heads) - 3))
    scale = 1.0 - layer / (len(shape.recurrent) - 1) + 1e-5
    return torch.tensor([scale * start ** (head + 1) for head in range(shape.heads)])


class RmsNorm(nn.Module):
    """Root-mean-square norm with a weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last dimension; the result has the input's type."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(norm.square() / x.shape[-1] + NORM_EPSILON)
        return x * scale.to(x.dtype) * self.weight.to(x.dtype)


def _matrix(rows: int, columns: int) -> nn.Linear:
    return nn.Linear(columns, rows, bias=False)


class Lightning(nn.Module):
    """Linear attention with a decay per head, gated."""

    def __init__(self, shape: DemoShape, layer: int) -> None:
        super().__init__()
        self.shape = shape
        self.attn_qkv = _matrix(3 * shape.inner, shape.width)
        self.attn_gate = _matrix(shape.inner, shape.width)
        self.attn_norm_2 = RmsNorm(shape.inner)
        self.attn_output = _matrix(shape.width, shape.inner)
        self.register_buffer("slopes", slopes(shape, layer), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend; `x` is (batch, tokens, width)."""
        batch, tokens, _ = x.shape
        heads, dim = self.shape.heads, self.shape.head_dim
        qkv = F.silu(self.attn_qkv(x))
        padding = -tokens % CHUNK
        qkv = F.pad(qkv, (0, 0, 0, padding)).view(batch, -1, CHUNK, heads, 3, dim)
        q, k, v = qkv.permute(4, 0, 3, 1, 2, 5).unbind(0)  # (batch, heads, chunks, CHUNK, dim)
        mixed = self._attend(q, k, v).permute(0, 2, 3, 1, 4)
        mixed = mixed.reshape(batch, tokens + padding, heads * dim)[:, :tokens]
        return self.attn_output(torch.sigmoid(self.attn_gate(x)) * self.attn_norm_2(mixed))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        chunks = q.shape[2]
        rate = self.slopes[:, None]
        place = torch.arange(CHUNK)
        apart = place[:, None] - place[None, :]
        inside = torch.exp(-rate[:, None] * apart.clamp(min=0)) * (apart >= 0)
        result = ((q @ k.transpose(-1, -2)) * inside[None, :, None].to(q.dtype)) @ v
        if chunks == 1:
            return result
        to_end = torch.exp(-rate * (CHUNK - 1 - place))[None, :, None, :, None].to(k.dtype)
        states = (k * to_end).transpose(-1, -2) @ v  # (batch, heads, chunks, dim, dim)
        index = torch.arange(chunks)
        gap = index[:, None] - index[None, :] - 1
        carry = torch.exp(-rate[:, None] * CHUNK * gap.clamp(min=0)) * (gap >= 0)
        flat = states.flatten(3)
        before = (carry.to(flat.dtype)[None] @ flat).view_as(states)
        from_start = torch.exp(-rate * (place + 1))[None, :, None, :, None].to(q.dtype)
        return result + (q * from_start) @ before


class Softmax(nn.Module):
    """Grouped-query attention; the first `rope_dimension` dimensions of a head are rotated."""

    def __init__(self, shape: DemoShape) -> None:
        super().__init__()
        self.shape = shape
        shared = shape.kv_heads * shape.head_dim
        self.attn_q = _matrix(shape.inner, shape.width)
        self.attn_k = _matrix(shared, shape.width)
        self.attn_v = _matrix(shared, shape.width)
        self.attn_output = _matrix(shape.width, shape.inner)

    def forward(self, x: Tensor) -> Tensor:
        """Attend; `x` is (batch, tokens, width)."""
        batch, tokens, _ = x.shape
        q, k, v = (
            matrix(x).view(batch, tokens, -1, self.shape.head_dim).transpose(1, 2)
            for matrix in (self.attn_q, self.attn_k, self.attn_v)
        )
        q, k = self._rotate(q), self._rotate(k)
        group = self.shape.heads // self.shape.kv_heads
        k, v = (part.repeat_interleave(group, dim=1) for part in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attn_output(mixed.transpose(1, 2).reshape(batch, tokens, -1))

    def _rotate(self, x: Tensor) -> Tensor:
        """Rotary embedding in NEOX form: dimension i turns with dimension i + half."""
        half = self.shape.rope_dimension // 2
        speed = self.shape.rope_base ** (-torch.arange(half) / half)
        angle = torch.arange(x.shape[2])[:, None] * speed[None, :]
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)


class Experts(nn.Module):
    """A few small feed-forward networks; each token uses the best `experts_used` of them."""

    def __init__(self, shape: DemoShape) -> None:
        super().__init__()
        self.shape = shape
        count, inner, width = shape.experts, shape.expert_width, shape.width
        self.ffn_gate_inp = _matrix(count, width)
        self.ffn_gate_exps = nn.Parameter(torch.randn(count, inner, width) * width**-0.5)
        self.ffn_up_exps = nn.Parameter(torch.randn(count, inner, width) * width**-0.5)
        self.ffn_down_exps = nn.Parameter(torch.randn(count, width, inner) * inner**-0.5)
        self.balance = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        """Return the experts' weighted sum; `balance` is the load-balancing loss of this call."""
        flat = x.reshape(-1, x.shape[-1])
        with torch.autocast("cpu", enabled=False):
            chances = torch.softmax(F.linear(flat.float(), self.ffn_gate_inp.weight), dim=-1)
        weight, chosen = chances.topk(self.shape.experts_used, dim=-1)
        weight = weight / weight.sum(-1, keepdim=True)
        if self.training:
            share = F.one_hot(chosen, self.shape.experts).float().sum(1).mean(0)
            self.balance = self.shape.experts * (share * chances.mean(0)).sum()
        result = torch.zeros_like(flat)
        for expert in range(self.shape.experts):
            token, rank = torch.nonzero(chosen == expert, as_tuple=True)
            mine = flat.index_select(0, token)
            hidden = F.silu(F.linear(mine, self.ffn_gate_exps[expert]))
            hidden = hidden * F.linear(mine, self.ffn_up_exps[expert])
            out = F.linear(hidden, self.ffn_down_exps[expert])
            out = out * weight[token, rank, None].to(out.dtype)
            result = result.index_add(0, token, out)
        return result.view_as(x)


class Block(nn.Module):
    """One layer: norm, attention, residual of the normed input; the same around the experts."""

    def __init__(self, shape: DemoShape, layer: int) -> None:
        super().__init__()
        self.attn_norm = RmsNorm(shape.width)
        self.attention = Lightning(shape, layer) if shape.recurrent[layer] else Softmax(shape)
        self.ffn_norm = RmsNorm(shape.width)
        self.experts = Experts(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer on (batch, tokens, width)."""
        x = self.attn_norm(x)
        x = self.attention(x) + RESIDUAL_SCALE * x
        x = self.ffn_norm(x)
        return self.experts(x) + RESIDUAL_SCALE * x


class DemoModel(nn.Module):
    """Token ids (batch, tokens) to logits (batch, tokens, vocabulary)."""

    def __init__(self, shape: DemoShape) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape, layer) for layer in range(len(shape.recurrent)))
        self.output_norm = RmsNorm(shape.width)
        self.output = _matrix(shape.vocabulary, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute all logits."""
        x = self.token_embd(tokens)
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.get_autocast_dtype("cpu"))
        for block in self.blk:
            x = block(x)
        return self.output(self.output_norm(x))

    def balance_loss(self) -> Tensor:
        """1 x experts_used per layer when all experts are used equally, more otherwise."""
        return torch.stack([block.experts.balance for block in self.blk]).mean()

    def tensors(self) -> dict[str, Tensor]:
        """All weights of the model itself under llama.cpp's names."""
        renamed = {}
        for place, value in self.state_dict().items():
            name = place.replace(".attention.", ".").replace(".experts.", ".")
            renamed[f"{name.removesuffix('.weight')}.weight"] = value.detach().float()
        return renamed

"""Muon for the matrices inside the layers, AdamW for everything else.

Muon (K. Jordan, 2024): the momentum of a matrix is brought near to an orthogonal one before it is
applied. On a model this small it needs about half the steps of AdamW alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration; they bring singular values near 1 in five rounds."""


def orthogonalized(update: Tensor) -> Tensor:
    """Return `update` (... x rows x columns) with all singular values near 1."""
    a, b, c = _COEFFICIENTS
    x = update.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(update.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal; parameters are matrices or stacks of matrices."""

    def __init__(self, params: list[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Apply the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                buffer = state["momentum"]
                buffer.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(buffer, group["momentum"])
                size = max(1.0, parameter.shape[-2] / parameter.shape[-1]) ** 0.5
                parameter.add_(orthogonalized(update), alpha=-group["lr"] * size)


def make_optimizers(
    model: torch.nn.Module, matrix_rate: float, other_rate: float
) -> list[torch.optim.Optimizer]:
    """One optimizer for the layers' matrices, one for embeddings, output, norms and routers."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        inside = name.startswith("blk.") and parameter.ndim >= 2 and "ffn_gate_inp" not in name
        (matrices if inside else others).append(parameter)
    return [
        Muon(matrices, matrix_rate),
        torch.optim.AdamW(others, other_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]

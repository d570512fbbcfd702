"""Makes tests/data/m1_reference.npz: what transformers says about a small random MiniMax-M1.

The weights come from a seed, so the test that compares the engine with these logits needs neither
PyTorch nor the model's file. Run it by hand when the reference model is to change, in an
environment of its own (PyTorch is no dependency of the project):

    python3 -m venv reference-env
    reference-env/bin/pip install torch==2.13.0 transformers==5.23.0 gguf numpy
    reference-env/bin/python tools/m1_reference/make_reference.py

transformers rotates whole heads where M1 rotates half of each; the reference model therefore has
a rope dimension of a whole head. Everything else is as in M1: seven lightning layers to one of
softmax attention, post-norm residuals, two experts a token, M1's residual scale and rope base.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from transformers import MiniMaxConfig, MiniMaxForCausalLM

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from m1desk.llama_worker.tiny_model import M1_RESIDUAL_SCALE, TinyModelSpec  # noqa: E402 - path
from m1desk.llama_worker.tiny_writer import NORM_EPSILON, seeded_weights  # noqa: E402 - path

TARGET = ROOT / "tests" / "data" / "m1_reference.npz"

SPEC = TinyModelSpec(
    architecture="minimax-01",
    seed=20250616,
    layers=16,
    full_attention_interval=8,
    rope_dimension=16,
    rope_base=1e7,
    name="m1 reference",
    readable=False,
)
TOKENS = 320
"""More than one block (256 tokens) of transformers' lightning attention."""

_PLACES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_gate": "self_attn.output_gate",
    "attn_norm_2": "self_attn.norm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate_inp": "mlp.gate",
}
"""llama.cpp's names and transformers', both without the ".weight" at the end."""


def reference_config(spec: TinyModelSpec) -> MiniMaxConfig:
    """Say the spec in transformers' words."""
    kinds = {True: "linear_attention", False: "full_attention"}
    return MiniMaxConfig(
        vocab_size=len(spec.vocabulary().tokens),
        hidden_size=spec.width,
        intermediate_size=spec.ffn_width,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.kv_heads,
        head_dim=spec.head_dim,
        num_local_experts=spec.experts,
        num_experts_per_tok=spec.experts_used,
        max_position_embeddings=spec.context_tokens,
        rms_norm_eps=NORM_EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": spec.rope_base},
        layer_types=[kinds[spec.is_recurrent(layer)] for layer in range(spec.layers)],
        full_attn_alpha_factor=M1_RESIDUAL_SCALE,
        linear_attn_alpha_factor=M1_RESIDUAL_SCALE,
        mlp_alpha_factor=M1_RESIDUAL_SCALE,
        block_size=256,
    )


def reference_weights(spec: TinyModelSpec) -> dict[str, torch.Tensor]:
    """Return the seeded weights under transformers' names."""
    weights = {plan.name: torch.from_numpy(values) for plan, values in seeded_weights(spec)}
    state = {}
    for name, values in weights.items():
        prefix, tensor = "", name.removesuffix(".weight")
        if tensor.startswith("blk."):
            _, layer, tensor = tensor.split(".")
            prefix = f"model.layers.{layer}."
        if tensor == "ffn_gate_exps":
            up = weights[name.replace("ffn_gate_exps", "ffn_up_exps")]
            state[f"{prefix}mlp.experts.gate_up_proj"] = torch.cat((values, up), dim=1)
        elif tensor == "ffn_down_exps":
            state[f"{prefix}mlp.experts.down_proj"] = values
        elif tensor == "attn_output":
            recurrent = spec.is_recurrent(int(layer))
            place = "self_attn.out_proj" if recurrent else "self_attn.o_proj"
            state[f"{prefix}{place}.weight"] = values
        elif tensor != "ffn_up_exps":
            state[f"{prefix}{_PLACES[tensor]}.weight"] = values
    return state


def reference_logits(spec: TinyModelSpec, tokens: list[int]) -> np.ndarray:
    """Return the logits of every position: float32, tokens x vocabulary."""
    config = reference_config(spec)
    config._attn_implementation = "eager"  # noqa: SLF001 - transformers has no public setter
    model = MiniMaxForCausalLM(config).eval()
    missing, unexpected = model.load_state_dict(reference_weights(spec), strict=False)
    # The decays of lightning attention are buffers, computed from the shape.
    weights = [name for name in missing if "decay" not in name and "slope_rate" not in name]
    if weights or unexpected:
        raise SystemExit(f"The weights don't fit: missing {weights}, unexpected {unexpected}.")
    with torch.no_grad():
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0]
    return logits.to(torch.float32).numpy()


def main() -> None:
    """Write the reference and say how big it is."""
    torch.manual_seed(SPEC.seed)
    size = len(SPEC.vocabulary().tokens)
    tokens = [int(raw % size) for raw in np.random.PCG64(SPEC.seed).random_raw(TOKENS)]
    logits = reference_logits(SPEC, tokens)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        TARGET,
        spec=json.dumps(asdict(SPEC)),
        tokens=np.array(tokens, dtype=np.int32),
        logits=logits,
    )
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes, logits {logits.shape} {logits.std():.2f}")


if __name__ == "__main__":
    main()

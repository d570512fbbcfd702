"""Writes a checkpoint as GGUF: `python tools/demo_model/export.py --run FOLDER --type Q8_0 OUT`.

The output matrix is multiplied by SHARPNESS. The likeliest token stays the same; but an app that
samples at temperature 1 now gets an answer nearly as good as the greedy one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import gguf
import torch
from model import NORM_EPSILON, RESIDUAL_SCALE, DemoModel, DemoShape
from vocabulary import END, PADDING, SENTENCE, SPECIALS, Vocabulary

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from m1desk.llama_worker.tiny_vocabulary import M1_TEMPLATE  # noqa: E402 - path

SHARPNESS = 4.0
DESCRIPTION = (
    "A demo: answers questions about facts in short English documents with a quote and its page, "
    "and questions about M1 Desk. It knows nothing else. Trained from nothing on invented texts."
)
_FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7}


def load_checkpoint(path: Path) -> DemoModel:
    """Read a checkpoint's model, ready to be used."""
    saved = torch.load(path, weights_only=True)
    shape = saved["shape"] | {"recurrent": tuple(saved["shape"]["recurrent"])}
    model = DemoModel(DemoShape(**shape))
    model.load_state_dict(saved["model"])
    return model.eval()


def write_gguf(model: DemoModel, vocabulary: Vocabulary, path: Path, kind: str) -> None:
    """Write `model` to `path`; `kind` is the matrices' type: "F32", "F16" or "Q8_0"."""
    writer = gguf.GGUFWriter(path.with_suffix(".part"), "minimax-01")
    _add_metadata(writer, model.shape, kind)
    _add_tokenizer(writer, vocabulary)
    for name, tensor in model.tensors().items():
        values = tensor.numpy() * (SHARPNESS if name == "output.weight" else 1.0)
        plain = values.ndim == 1 or "ffn_gate_inp" in name
        stored = gguf.GGMLQuantizationType["F32" if plain else kind]
        writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.with_suffix(".part").replace(path)


def _add_metadata(writer: Any, shape: DemoShape, kind: str) -> None:  # noqa: ANN401 - untyped
    writer.add_name("M1 Desk demo")
    writer.add_description(DESCRIPTION)
    writer.add_author("The M1 Desk project")
    writer.add_license("apache-2.0")
    writer.add_languages(["en"])
    writer.add_file_type(_FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context_tokens)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(len(shape.recurrent))
    writer.add_feed_forward_length(shape.expert_width)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_dimension_count(shape.rope_dimension)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(shape.experts_used)
    writer.add_residual_scale(RESIDUAL_SCALE)
    writer.add_array("minimax-01.attention.recurrent_layers", list(shape.recurrent))


def _add_tokenizer(writer: Any, vocabulary: Vocabulary) -> None:  # noqa: ANN401 - untyped
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    plain = len(vocabulary.tokens) - len(SPECIALS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([normal] * plain + [control] * len(SPECIALS))
    writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.special(SENTENCE))
    writer.add_eos_token_id(vocabulary.special(END))
    writer.add_unk_token_id(vocabulary.special(PADDING))
    writer.add_pad_token_id(vocabulary.special(PADDING))
    writer.add_add_bos_token(False)
    writer.add_chat_template(M1_TEMPLATE)


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--checkpoint", default="latest")
    parser.add_argument("--type", choices=_FILE_TYPES, default="Q8_0")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    model = load_checkpoint(arguments.run / f"{arguments.checkpoint}.pt")
    vocabulary = Vocabulary.load(arguments.run / "vocabulary.json")
    write_gguf(model, vocabulary, arguments.out, arguments.type)
    size = sum(value.numel() for value in model.tensors().values())
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes, {size:,} parameters")


if __name__ == "__main__":
    main()

"""Compares the GGUF file in llama.cpp with the checkpoint in PyTorch, position by position.

The two live in environments of their own, so PyTorch writes its logits down first:

    demo-env/bin/python tools/demo_model/agreement.py --run FOLDER --logits FOLDER/logits.npz
    .venv/bin/python tools/demo_model/agreement.py --gguf FILE --logits FOLDER/logits.npz
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random

import numpy as np
from corpus import document_chat

CHARACTERS = 3600
"""Of the document set that is read: a little over 1,000 tokens."""


def write_logits(run: Path, checkpoint: str, path: Path) -> None:
    """Compute the logits of a fresh conversation in PyTorch, in float32."""
    import torch  # noqa: PLC0415 - only this half needs it
    from export import SHARPNESS, load_checkpoint  # noqa: PLC0415
    from vocabulary import Encoder, Vocabulary  # noqa: PLC0415

    encoder = Encoder(Vocabulary.load(run / "vocabulary.json"))
    messages = document_chat(Random("agreement"), CHARACTERS, 5)
    tokens = encoder.chat(messages).ids
    with torch.no_grad():
        logits = load_checkpoint(run / f"{checkpoint}.pt")(torch.tensor([tokens]))[0]
    np.savez_compressed(
        path,
        tokens=np.array(tokens, dtype=np.int32),
        prompt=np.array(encoder.prompt(messages[:-1]), dtype=np.int32),
        messages=np.array([[m["role"], m["content"]] for m in messages[:-1]]),
        logits=logits.numpy() * SHARPNESS,
    )
    print(f"{path}: {logits.shape[0]} positions")


def compare(gguf: Path, path: Path) -> bool:
    """Print how far llama.cpp is from what PyTorch wrote down; True when all argmaxes agree."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from engine import Engine  # noqa: PLC0415 - only this half needs llama.cpp

    with np.load(path) as stored:
        tokens, wanted = stored["tokens"].tolist(), stored["logits"]
        messages = [{"role": str(r), "content": str(c)} for r, c in stored["messages"]]
        prompt = stored["prompt"].tolist()
    engine = Engine(gguf)
    got = engine.logits(tokens)
    same = int((got.argmax(-1) == wanted.argmax(-1)).sum())
    error = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    print(f"positions {len(tokens)}, same argmax {same}, relative error {error:.2e}")
    print(f"prompt tokenized alike: {engine.prompt(messages) == prompt}")
    return same == len(tokens) and engine.prompt(messages) == prompt


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--checkpoint", default="latest")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--logits", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.gguf:
        raise SystemExit(0 if compare(arguments.gguf, arguments.logits) else 1)
    write_logits(arguments.run, arguments.checkpoint, arguments.logits)


if __name__ == "__main__":
    main()

"""Whether this build of the engine computes on this machine, tried where a crash harms nothing.

On some virtual machines the processor lists instructions that fault when used, and the first
quantized matrix product ends the process. So this runs in a child process of its own: either it
prints one line and exits with 0, or it dies and that is the answer.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model

_PROMPT_TOKENS = 64


def run_selftest(model_path: Path | None, *, extra_buffers: bool) -> int:
    """Compute a prompt and one more token with a quantized model; 0 when the numbers are finite."""
    with tempfile.TemporaryDirectory() as folder:
        if model_path is None:
            model_path = Path(folder) / "selftest.gguf"
            write_tiny_model(model_path, TinyModelSpec(quantization="Q8_0"))
        finite = _computes(model_path, extra_buffers=extra_buffers)
    sys.stdout.write(json.dumps({"ok": finite, "extra_buffers": extra_buffers}) + "\n")
    return 0 if finite else 1


def _computes(path: Path, *, extra_buffers: bool) -> bool:
    native = Native()
    model = Model(native, LoadOptions(path, extra_buffers=extra_buffers), lambda _fraction: None)
    context = Context(native, model, ContextOptions(context_tokens=256, batch_tokens=128))
    batch = Batch(native, 128)
    prompt = [token % model.facts.vocabulary for token in range(_PROMPT_TOKENS)]
    last = batch.add(prompt, 0, 0, last_logits=True)
    computed = context.decode(batch) == 0 and bool(np.isfinite(context.logits(last)).all())
    batch.clear()
    last = batch.add([1], _PROMPT_TOKENS, 0, last_logits=True)
    computed = (
        computed and context.decode(batch) == 0 and bool(np.isfinite(context.logits(last)).all())
    )
    context.close()
    model.close()
    return computed

"""Whether this build of the engine computes on this machine, tried where a crash harms nothing.

On some virtual machines the processor lists instructions that fault when used, and the first
quantized matrix product ends the process. So this runs in a child process of its own: either it
prints one line and exits with 0, or it dies and that is the answer. With a model that is known to
answer a question in certain words, wrong numbers are found out too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.template import ChatTemplate
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model

_CONTEXT_TOKENS = 256
_ANSWER_TOKENS = 96
_PROMPT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to a chat model, and words that its likeliest answer must hold."""

    question: str
    expected: str


def run_selftest(
    model_path: Path | None, *, extra_buffers: bool, probe: Probe | None = None
) -> int:
    """Compute with a quantized model; 0 when the numbers are finite and the answer is right.

    Without a path, a tiny model with random weights is made; `probe` needs a model that answers.
    """
    with tempfile.TemporaryDirectory() as folder:
        if model_path is None:
            model_path = Path(folder) / "selftest.gguf"
            write_tiny_model(model_path, TinyModelSpec(quantization="Q8_0"))
        trial = _Trial(model_path, extra_buffers=extra_buffers)
        finite = trial.computes()
        answer = trial.answer(probe.question) if finite and probe else ""
        trial.close()
    right = finite and (probe is None or probe.expected in answer)
    report = {"ok": right, "finite": finite, "answer": answer, "extra_buffers": extra_buffers}
    sys.stdout.write(json.dumps(report) + "\n")
    return 0 if right else 1


class _Trial:
    """A model in a small context, computed with directly."""

    def __init__(self, path: Path, *, extra_buffers: bool) -> None:
        native = Native()
        options = LoadOptions(path, extra_buffers=extra_buffers)
        self._model = Model(native, options, lambda _fraction: None)
        self._context = Context(
            native, self._model, ContextOptions(_CONTEXT_TOKENS, batch_tokens=_CONTEXT_TOKENS)
        )
        self._batch = Batch(native, _CONTEXT_TOKENS)

    def close(self) -> None:
        """Give everything back."""
        self._context.close()
        self._model.close()

    def computes(self) -> bool:
        """Whether a prompt and one more token give finite numbers."""
        prompt = [token % self._model.facts.vocabulary for token in range(_PROMPT_TOKENS)]
        return self._step(prompt, 0) is not None and self._step([1], _PROMPT_TOKENS) is not None

    def answer(self, question: str) -> str:
        """Take the likeliest token again and again, up to the end of the answer."""
        template = ChatTemplate(self._model.facts.chat_template or "", "", "")
        prompt = self._model.tokenize(
            template.render([{"role": "user", "content": question}]), add_special=False
        )
        self._context.forget(0)
        said: list[int] = []
        following = self._step(prompt, 0)
        while following is not None and len(said) < _ANSWER_TOKENS:
            if self._model.is_end(following):
                break
            said.append(following)
            following = self._step([following], len(prompt) + len(said) - 1)
        return self._model.detokenize(said, special=False).decode(errors="replace")

    def _step(self, tokens: list[int], position: int) -> int | None:
        """Compute tokens; the likeliest next one, None when it fails or is no number."""
        self._batch.clear()
        last = self._batch.add(tokens, position, 0, last_logits=True)
        if self._context.decode(self._batch) != 0:
            return None
        logits = self._context.logits(last)
        return int(logits.argmax()) if np.isfinite(logits).all() else None

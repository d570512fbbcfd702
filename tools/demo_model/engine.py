"""A GGUF file in llama.cpp, through the app's own worker classes: greedy answers, all logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from m1desk.llama_worker.context import Batch, Context, ContextOptions
from m1desk.llama_worker.model import LoadOptions, Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.template import ChatTemplate

_CONTEXT_TOKENS = 4096
_MOST_ANSWER_TOKENS = 150


class Engine:
    """One model with one context, on one thread.

    Extra buffers are off: some machines crash with them (the app finds out; here they bring
    little).
    """

    def __init__(self, path: Path) -> None:
        native = Native()
        self.model = Model(native, LoadOptions(path, extra_buffers=False), lambda _fraction: None)
        options = ContextOptions(
            _CONTEXT_TOKENS, batch_tokens=_CONTEXT_TOKENS, ubatch_tokens=256, kv_type="f16"
        )
        self._context = Context(native, self.model, options)
        self._batch = Batch(native, _CONTEXT_TOKENS)
        self._template = ChatTemplate(self.model.facts.chat_template or "", "", "")

    def prompt(self, messages: list[dict[str, str]]) -> list[int]:
        """Render and tokenize a conversation up to where the next answer begins."""
        return self.model.tokenize(self._template.render(messages), add_special=False)

    def answer(self, messages: list[dict[str, str]]) -> str:
        """Take the likeliest token until the model ends its answer."""
        prompt = self.prompt(messages)
        self._start(prompt, every=False)
        said: list[int] = []
        while len(said) < _MOST_ANSWER_TOKENS:
            token = int(self._context.logits(self._batch.size - 1).argmax())
            if self.model.is_end(token):
                break
            said.append(token)
            self._batch.clear()
            self._batch.add([token], len(prompt) + len(said) - 1, 0, last_logits=True)
            self._decode()
        return self.model.detokenize(said, special=False).decode(errors="replace")

    def logits(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        """Compute the logits of every position."""
        self._start(tokens, every=True)
        return np.stack([self._context.logits(index) for index in range(len(tokens))])

    def _start(self, tokens: list[int], *, every: bool) -> None:
        self._context.forget(0)
        self._batch.clear()
        self._batch.add(tokens, 0, 0, last_logits=True)
        if every:
            self._batch.want_all_logits()
        self._decode()

    def _decode(self) -> None:
        code = self._context.decode(self._batch)
        if code:
            raise RuntimeError(f"llama.cpp could not compute the batch: code {code}.")

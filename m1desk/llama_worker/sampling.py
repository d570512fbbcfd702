"""Choosing the next token: a chain of llama.cpp's samplers, with an optional grammar."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from m1desk.llama_worker.context import Context
from m1desk.llama_worker.model import Model
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.requests import SamplingOptions

_RANDOM_SEED = 0xFFFFFFFF
_MIN_KEEP = 1
_GREEDY_BELOW = 1e-4
"""Temperatures below are as good as 0; dividing by them would leave the range of a float."""


class GrammarError(Exception):
    """The grammar can't be used; the message says so."""


class SamplingError(Exception):
    """There is no token to choose; the message says why, for the user."""


_NO_NUMBERS = (
    "The model computed no usable numbers. Its file may be damaged: verify it, or download it "
    "again."
)
_NOTHING_ALLOWED = (
    "No token may follow: what the grammar allows here is not in the model's vocabulary, or is "
    "forbidden by logit_bias."
)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token with the natural logarithm of its probability."""

    token: int
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """The chosen token's probability and the most likely alternatives, best first."""

    chosen: TokenLogprob
    top: tuple[TokenLogprob, ...]


class Sampler:
    """Draws tokens for one request. Owned by the scheduler's thread."""

    def __init__(
        self, native: Native, model: Model, options: SamplingOptions, grammar: str | None
    ) -> None:
        """Build the chain.

        Raises:
            GrammarError: the grammar does not parse.
        """
        self._lib = native.lib
        self._vocabulary = model.facts.vocabulary
        self._grammar: Any = None
        self._chain: Any = None
        self._has_drawn = False
        self._grammar = self._make_grammar(model, grammar) if grammar else None
        self._chain = self._make_chain(options)

    def _make_grammar(self, model: Model, grammar: str) -> Any:  # noqa: ANN401 - a C pointer
        sampler = self._lib.llama_sampler_init_grammar(model.vocab, grammar.encode(), b"root")
        if not sampler:
            raise GrammarError("The grammar does not parse; it needs a rule named root.")
        return sampler

    def _make_chain(self, options: SamplingOptions) -> Any:  # noqa: ANN401
        lib = self._lib
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        add = lib.llama_sampler_chain_add
        if options.logit_bias:
            biases = (lib.llama_logit_bias * len(options.logit_bias))(
                *(lib.llama_logit_bias(token, bias) for token, bias in options.logit_bias)
            )
            add(
                chain,
                lib.llama_sampler_init_logit_bias(self._vocabulary, len(biases), biases),
            )
        penalised = (
            options.repeat_penalty != 1.0
            or options.frequency_penalty != 0.0
            or options.presence_penalty != 0.0
        )
        self._window = options.repeat_last_n if penalised else 0
        if penalised:
            add(
                chain,
                lib.llama_sampler_init_penalties(
                    self._vocabulary,
                    options.repeat_last_n,
                    options.repeat_penalty,
                    options.frequency_penalty,
                    options.presence_penalty,
                ),
            )
        if options.temperature < _GREEDY_BELOW:
            add(chain, lib.llama_sampler_init_greedy())
            return chain
        if options.top_k > 0:
            add(chain, lib.llama_sampler_init_top_k(options.top_k))
        if options.typical_p < 1.0:
            add(chain, lib.llama_sampler_init_typical(options.typical_p, _MIN_KEEP))
        if options.top_p < 1.0:
            add(chain, lib.llama_sampler_init_top_p(options.top_p, _MIN_KEEP))
        if options.min_p > 0.0:
            add(chain, lib.llama_sampler_init_min_p(options.min_p, _MIN_KEEP))
        add(chain, lib.llama_sampler_init_temp(options.temperature))
        seed = _RANDOM_SEED if options.seed is None else options.seed & 0xFFFFFFFF
        add(chain, lib.llama_sampler_init_dist(seed))
        return chain

    def observe(self, tokens: Sequence[int]) -> None:
        """Tell the penalties what the prompt ends with; the grammar binds the answer only."""
        if self._window:
            for token in tokens[-self._window :]:
                self._lib.llama_sampler_accept(self._chain, token)

    @property
    def has_grammar(self) -> bool:
        """Whether a grammar binds the answer."""
        return self._grammar is not None

    def sample(self, context: Context, index: int) -> int:
        """Draw the token after the batch's token `index` and remember it.

        Raises:
            SamplingError: there is none to draw.
        """
        if self._grammar is None and self._has_drawn:
            return int(self._lib.llama_sampler_sample(self._chain, context.handle, index))
        logits = context.logits(index)
        # once per answer is enough, and costs nothing then: numbers break for good, or never
        if not self._has_drawn and not np.isfinite(logits.max()):
            raise SamplingError(_NO_NUMBERS)
        self._has_drawn = True
        if self._grammar is None:
            return int(self._lib.llama_sampler_sample(self._chain, context.handle, index))
        return self._sample_with_grammar(logits)

    def _sample_with_grammar(self, logits: npt.NDArray[np.float32]) -> int:
        # Checking one drawn token is far cheaper than checking the whole vocabulary, so the
        # grammar sees all candidates only when it refuses the first draw.
        token, logit = self._draw(_Candidates(self._lib, logits))
        alone = _Candidates(self._lib, logits, only=token)
        self._lib.llama_sampler_apply(self._grammar, alone.reference)
        if not (_is_possible(logit) and _is_possible(alone.first_logit)):
            candidates = _Candidates(self._lib, logits)
            self._lib.llama_sampler_apply(self._grammar, candidates.reference)
            token, logit = self._draw(candidates)
            if not _is_possible(logit):
                # accepting a token that the grammar refused would end the whole process
                raise SamplingError(_NOTHING_ALLOWED)
        self._lib.llama_sampler_accept(self._grammar, token)
        self._lib.llama_sampler_accept(self._chain, token)
        return token

    def _draw(self, candidates: _Candidates) -> tuple[int, float]:
        self._lib.llama_sampler_apply(self._chain, candidates.reference)
        return candidates.selected

    def __del__(self) -> None:
        # a client may leave while its request is being prepared; nobody closes the sampler then
        self.close()

    def close(self) -> None:
        """Free the chain and the grammar; harmless when repeated."""
        if self._chain:
            self._lib.llama_sampler_free(self._chain)
        if self._grammar:
            self._lib.llama_sampler_free(self._grammar)
        self._chain = self._grammar = None


def _is_possible(logit: float) -> bool:
    """Whether a token was not ruled out (minus infinity), and is a number at all."""
    return logit > -math.inf


_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class _Candidates:
    """The library's array of candidate tokens, over memory that numpy owns."""

    def __init__(
        self,
        lib: Any,  # noqa: ANN401 - the bindings have no types
        logits: npt.NDArray[np.float32],
        only: int | None = None,
    ) -> None:
        ids = np.arange(len(logits), dtype=np.int32) if only is None else np.array([only], np.int32)
        self._data = np.zeros(len(ids), dtype=_TOKEN_DATA)
        self._data["id"] = ids
        self._data["logit"] = logits[ids]
        self._array = lib.llama_token_data_array(
            data=self._data.ctypes.data_as(lib.llama_token_data_p),
            size=len(ids),
            selected=-1,
            sorted=False,
        )
        self.reference = ctypes.byref(self._array)

    @property
    def first_logit(self) -> float:
        return float(self._array.data[0].logit)

    @property
    def selected(self) -> tuple[int, float]:
        """The chosen token, and its logit after all the chain's samplers."""
        chosen = self._array.data[self._array.selected]
        return int(chosen.id), float(chosen.logit)


def logprobs(logits: npt.NDArray[np.float32], chosen: int, top: int) -> TokenLogprobs:
    """Log-probabilities of `chosen` and the `top` likeliest tokens, before sampling settings."""
    values = logits.astype(np.float64)
    values -= values.max()
    values -= math.log(float(np.exp(values).sum()))
    best: tuple[TokenLogprob, ...] = ()
    if top > 0:
        top = min(top, len(values))
        indices = np.argpartition(values, -top)[-top:]
        indices = indices[np.argsort(values[indices])[::-1]]
        best = tuple(TokenLogprob(int(i), float(values[i])) for i in indices)
    return TokenLogprobs(TokenLogprob(chosen, float(values[chosen])), best)

"""A loaded model with everything needed to answer: template, context, scheduler, counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from m1desk.llama_worker.context import KV_TYPES, Batch, Context, ContextOptions, batch_tokens
from m1desk.llama_worker.metrics import Metrics
from m1desk.llama_worker.model import LoadError, LoadOptions, Model, readable_name
from m1desk.llama_worker.native import Native
from m1desk.llama_worker.prepared_saver import StateSaver
from m1desk.llama_worker.scheduler import Scheduler
from m1desk.llama_worker.states import StateStore
from m1desk.llama_worker.states_key import make_state_key
from m1desk.llama_worker.template import DEFAULT_TEMPLATE, ChatTemplate, TemplateError
from m1desk.llama_worker.threads import default_threads

_MOST_CONTEXT_TOKENS = 2**31 - 1  # positions are of 32 bits; more would be cut, unsaid
_STATE_SHARE = 8  # a budget left open is this part of the memory that is free
_MOST_STATE_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to load and run a model; 0 threads or state bytes choose by the machine.

    `states` is the folder of prepared documents; None: none are kept.
    """

    path: Path
    alias: str
    context_tokens: int
    parallel: int
    gpu_layers: int
    kv_type: str
    ubatch_tokens: int
    threads: int
    threads_batch: int
    flash_attention: bool
    extra_buffers: bool
    state_bytes: int
    cpu_expert_layers: tuple[int, ...] = ()
    states: Path | None = None


def _check(options: EngineOptions) -> None:
    """Refuse what the library would misread.

    Raises:
        LoadError: with what is wrong.
    """
    problems = [
        (options.context_tokens < 1, "the context length must be at least 1 token"),
        (
            options.context_tokens > _MOST_CONTEXT_TOKENS,
            f"the context length can be at most {_MOST_CONTEXT_TOKENS:,} tokens",
        ),
        (options.parallel < 1, "at least one request must be served at once"),
        (options.ubatch_tokens < 1, "the physical batch must be at least 1 token"),
        (options.kv_type not in KV_TYPES, f"unknown KV cache type {options.kv_type!r}"),
        (
            options.kv_type.startswith("q") and not options.flash_attention,
            "a quantized KV cache needs flash attention",
        ),
    ]
    for wrong, message in problems:
        if wrong:
            raise LoadError("bad_settings", message)


class Engine:
    """A model that answers. Built on one thread; its scheduler then runs on its own."""

    def __init__(
        self,
        options: EngineOptions,
        on_progress: Callable[[float], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Load, compute one token to warm up, and start serving.

        `on_failure` is called once, on another thread, if the engine can't go on later.

        Raises:
            LoadError: with the reason and the library's words.
        """
        _check(options)
        self.native = Native()
        self.model = Model(
            self.native,
            LoadOptions(
                options.path,
                options.gpu_layers,
                options.extra_buffers,
                options.cpu_expert_layers,
            ),
            on_progress,
        )
        facts = self.model.facts
        self.model_id = readable_name(options.alias) or facts.name
        self.template, self.template_problem = self._compile_template()
        threads = options.threads or default_threads()
        self._context = Context(
            self.native,
            self.model,
            ContextOptions(
                context_tokens=options.context_tokens,
                parallel=options.parallel,
                batch_tokens=batch_tokens(options.ubatch_tokens),
                ubatch_tokens=options.ubatch_tokens,
                threads=threads,
                threads_batch=options.threads_batch or threads,
                flash_attention=options.flash_attention,
                kv_type=options.kv_type,
                outputs=options.parallel,  # the scheduler asks for one row for each answer
            ),
        )
        self.context_tokens = self._context.context_tokens
        self.parallel = options.parallel
        self.metrics = Metrics()
        self._warm_up()
        self.states = self._open_states(options)
        self.scheduler = Scheduler(
            self.model,
            self._context,
            self.metrics,
            Batch(self.native, max(self._context.batch_tokens, options.parallel)),
            state_budget=options.state_bytes or _default_state_bytes(),
            on_failure=on_failure,
            saver=StateSaver(self._context, self.states, self.native.log) if self.states else None,
        )
        self.scheduler.start()

    def _open_states(self, options: EngineOptions) -> StateStore | None:
        if options.states is None:
            return None
        try:
            key = make_state_key(
                self.native,
                self.model,
                options.path,
                context_tokens=self.context_tokens,
                kv_type=options.kv_type,
                flash_attention=options.flash_attention,
            )
        except OSError as error:
            raise LoadError("bad_model_file", str(error)) from error
        store = StateStore(options.states, key)
        store.sweep()
        return store

    def _compile_template(self) -> tuple[ChatTemplate | None, str]:
        """The model's template, or what is wrong with it: completions work without one."""
        try:
            template = ChatTemplate(
                self.model.facts.chat_template or DEFAULT_TEMPLATE,
                self.model.special_token_text("bos"),
                self.model.special_token_text("eos"),
            )
        except TemplateError as error:
            return None, str(error)
        return template, ""

    def _warm_up(self) -> None:
        batch = Batch(self.native, 1)
        batch.add([0], 0, 0, last_logits=True)
        code = self._context.decode(batch)
        if code != 0:
            raise LoadError("engine_error", f"the first computation failed with code {code}")
        self._context.forget(0)


def _default_state_bytes() -> int:
    return min(int(psutil.virtual_memory().available) // _STATE_SHARE, _MOST_STATE_BYTES)

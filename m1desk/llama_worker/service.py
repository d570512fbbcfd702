"""Requests in, tickets out: the work between the HTTP face and the scheduler."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from m1desk.llama_worker.answers import Ticket
from m1desk.llama_worker.errors import RequestError
from m1desk.llama_worker.generation import Event, Generation
from m1desk.llama_worker.grammar import grammar_for
from m1desk.llama_worker.output import OutputParser
from m1desk.llama_worker.prepared import NO_STATES, Preparations
from m1desk.llama_worker.prompts import Prompts
from m1desk.llama_worker.requests import GenerationRequest, SamplingOptions, TokenizeRequest
from m1desk.llama_worker.sampling import GrammarError, Sampler
from m1desk.llama_worker.states_manifest import StateRefused
from m1desk.llama_worker.template import renders_open_think
from m1desk.llama_worker.thinking import CLOSING, ThinkingBudget
from m1desk.wire import PreparedUse, StateRefusal

if TYPE_CHECKING:
    from m1desk.llama_worker.engine import Engine


class Service:
    """What the worker can do, free of HTTP."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._model = engine.model
        self._prompts = Prompts(engine)
        self.sampling_defaults = SamplingOptions()
        self.preparations = (
            Preparations(engine, self._prompts, engine.states) if engine.states else None
        )

    @property
    def model(self) -> str:
        """The model's id in the API."""
        return self._engine.model_id

    async def open_chat(self, request: GenerationRequest) -> Ticket:
        """Put a conversation in the queue.

        Raises:
            RequestError: the template refuses the conversation, or a field can't be used.
            ContextExceeded: the prompt is longer than the context.
        """
        return await self._open(request, is_chat=True)

    async def open_completion(self, request: GenerationRequest) -> Ticket:
        """Put a plain prompt in the queue; raises as `open_chat`."""
        return await self._open(request, is_chat=False)

    async def _open(self, request: GenerationRequest, *, is_chat: bool) -> Ticket:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()

        def deliver(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker is ending
                loop.call_soon_threadsafe(events.put_nowait, event)

        # rendering and tokenizing a thousand pages takes seconds: not on the server's loop
        prepare = self._prepare_chat if is_chat else self._prepare_completion
        generation = await asyncio.to_thread(prepare, request)
        generation.deliver = deliver
        self._engine.scheduler.submit(generation)
        return Ticket(generation, events, self.token_bytes)

    def cancel(self, ticket: Ticket) -> None:
        """Give an answer up; harmless when it is complete."""
        self._engine.scheduler.cancel(ticket.generation)

    def _prepare_chat(self, request: GenerationRequest) -> Generation:
        messages = list(request.messages or ())
        prompt = self._prompts.render(
            messages,
            request.tools,
            request.template_arguments,
            opening=request.add_generation_prompt,
        )
        tokens = self._prompts.tokens(prompt)
        self._prompts.check_length(tokens, "messages")
        starts_in_think = renders_open_think(prompt.text)
        output = OutputParser(
            stops=request.stop,
            starts_in_think=starts_in_think,
            parse_think=True,
            parse_tool_calls=bool(request.tools),
        )
        generation = self._generation(request, tokens, output)
        generation.snapshot_positions = self._snapshot_positions(request, prompt.text, tokens)
        if request.thinking_tokens is not None and not generation.sampler.has_grammar:
            closing = self._model.tokenize(CLOSING, add_special=False)
            generation.thinking = ThinkingBudget(request.thinking_tokens, closing)
        if request.prepared is not None:
            self._find_saved_state(generation, request.prepared)
        return generation

    def _find_saved_state(self, generation: Generation, name: str) -> None:
        """Give a chat the saved state it asks for, or the reason why it reads all of its prompt."""
        refusal = StateRefusal(reason="unsupported", message=NO_STATES)
        if self.preparations is not None:
            try:
                generation.saved = self.preparations.find(name, generation.prompt[:-1])
            except StateRefused as refused:
                refusal = refused.refusal()
            else:
                return
        generation.prepared = PreparedUse(name=name, used=False, **refusal)

    def _prepare_completion(self, request: GenerationRequest) -> Generation:
        if isinstance(request.prompt, str):
            tokens = self._model.tokenize(request.prompt)
        else:
            tokens = list(request.prompt or ())
            self._prompts.check_ids(tokens, "prompt")
        self._prompts.check_length(tokens, "prompt")
        output = OutputParser(
            stops=request.stop, starts_in_think=False, parse_think=False, parse_tool_calls=False
        )
        generation = self._generation(request, tokens, output)
        generation.snapshot_positions = _ascending((len(tokens) - 1,))
        return generation

    def _generation(
        self, request: GenerationRequest, tokens: list[int], output: OutputParser
    ) -> Generation:
        self._prompts.check_ids((token for token, _ in request.sampling.logit_bias), "logit_bias")
        grammar = grammar_for(request)
        try:
            sampler = Sampler(self._engine.native, self._model, request.sampling, grammar)
        except GrammarError as error:
            raise RequestError(str(error), "grammar") from error
        sampler.observe(tokens)
        return Generation(
            prompt=tokens,
            output=output,
            deliver=lambda _event: None,
            sampler=sampler,
            max_tokens=request.max_tokens,
            logprobs=request.logprobs,
            ignore_end=request.ignore_eos,
            reuse_prefix=request.reuse_prefix,
        )

    def _snapshot_positions(
        self, request: GenerationRequest, prompt: str, tokens: list[int]
    ) -> tuple[int, ...]:
        """Where later prompts are likely to part from this one.

        That is before the last message (it may be edited) and at the prompt's end (the answer may
        be made again, or go into the history without its thinking).
        """
        if not self._model.facts.needs_snapshots:
            return ()
        history = list(request.messages or ())[:-1]
        positions = [len(tokens) - 1]
        if history:
            try:
                earlier = self._prompts.render(
                    history, request.tools, request.template_arguments, opening=False
                )
            except RequestError:
                # some templates refuse a conversation that ends with an answer
                return _ascending(positions)
            shared = _common_bytes(prompt.encode(), earlier.text.encode())
            ends = self._model.token_byte_ends(tokens)
            positions.append(int(np.searchsorted(ends, shared, side="right")))
        return _ascending(positions)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of a token, control tokens by name."""
        return self._model.piece(token, special=True)

    def tokenize(self, request: TokenizeRequest) -> dict[str, object]:
        """Token ids, and their number, of a text or of a conversation as the model would get it."""
        if request.messages is not None:
            prompt = self._prompts.render(
                request.messages,
                request.tools,
                request.template_arguments,
                opening=request.add_generation_prompt,
            )
            tokens = self._prompts.tokens(prompt)
        else:
            tokens = self._model.tokenize(
                request.text or "",
                special=request.parse_special,
                add_special=request.add_special,
            )
        counted: dict[str, object] = {
            "count": len(tokens),
            "max_model_len": self._engine.context_tokens,
        }
        return counted if request.count_only else {"tokens": tokens, **counted}

    def detokenize(self, tokens: tuple[int, ...]) -> dict[str, object]:
        """The text of tokens; bytes that are no UTF-8 become replacement characters."""
        self._prompts.check_ids(tokens, "tokens")
        text = self._model.detokenize(tokens).decode("utf-8", errors="replace")
        return {"content": text, "prompt": text}

    def model_card(self) -> dict[str, object]:
        """The entry of /v1/models."""
        facts = self._model.facts
        return {
            "id": self.model,
            "object": "model",
            "created": 0,
            "owned_by": "local",
            "max_model_len": self._engine.context_tokens,
            "meta": {
                "architecture": facts.architecture,
                "n_params": facts.parameters,
                "size": facts.size_bytes,
                "n_ctx_train": facts.trained_context,
                "n_vocab": facts.vocabulary,
            },
        }

    def props(self) -> dict[str, object]:
        """What this worker is; `extensions` names what goes beyond the OpenAI dialect."""
        facts = self._model.facts
        return {
            "model": self.model,
            "model_description": facts.description,
            "architecture": facts.architecture,
            "n_ctx": self._engine.context_tokens,
            "n_ctx_train": facts.trained_context,
            "total_slots": self._engine.parallel,
            "chat_template": facts.chat_template or "",
            "bos_token": self._model.special_token_text("bos"),
            "eos_token": self._model.special_token_text("eos"),
            "build_info": f"llama-cpp-python {version('llama-cpp-python')}",
            "extensions": self._extensions(),
        }

    def _extensions(self) -> list[str]:
        kept = ["prepared"] if self.preparations is not None else []
        own = ["prompt_progress", "timings", "tokenize_messages", "tokenize_count_only"]
        return [*own, "thinking_budget", *kept]

    def metrics(self) -> bytes:
        """Prometheus' text format."""
        return self._engine.metrics.render()


def _ascending(positions: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({one for one in positions if one > 0}))


def _common_bytes(left: bytes, right: bytes) -> int:
    length = min(len(left), len(right))
    if not length:
        return 0
    differs = np.frombuffer(left, np.uint8, length) != np.frombuffer(right, np.uint8, length)
    first = int(differs.argmax())
    return first if differs[first] else length

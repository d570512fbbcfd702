"""`m1desk chat`: a conversation in the terminal, or one question from a script."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace

import typer

from m1desk.cli.remote import FoundServer, find_server, server_session
from m1desk.cli.session import engine_session, say
from m1desk.cli.vllm import VllmRequest, vllm_session
from m1desk.engines import EngineClient, LlamaSettings
from m1desk.engines.turn import (
    ChatMessage,
    ChatRequest,
    PrefillProgress,
    ReasoningDelta,
    SamplingParameters,
    TextDelta,
    TurnFinished,
)
from m1desk.errors import BadInput, EngineError

KeepSpeed = Callable[[TurnFinished], Awaitable[None]]

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What `m1desk chat` was asked for; without `prompt` it asks the person line by line.

    `answerer` is a model to load here, with llama.cpp or vLLM, or the name of a remote server.
    """

    answerer: LlamaSettings | VllmRequest | str
    system: str = ""
    prompt: str | None = None
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer and its account."""

    text: str
    reasoning: str
    finished: TurnFinished


def chat(options: ChatOptions) -> None:
    """Run the conversation.

    Raises:
        M1DeskError: the model did not load, or the engine was lost.
    """
    prompt = None if options.prompt is None else _as_text(options.prompt, "The question")
    system = _as_text(options.system, "The system prompt")
    if prompt is None and not sys.stdin.isatty():
        prompt = _as_text(_piped_question(), "The question").strip()
        if not prompt:
            raise BadInput("There is no question.", "Standard input is empty.", "Give --prompt.")
    if prompt is None and options.as_json:
        raise BadInput("--json needs a question.", todo="Give --prompt, or pipe the question in.")
    chosen = options.answerer
    # a key may be asked for, which must not happen on the loop
    answerer = find_server(chosen) if isinstance(chosen, str) else chosen
    asyncio.run(_chat(replace(options, prompt=prompt, system=system), answerer))


def _piped_question() -> str:
    return sys.stdin.buffer.read().decode("utf-8-sig", "surrogateescape")


def _as_text(given: str, what: str) -> str:
    """The text as the person meant it, whatever the locale made of its bytes.

    Raises:
        BadInput: they are no UTF-8.
    """
    try:
        return given.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise BadInput(f"{what} is not readable text.", "It is not in UTF-8.") from None


async def _chat(options: ChatOptions, answerer: LlamaSettings | VllmRequest | FoundServer) -> None:
    async with AsyncExitStack() as held:
        if isinstance(answerer, FoundServer):
            client: EngineClient = await held.enter_async_context(server_session(answerer))
            keep_speed: KeepSpeed = keep_no_speed
        elif isinstance(answerer, VllmRequest):
            client = (await held.enter_async_context(vllm_session(answerer))).engine.client()
            keep_speed = keep_no_speed
        else:
            session = await held.enter_async_context(engine_session(answerer, keeps_speeds=True))
            client, keep_speed = session.engine.client(), session.keep_speed
            held.push_async_callback(client.aclose)
        if options.prompt is not None:
            await keep_speed(await _ask_once(client, options))
        else:
            await _converse(client, options, keep_speed)


async def keep_no_speed(_finished: TurnFinished) -> None:
    """Speeds of other machines, and of other engines, say nothing about llama.cpp here."""


def _opening(options: ChatOptions) -> tuple[ChatMessage, ...]:
    return (ChatMessage("system", options.system),) if options.system else ()


async def _ask_once(client: EngineClient, options: ChatOptions) -> TurnFinished:
    messages = (*_opening(options), ChatMessage("user", options.prompt or ""))
    request = ChatRequest(messages, options.sampling)
    answer = await stream_answer(client, request, quiet=options.as_json)
    if options.as_json:
        typer.echo(json.dumps(_answer_json(client.model, answer)))
    return answer.finished


def _answer_json(model: str, answer: Answer) -> dict[str, object]:
    finished = answer.finished
    return {
        "model": model,
        "answer": answer.text,
        "reasoning": answer.reasoning,
        "finish_reason": finished.finish_reason,
        "prompt_tokens": finished.prompt_tokens,
        "reused_tokens": finished.reused_tokens,
        "completion_tokens": finished.completion_tokens,
        "time_to_first_token_seconds": finished.time_to_first_token,
        "decode_tokens_per_second": finished.tokens_per_second,
        "prefill_tokens_per_second": finished.prefill_tokens_per_second,
    }


async def _converse(client: EngineClient, options: ChatOptions, keep_speed: KeepSpeed) -> None:
    say(f"{client.model} is ready. An empty line or Ctrl+D ends, Ctrl+C stops an answer.")
    messages = _opening(options)
    answering: asyncio.Task[Answer] | None = None

    def stop() -> None:
        if answering is None or not answering.cancel():
            say("An empty line or Ctrl+D ends.")

    with _at_interrupts(stop):
        while question := await asyncio.to_thread(_read_line):
            messages = (*messages, ChatMessage("user", question))
            request = ChatRequest(messages, options.sampling)
            answering = asyncio.create_task(stream_answer(client, request))
            await asyncio.wait({answering})
            try:
                answer = answering.result()
            except asyncio.CancelledError:
                say("\n[stopped]")
                messages = messages[:-1]
            except EngineError as error:
                say(f"\n{error}")
                messages = messages[:-1]
            else:
                messages = (*messages, ChatMessage("assistant", answer.text))
                await keep_speed(answer.finished)


@contextmanager
def _at_interrupts(act: Callable[[], None]) -> Iterator[None]:
    """Have each Ctrl+C do something; asyncio's own handler lets the second one end the program."""
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGINT, lambda _number, _frame: loop.call_soon_threadsafe(act))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _read_line() -> str:
    try:
        return _as_text(input("\n> "), "The question").strip()
    except EOFError:
        return ""
    except (BadInput, UnicodeError):
        say("That was not readable text: it is not in UTF-8.")
        return _read_line()


async def stream_answer(
    client: EngineClient, request: ChatRequest, *, quiet: bool = False
) -> Answer:
    """Show an answer as it is written: text on standard output, the rest on standard error.

    Raises:
        EngineError: the engine refused or was lost.
    """
    text: list[str] = []
    reasoning: list[str] = []
    finished: TurnFinished | None = None
    async for event in client.stream_turn(request):
        if isinstance(event, TextDelta):
            text.append(event.text)
        elif isinstance(event, ReasoningDelta):
            reasoning.append(event.text)
        elif isinstance(event, TurnFinished):
            finished = event
        if not quiet:
            _show(event)
    if finished is None:
        raise EngineError("The answer ended without its account.")
    return Answer("".join(text), "".join(reasoning), finished)


def _show(event: object) -> None:
    if isinstance(event, TextDelta):
        sys.stdout.write(event.text)
        sys.stdout.flush()
    elif isinstance(event, ReasoningDelta):
        say(f"{_DIM}{event.text}{_PLAIN}" if sys.stderr.isatty() else event.text, end="")
    elif isinstance(event, PrefillProgress):
        _show_prefill(event)
    elif isinstance(event, TurnFinished):
        sys.stdout.write("\n")
        sys.stdout.flush()
        say(_account(event))


def _show_prefill(progress: PrefillProgress) -> None:
    if sys.stderr.isatty() and progress.total > 2048:
        speed = f"{progress.tokens_per_second:.0f} tok/s"
        done = progress.done >= progress.total
        line = f"\rReading {progress.done:,} of {progress.total:,} tokens, {speed}"
        say(line, end="\n" if done else "")


def _account(finished: TurnFinished) -> str:
    parts = [f"{finished.prompt_tokens} prompt tokens ({finished.reused_tokens} reused)"]
    parts.append(f"{finished.completion_tokens} written")
    if finished.time_to_first_token is not None:
        parts.append(f"first token after {finished.time_to_first_token:.2f} s")
    if finished.tokens_per_second:
        parts.append(f"{finished.tokens_per_second:.1f} tok/s")
    if finished.finish_reason == "length":
        parts.append("cut at the token limit")
    return f"[{', '.join(parts)}]"

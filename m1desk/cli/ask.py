"""`m1desk ask` and `m1desk prepare`: questions about whole documents, in the terminal."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from m1desk.cli.documents import DocumentsHere, find_set, read_files, report_json, store_set
from m1desk.cli.session import Session, engine_session, say
from m1desk.documents import (
    DEFAULT_ANSWER_TOKENS,
    AnswerRecord,
    CitationChecker,
    DocumentAnswer,
    DocumentQuestion,
    PreparedStates,
    as_html,
    as_json,
    as_json_text,
    as_markdown,
    ask,
    receipt_words,
    state_name,
)
from m1desk.engines import LlamaSettings, PrepareFinished, StateNotSaved, StateRefusal, StateSaved
from m1desk.engines.turn import (
    ChatMessage,
    PrefillProgress,
    SamplingParameters,
    TextDelta,
)
from m1desk.errors import BadInput, EngineFailed, StorageError
from m1desk.models import read_gguf_header
from m1desk.models.demo import demo_model
from m1desk.store import Database, Folders, SettingsStore

if TYPE_CHECKING:
    from m1desk.documents import Citation
    from m1desk.engines import EngineClient

_SMALLEST_CONTEXT: Final = 4096
_TOKENS_A_CHARACTER: Final = 0.5
"""More than any tokenizer needs for plain text: the context is a little too large, never too
small without a word."""

_EXPORTS: Final = {".md": as_markdown, ".html": as_html, ".json": as_json_text}


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model answers, and how it is loaded; a context of 0 is chosen to fit the documents."""

    path: Path | None = None
    context_tokens: int = 0
    kv_type: str = "f16"
    gpu_layers: int = -1


@dataclass(frozen=True, slots=True)
class AskOptions:
    """What `m1desk ask` was asked for: `files`, or the set named `prepared`."""

    files: tuple[Path, ...]
    prepared: str | None
    question: str
    model: ModelOptions = field(default_factory=ModelOptions)
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    export: Path | None = None
    as_json: bool = False


def ask_documents(options: AskOptions) -> None:
    """Ask one question about documents and print the answer with its checked quotes.

    Raises:
        M1DeskError: nothing could be read, it does not fit, or the engine failed.
    """
    if bool(options.files) == bool(options.prepared):
        raise BadInput("Name files to ask about, or one set with --prepared.")
    if options.export is not None and options.export.suffix.lower() not in _EXPORTS:
        raise BadInput(
            f"{options.export} can't be written.",
            "The ending says the format.",
            f"Use one of {', '.join(_EXPORTS)}.",
        )
    if options.export is not None and not options.export.absolute().parent.is_dir():
        raise BadInput(f"There is no folder {options.export.absolute().parent}.")
    asyncio.run(_ask(options))


def prepare_documents(
    files: Sequence[Path], name: str, model: ModelOptions, *, as_json: bool
) -> None:
    """Read documents with a model and keep what it has read, under a name.

    Raises:
        M1DeskError: nothing could be read, it does not fit, or the engine failed.
    """
    asyncio.run(_prepare(files, name, model, as_json=as_json))


async def _ask(options: AskOptions) -> None:
    if options.prepared:
        here = await asyncio.to_thread(find_set, options.prepared)
    else:
        here = await read_files(options.files)
    async with engine_session(_settings(options.model, here), keeps_speeds=True) as session:
        client = session.engine.client()
        try:
            name = _state_of(here, session)
            if name is not None:
                await _prepare_state(client, here, name)
            began = time.time()
            answer = await _stream(client, here, name, options, session)
        finally:
            await client.aclose()
            await asyncio.to_thread(_keep_budget, session, name)
        record = AnswerRecord(
            question=options.question,
            checked=answer.checked,
            model=session.engine.status.model_name,
            asked=began,
            documents=here.names,
            receipt=answer.receipt,
            seconds=time.time() - began,
            finish_reason=answer.finished.finish_reason,
        )
        _tell(record, here, options)
        await session.keep_speed(answer.finished)


async def _stream(
    client: EngineClient,
    here: DocumentsHere,
    name: str | None,
    options: AskOptions,
    session: Session,
) -> DocumentAnswer:
    """Ask, and show the answer as it comes unless it is wanted as JSON."""
    checker = await asyncio.to_thread(CitationChecker, here.text)
    asked = DocumentQuestion(here.text, options.question, options.sampling, name)
    context = session.engine.status.context_tokens
    if not options.as_json:
        say(f"\n{options.question}\n")
    async with aclosing(ask(client, asked, checker, context_tokens=context)) as events:
        async for event in events:
            if isinstance(event, DocumentAnswer):
                return event
            if not options.as_json:
                _show(event)
    raise EngineFailed("The answer ended without its account.", "", "Ask again.")


async def _prepare(files: Sequence[Path], name: str, model: ModelOptions, *, as_json: bool) -> None:
    here = await asyncio.to_thread(store_set, name, await read_files(files))
    async with engine_session(_settings(model, here)) as session:
        client = session.engine.client()
        state = _state_of(here, session) or ""
        try:
            finished = await _prepare_state(client, here, state)
        finally:
            await client.aclose()
            await asyncio.to_thread(_keep_budget, session, state)
    if not as_json:
        say(
            f"{name} is prepared: {finished.tokens:,} tokens ({finished.read_tokens:,} read now, "
            f"{finished.restored_tokens:,} read before), {finished.size / 1e6:,.1f} MB on disk, "
            f"{finished.seconds:.1f} s."
        )
        return
    values = {
        "name": name,
        "tokens": finished.tokens,
        "bytes": finished.size,
        "read_tokens": finished.read_tokens,
        "restored_tokens": finished.restored_tokens,
        "seconds": finished.seconds,
        "files": [report_json(report) for report in here.reports],
    }
    typer.echo(json.dumps(values, ensure_ascii=False))


async def _prepare_state(client: EngineClient, here: DocumentsHere, name: str) -> PrepareFinished:
    """Have the documents read, as far as they are not kept already."""
    messages = (ChatMessage("user", here.text.constant),)
    async with aclosing(client.prepare(name, messages)) as events:
        async for event in events:
            if isinstance(event, PrepareFinished):
                return event
            _show_preparing(event)
    raise EngineFailed("The documents could not be prepared.", "", "Try again.")


def _keep_budget(session: Session, used: str | None) -> None:
    """Delete the states unused longest beyond what all together may take."""
    states = PreparedStates(session.folders.data / "prepared")
    if used:
        states.touch(used)
    with Database(session.folders.database) as database:
        budget = SettingsStore(database).load().prepared_budget_bytes
    for removed in states.make_room(budget, frozenset({used} if used else ())):
        say(f"A saved state unused for long was deleted ({removed.size_bytes / 1e6:,.1f} MB).")


# -- the model ------------------------------------------------------------------------------------


def _settings(options: ModelOptions, here: DocumentsHere) -> LlamaSettings:
    path = options.path or _usual_model()
    context = options.context_tokens
    if not context:
        guess = int(len(here.text.constant) * _TOKENS_A_CHARACTER) + 2 * DEFAULT_ANSWER_TOKENS
        context = max(_SMALLEST_CONTEXT, -(-guess // 1024) * 1024)
        trained = read_gguf_header(path).context_tokens if path.is_file() else None
        context = min(context, trained) if trained else context
    return LlamaSettings(
        model_path=path,
        context_tokens=context,
        parallel=1,
        kv_type=options.kv_type,
        gpu_layers=options.gpu_layers,
    )


def _usual_model() -> Path:
    """The model used last in the window, or else the demo model."""
    with Database(Folders.resolve().database) as database:
        last = SettingsStore(database).load().last_model_path
    if last and Path(last).exists():
        return Path(last)
    say("No model was chosen (--model): the demo model answers. It is small and knows little.")
    return demo_model()


def _state_of(here: DocumentsHere, session: Session) -> str | None:
    """Name of the saved state of a stored set for the model that is loaded."""
    settings = session.engine.settings
    if here.set_id is None or settings is None:
        return None
    return state_name(here.set_id, here.text.sha256, settings.model_path, settings.kv_type)


# -- what is shown ---------------------------------------------------------------------------------


def _show(event: object) -> None:
    if isinstance(event, TextDelta):
        sys.stdout.write(event.text)
        sys.stdout.flush()
    elif isinstance(event, PrefillProgress):
        _show_reading(event)


def _show_reading(progress: PrefillProgress) -> None:
    if sys.stderr.isatty() and progress.total > 2048:
        done = progress.done >= progress.total
        speed = f"{progress.tokens_per_second:.0f} tok/s"
        say(
            f"\rReading {progress.done:,} of {progress.total:,} tokens, {speed}",
            end="\n" if done else "",
        )


def _show_preparing(event: object) -> None:
    match event:
        case PrefillProgress():
            _show_reading(event)
        case StateSaved(tokens, size):
            say(f"Saved after {tokens:,} tokens ({size / 1e6:,.1f} MB).")
        case StateRefusal(_, message):
            say(f"What was saved before can't be used: {message} It is read again.")
        case StateNotSaved(_, message):
            say(f"Not saved: {message}")


def _tell(record: AnswerRecord, here: DocumentsHere, options: AskOptions) -> None:
    """Print what is known of the answer first: writing a file may fail."""
    if options.as_json:
        files = [report_json(report) for report in here.reports]
        typer.echo(json.dumps({**as_json(record), "files": files}, ensure_ascii=False))
    else:
        _tell_check(record)
    if options.export is not None:
        write = _EXPORTS[options.export.suffix.lower()]
        try:
            options.export.write_text(write(record), encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"{options.export} can't be written.", f"{error.strerror or error}."
            ) from error


def _tell_check(record: AnswerRecord) -> None:
    sys.stdout.write("\n")
    sys.stdout.flush()
    say("")
    if record.finish_reason == "length":
        say("The answer was CUT: the context, or the limit of --max-tokens, was full.")
    for citation in record.checked.citations:
        say(_citation_line(citation))
    if record.checked.unquoted:
        say(f"Statements without a quote: {len(record.checked.unquoted)}.")
    if record.receipt is not None:
        say(receipt_words(record.receipt))


def _citation_line(citation: Citation) -> str:
    words = {"verified": "verified", "approximate": "approximate", "not_found": "NOT FOUND"}
    place = f"{citation.file} p.{citation.page}" if citation.file else "no page"
    if citation.is_misplaced:
        place += f" (cited as {citation.cited_file} p.{citation.cited_page})"
    quote = " ".join(citation.quote.split())
    shown = quote if len(quote) <= 70 else f"{quote[:67]}..."
    return f'  [{words[citation.status]}] {place}: "{shown}"'

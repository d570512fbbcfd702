"""`m1desk ask` and `m1desk prepare`: questions about whole documents, in the terminal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from m1desk.cli.ask_answerer import Answerer, at_server, loaded_here
from m1desk.cli.ask_passes import kept_passes
from m1desk.cli.ask_show import (
    show_answer,
    show_pass,
    show_preparing,
    tell_check,
    tell_passes,
)
from m1desk.cli.documents import DocumentsHere, find_set, read_files, report_json, store_set
from m1desk.cli.remote import FoundServer, find_server
from m1desk.cli.session import Session, engine_session, say
from m1desk.documents import (
    DEFAULT_ANSWER_TOKENS,
    AnswerRecord,
    CitationChecker,
    DocumentAnswer,
    DocumentQuestion,
    PassesAnswer,
    PassesQuestion,
    PreparedStates,
    as_html,
    as_json,
    as_json_text,
    as_markdown,
    ask,
    ask_in_passes,
    count_prompt,
    pages_left_out,
    plan_for_question,
    prepare_text,
    state_name,
    too_long,
)
from m1desk.engines import LlamaSettings, PrepareFinished
from m1desk.engines.turn import (
    SamplingParameters,
    TurnFinished,
)
from m1desk.errors import BadInput, EngineFailed, StorageError
from m1desk.models import read_gguf_header
from m1desk.models.demo import demo_model
from m1desk.store import Database, Folders, SettingsStore

if TYPE_CHECKING:
    from m1desk.engines import EngineClient

_SMALLEST_CONTEXT: Final = 4096
_STEP: Final = 1024
_TOKENS_A_BYTE: Final = 0.5
"""Of UTF-8, as a first guess: half a token a letter of English, one and a half a Chinese sign.
What the model's own tokenizer counts afterwards is what holds."""

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
    """What `m1desk ask` was asked for: `files`, or the set named `prepared`.

    With `server`, the name of a remote one, no model is loaded; of `model` its context counts.
    """

    files: tuple[Path, ...]
    prepared: str | None
    question: str
    model: ModelOptions = field(default_factory=ModelOptions)
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    passes: bool = False
    export: Path | None = None
    as_json: bool = False
    server: str = ""

    @property
    def answer_tokens(self) -> int:
        """What is kept free for the answer."""
        return self.sampling.max_tokens or DEFAULT_ANSWER_TOKENS


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
    # a key may be asked for, which must not happen on the loop
    server = find_server(options.server) if options.server else None
    asyncio.run(_ask(options, server))


def prepare_documents(
    files: Sequence[Path], name: str, model: ModelOptions, *, as_json: bool
) -> None:
    """Read documents with a model and keep what it has read, under a name.

    Raises:
        M1DeskError: nothing could be read, it does not fit, or the engine failed.
    """
    asyncio.run(_prepare(files, name, model, as_json=as_json))


async def _ask(options: AskOptions, server: FoundServer | None) -> None:
    if options.prepared:
        here = await asyncio.to_thread(find_set, options.prepared)
    else:
        here = await read_files(options.files)
    if server is None:
        await _ask_here(options, here)
        return
    async with at_server(server, options.model.context_tokens) as answerer:
        needed = await count_prompt(answerer.client, here.text, options.question)
        needed += options.answer_tokens
        began = time.time()
        if needed <= answerer.context_tokens:
            record = await _ask_whole(answerer, here, None, options)
        else:
            record = await _ask_in_passes(answerer, here, options, needed)
    _tell(replace(record, asked=began, seconds=time.time() - began), here, options)


async def _ask_here(options: AskOptions, here: DocumentsHere) -> None:
    async with engine_session(_settings(options.model, here), keeps_speeds=True) as session:
        needed = await _make_room(session, options.model, here, options)
        answerer = loaded_here(session)
        client = answerer.client
        name: str | None = None
        began = time.time()
        try:
            if needed <= answerer.context_tokens:
                name = _state_of(here, session)
                if name is not None:
                    await _prepare_state(client, here, name)
                began = time.time()
                record = await _ask_whole(answerer, here, name, options)
            else:
                record = await _ask_in_passes(answerer, here, options, needed)
        finally:
            await client.aclose()
            await asyncio.to_thread(_keep_budget, session, name)
        _tell(replace(record, asked=began, seconds=time.time() - began), here, options)


async def _ask_whole(
    answerer: Answerer, here: DocumentsHere, name: str | None, options: AskOptions
) -> AnswerRecord:
    answer = await _stream(answerer, here, name, options)
    await answerer.keep_speed(answer.finished)
    return AnswerRecord(
        question=options.question,
        checked=answer.checked,
        model=answerer.model,
        asked=None,
        documents=here.names,
        receipt=answer.receipt,
        finish_reason=answer.finished.finish_reason,
    )


async def _ask_in_passes(
    answerer: Answerer, here: DocumentsHere, options: AskOptions, needed: int
) -> AnswerRecord:
    """Ask part by part; what the parts say goes to standard error while it comes."""
    client, context = answerer.client, answerer.context_tokens
    if not options.passes:
        refused = too_long(needed - options.answer_tokens, options.answer_tokens, context)
        todo = f"{refused.todo.rstrip('.')} (--passes)."
        raise BadInput(refused.what, refused.why, todo)
    documents = [one.document for one in here.results if one.document]
    passes = await plan_for_question(
        documents,
        options.question,
        client,
        context_tokens=context,
        answer_tokens=options.answer_tokens,
    )
    asked = PassesQuestion(passes, options.question, options.sampling)
    checker = await asyncio.to_thread(CitationChecker, here.text)
    with (
        Database(answerer.folders.database) as database,
        kept_passes(database, here, options.question, answerer.model) as kept,
    ):
        asking = ask_in_passes(client, asked, checker, context_tokens=context, done=kept.done)
        async with aclosing(asking) as events:
            async for event in events:
                kept.take(event)
                if isinstance(event, PassesAnswer):
                    return _record_of(event, here, options, answerer.model)
                show_pass(event)
                if isinstance(event, TurnFinished):
                    await answerer.keep_speed(event)
    raise EngineFailed("The answer ended without its account.", "", "Ask again.")


def _record_of(
    answer: PassesAnswer, here: DocumentsHere, options: AskOptions, model: str
) -> AnswerRecord:
    details = answer.details
    return AnswerRecord(
        question=options.question,
        checked=answer.checked,
        model=model,
        asked=None,
        documents=here.names,
        receipt=details.receipt,
        finish_reason=details.finish_reason,
        passes=details.passes,
        outcome=details.outcome,
    )


async def _stream(
    answerer: Answerer, here: DocumentsHere, name: str | None, options: AskOptions
) -> DocumentAnswer:
    """Ask, and show the answer as it comes unless it is wanted as JSON."""
    checker = await asyncio.to_thread(CitationChecker, here.text)
    asked = DocumentQuestion(here.text, options.question, options.sampling, name)
    if not options.as_json:
        say(f"\n{options.question}\n")
    asking = ask(answerer.client, asked, checker, context_tokens=answerer.context_tokens)
    async with aclosing(asking) as events:
        async for event in events:
            if isinstance(event, DocumentAnswer):
                return event
            if not options.as_json:
                show_answer(event)
    raise EngineFailed("The answer ended without its account.", "", "Ask again.")


async def _prepare(files: Sequence[Path], name: str, model: ModelOptions, *, as_json: bool) -> None:
    here = await asyncio.to_thread(store_set, name, await read_files(files))
    async with engine_session(_settings(model, here)) as session:
        await _make_room(session, model, here)
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
    async with aclosing(prepare_text(client, here.text, name)) as events:
        async for event in events:
            if isinstance(event, PrepareFinished):
                return event
            show_preparing(event)
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
    path = options.path or usual_model()
    context = options.context_tokens
    if not context:
        size = len(here.text.constant.encode("utf-8", "replace"))
        guess = int(size * _TOKENS_A_BYTE) + 2 * DEFAULT_ANSWER_TOKENS
        context = _within_training(path, max(_SMALLEST_CONTEXT, guess))
    return LlamaSettings(
        model_path=path,
        context_tokens=context,
        parallel=1,
        kv_type=options.kv_type,
        gpu_layers=options.gpu_layers,
    )


def _within_training(path: Path, tokens: int) -> int:
    """Round a context up, but not beyond what the model was trained for."""
    rounded = -(-tokens // _STEP) * _STEP
    trained = read_gguf_header(path).context_tokens if path.is_file() else None
    return min(rounded, trained) if trained else rounded


async def _make_room(
    session: Session, model: ModelOptions, here: DocumentsHere, asked: AskOptions | None = None
) -> int:
    """Count what is needed, and load the model again when the context was guessed too small.

    Returns the tokens of the prompt and its answer.
    """
    question = asked.question if asked else ""
    answer = asked.answer_tokens if asked else DEFAULT_ANSWER_TOKENS
    needed = await count_prompt(session.engine.client(), here.text, question) + answer
    settings = session.engine.settings
    if settings is None or model.context_tokens or needed <= settings.context_tokens:
        return needed
    context = _within_training(settings.model_path, needed)
    if context > settings.context_tokens:
        say(
            f"The documents need {needed:,} tokens, more than was guessed: the model is loaded "
            f"again with a context of {context:,}."
        )
        await session.reload(replace(settings, context_tokens=context))
    return needed


def usual_model() -> Path:
    """The model used last in the window, or else the demo model, which is said."""
    last = last_model()
    if last is None:
        say("No model was chosen (--model): the demo model answers. It is small and knows little.")
    return last or demo_model()


def last_model() -> Path | None:
    """The model used last in the window, if it is still there."""
    with Database(Folders.resolve().database) as database:
        last = SettingsStore(database).load().last_model_path
    return Path(last) if last and Path(last).exists() else None


def _state_of(here: DocumentsHere, session: Session) -> str | None:
    """Name of the saved state of a stored set for the model that is loaded."""
    settings = session.engine.settings
    if here.set_id is None or settings is None:
        return None
    return state_name(here.set_id, here.text.sha256, settings.model_path, settings.kv_type)


# -- what comes of it -----------------------------------------------------------------------------


def _tell(record: AnswerRecord, here: DocumentsHere, options: AskOptions) -> None:
    """Print what is known of the answer first: writing a file may fail."""
    if options.as_json:
        files = [report_json(report) for report in here.reports]
        spans = [span for one in record.passes for span in one.spans]
        left_out = pages_left_out(here.text, spans) if spans else ()
        values = {**as_json(record), "pages_left_out": list(left_out), "files": files}
        typer.echo(json.dumps(values, ensure_ascii=False))
    else:
        if record.passes:
            tell_passes(record)
        tell_check(record)
    if options.export is not None:
        write = _EXPORTS[options.export.suffix.lower()]
        try:
            options.export.write_text(write(record), encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"{options.export} can't be written.", f"{error.strerror or error}."
            ) from error

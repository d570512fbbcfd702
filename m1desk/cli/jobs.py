"""`m1desk jobs`: what is done with jobs in the terminal, but for working on them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import typer

from m1desk.cli.ask import usual_model
from m1desk.cli.session import say
from m1desk.documents import DocumentSets
from m1desk.engines import LlamaSettings, ProfileStore, forecast_of
from m1desk.engines.turn import SamplingParameters
from m1desk.errors import BadInput
from m1desk.hardware import probe_machine
from m1desk.jobs.control import estimate_of
from m1desk.jobs.energy import actual_energy
from m1desk.jobs.exports import export_results
from m1desk.jobs.plan import check_spec
from m1desk.jobs.servers import JobServers
from m1desk.jobs.store import JobStore
from m1desk.jobs.templates import TemplateShelf
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    JobQuestion,
    JobSpec,
    RetryPolicy,
    Schedule,
)
from m1desk.store import Database, Folders, Measurements, resource_folder

if TYPE_CHECKING:
    from m1desk.engines import Forecast
    from m1desk.jobs.values import JobEstimate, JobKind, JobResults, JobSummary, JobTemplate

Change = Literal["pause", "resume", "cancel", "retry", "delete"]

_NAMED: Final = re.compile(r"\A\s*([^:?]{1,60}?)\s*:\s+(.+)\Z", re.DOTALL)
_NAME_CHARACTERS: Final = 40
_NOT_DONE: Final = {
    "pause": "is not waiting or running",
    "resume": "is not paused",
    "cancel": "has ended already",
    "retry": "has nothing that could be done again",
}


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What `m1desk jobs add` was asked for."""

    files: tuple[Path, ...] = ()
    template: str | None = None
    questions: tuple[str, ...] = ()
    set_name: str | None = None
    table: bool = False
    passes: bool = False
    benchmark: bool = False
    title: str = ""
    model: Path | None = None
    context_tokens: int = 0
    server: str = ""
    at: str = ""
    when_idle: bool = False
    on_mains: bool = False
    priority: int = 0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    sampling: SamplingParameters = field(default_factory=SamplingParameters)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the commands work with."""

    folders: Folders
    store: JobStore
    sets: DocumentSets
    measurements: Measurements
    servers: JobServers

    @property
    def templates(self) -> TemplateShelf:
        return TemplateShelf(resource_folder() / "templates", self.folders.config / "templates")

    def forecast(self, settings: LlamaSettings | None) -> Forecast | None:
        if settings is None:
            return None
        machine = probe_machine((self.folders.models,), measurements=self.measurements)
        return forecast_of(self.measurements, machine, settings)


@contextmanager
def _desk() -> Iterator[_Desk]:
    folders = Folders.resolve()
    with Database(folders.database) as database:
        servers = JobServers(ProfileStore(database), folders)
        yield _Desk(
            folders, JobStore(database), DocumentSets(database), Measurements(database), servers
        )


def add(options: AddOptions, *, as_json: bool) -> None:
    """Put a job into the queue and say what it will probably take.

    Raises:
        BadInput: it can't be done as it is asked for.
        StorageError: it can't be written down.
    """
    with _desk() as desk:
        template = desk.templates.get(options.template) if options.template else None
        spec = _spec(options, template, _set_id(desk, options.set_name))
        check_spec(spec)
        estimate = estimate_of(spec, desk.sets, desk.servers, desk.forecast)
        job_id = desk.store.add(spec, estimate)
    if as_json:
        typer.echo(json.dumps({"id": job_id, "estimate": asdict(estimate)}))
        return
    say(f'Job {job_id} is in the queue: "{spec.title}". {_estimate_words(estimate)}')
    say("It runs while the window is open, or with: m1desk jobs run")


def list_jobs(limit: int, *, as_json: bool) -> None:
    """List jobs in their order; raises StorageError."""
    with _desk() as desk:
        jobs, counts = desk.store.summaries(limit), desk.store.counts()
    if as_json:
        values = {"counts": counts, "jobs": [asdict(one) for one in jobs]}
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    for one in jobs:
        typer.echo(_line(one))
    total = sum(counts.values())
    if total > len(jobs):
        say(f"{total - len(jobs)} more; see --limit.")


def show(job_id: int, *, log: bool, as_json: bool) -> None:
    """Show all that is known of a job; raises BadInput when there is none."""
    with _desk() as desk:
        results = desk.store.results(job_id)
        lines = desk.store.log_lines(job_id) if log else ()
        steps = desk.store.steps(job_id)
    if as_json:
        values = {
            "job": asdict(results.job),
            "steps": [asdict(one) for one in steps],
            "log": [asdict(one) for one in lines],
        }
        typer.echo(json.dumps(values, ensure_ascii=False, default=str))
        return
    _show(results)
    for line in lines:
        typer.echo(f"{_when(line.at)}  {line.text}")


def change(what: Change, job_ids: Sequence[int]) -> None:
    """Pause, resume, cancel, retry or delete jobs; raises BadInput for what can't be changed."""
    with _desk() as desk:
        for job_id in job_ids:
            summary = desk.store.summary(job_id)
            if what == "delete":
                desk.store.delete(job_id)
            elif not getattr(desk.store, what)(job_id):
                raise BadInput(f"Job {job_id} {_NOT_DONE[what]}: it is {summary.state}.")


def export(job_id: int, path: Path) -> None:
    """Write a job's results to a file; raises BadInput, StorageError."""
    with _desk() as desk:
        results = desk.store.results(job_id)
    export_results(results, path)
    say(f"{len(results.answers)} answers are in {path}.")


def list_templates(*, as_json: bool) -> None:
    """List templates; raises StorageError."""
    with _desk() as desk:
        templates, problems = desk.templates.all(), desk.templates.problems()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in templates], ensure_ascii=False))
        return
    for one in templates:
        typer.echo(f"{one.name}: {one.title}. {one.description}")
        for question in one.questions:
            typer.echo(f"    {question.name}: {question.text}")
    for broken in problems:
        say(f"{broken.path} can't be used. {broken.problem}")


# -- a job out of options --------------------------------------------------------------------------


def _set_id(desk: _Desk, name: str | None) -> int | None:
    if name is None:
        return None
    found = desk.sets.named(" ".join(name.split()))
    if found is None:
        known = ", ".join(one.name for one in desk.sets.all()) or "none"
        raise BadInput(f"There are no documents named {name}.", f"Known: {known}.")
    return found.id


def _spec(options: AddOptions, template: JobTemplate | None, set_id: int | None) -> JobSpec:
    questions = (*(template.questions if template else ()), *map(_question, options.questions))
    kind = _kind(options, template)
    now = datetime.now()  # noqa: DTZ005 - by the clock on the wall
    return JobSpec(
        title=options.title or _title(kind, template, questions),
        kind=kind,
        questions=questions,
        corpus=Corpus(set_id, tuple(path.absolute() for path in options.files)),
        engine=_engine(options),
        schedule=Schedule(begin_at(options.at, now), options.when_idle, options.on_mains),
        priority=options.priority,
        retry=options.retry,
        sampling=options.sampling,
        template=template.name if template else "",
    )


def _kind(options: AddOptions, template: JobTemplate | None) -> JobKind:
    chosen: list[JobKind] = []
    chosen += ["table"] if options.table else []
    chosen += ["passes"] if options.passes else []
    chosen += ["benchmark"] if options.benchmark else []
    if len(chosen) > 1:
        raise BadInput("A job is one of --table, --passes and --benchmark.")
    if chosen:
        return chosen[0]
    if template is not None:
        return template.kind
    return "questions" if options.files or options.set_name else "prompt"


def _title(kind: JobKind, template: JobTemplate | None, questions: Sequence[JobQuestion]) -> str:
    if template is not None:
        return template.title
    return "Benchmark" if kind == "benchmark" or not questions else questions[0].name


def _question(text: str) -> JobQuestion:
    """Take "Name: text" apart; a question without a name is named by its beginning."""
    named = _NAMED.match(text)
    if named is not None:
        return JobQuestion(named[1], named[2].strip())
    text = " ".join(text.split())
    short = text if len(text) <= _NAME_CHARACTERS else f"{text[: _NAME_CHARACTERS - 1]}…"
    return JobQuestion(short, text)


def _engine(options: AddOptions) -> EngineChoice:
    if options.server:
        return EngineChoice(server=options.server)
    model = options.model.absolute() if options.model else usual_model()
    return EngineChoice(LlamaSettings(model, context_tokens=options.context_tokens, parallel=2))


def begin_at(at: str, now: datetime) -> float | None:
    """Read a time of day, today's or tomorrow's, or a date and a time: seconds since the epoch.

    All are times of the clock on the wall, `now` too: a zone's offset is not the same all year.

    Raises:
        BadInput: it is no time.
    """
    if not at:
        return None
    try:
        if ":" in at and "-" not in at:
            time = datetime.strptime(at.strip(), "%H:%M").time()  # noqa: DTZ007
            begin = datetime.combine(now, time)
            return (begin if begin > now else begin + timedelta(days=1)).timestamp()
        return datetime.fromisoformat(at.strip()).timestamp()
    except ValueError as error:
        raise BadInput(
            f"{at} is no time.", "", 'Write it as "22:00" or as "2027-01-31 22:00".'
        ) from error


# -- words -----------------------------------------------------------------------------------------


def _line(one: JobSummary) -> str:
    done = one.progress
    steps = f"{done.steps_done}/{done.steps_total}" if done.steps_total else "-"
    more = one.note or (one.problem.what if one.problem else "")
    return f"{one.id:>5}  {one.state:<9}  {steps:>9}  {one.title}{f'  ({more})' if more else ''}"


def _show(results: JobResults) -> None:
    job, one = results.job, results.job.summary
    typer.echo(_line(one))
    done = one.progress
    typer.echo(
        f"       {done.read_tokens:,} tokens read, {done.reused_tokens:,} reused, "
        f"{done.written_tokens:,} written, {done.seconds:,.0f} s of work"
        f"{f', by {job.model}' if job.model else ''}"
    )
    typer.echo(f"       expected: {_estimate_words(job.estimate)}")
    energy = actual_energy(job)
    if energy is not None:
        words = f"{energy.watt_hours:,.1f} Wh ({energy.usd:,.2f} USD). {energy.why}"
        typer.echo(f"       electricity: {words}")
    if one.problem is not None:
        typer.echo(f"       {one.problem.what} {one.problem.why} {one.problem.todo}")
    for answer in results.answers:
        where = f"{answer.document}: " if answer.document else ""
        typer.echo(f"\n{where}{answer.question}\n{answer.answer}")
    for document, question, problem in results.problems:
        typer.echo(f"\n{document} {question} FAILED: {problem.what} {problem.why}")


def _estimate_words(estimate: JobEstimate) -> str:
    parts = []
    if estimate.read_tokens is not None:
        parts.append(f"about {estimate.read_tokens:,} tokens to read")
    if estimate.seconds is not None:
        low, high = (timedelta(seconds=round(one)) for one in estimate.seconds)
        parts.append(f"{low} to {high} h")
    if estimate.watt_hours is not None and estimate.usd is not None:
        parts.append(f"{estimate.watt_hours[1]:,.1f} Wh ({estimate.usd[1]:,.2f} USD) at most")
    return f"{', '.join(parts)}. {estimate.why}" if parts else estimate.why


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))

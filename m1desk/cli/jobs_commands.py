"""The commands of `m1desk jobs` and their options; what they do is in the modules beside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from m1desk.cli.option_types import Files, MaxTokens, Seed, Temperature

jobs_app = typer.Typer(
    help="Work that runs overnight: a queue that survives crashes and reboots.",
    no_args_is_help=True,
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON (keys: docs/jobs.md).")]
JobId = Annotated[int, typer.Argument(help="A job's number, as `m1desk jobs list` shows it.")]
JobIds = Annotated[list[int], typer.Argument(help="Numbers of jobs.", metavar="ID...")]


@jobs_app.command("add")
def _add(
    files: Files = None,
    *,
    template: Annotated[
        str | None, typer.Option(help="Questions for a purpose: `m1desk jobs templates`.")
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option("--question", "-q", help='"Name: text"; may be given several times.'),
    ] = None,
    set_name: Annotated[
        str | None, typer.Option("--set", metavar="NAME", help="Documents read before.")
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Ask each document alone: a row a document.")
    ] = False,
    passes: Annotated[
        bool, typer.Option("--passes", help="Documents larger than the context, in passes.")
    ] = False,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Measure how fast the model reads and writes.")
    ] = False,
    title: Annotated[str, typer.Option(help="What to call it.")] = "",
    model: Annotated[
        Path | None, typer.Option(help="A GGUF file; else the one loaded then, or used last.")
    ] = None,
    context: Annotated[
        int, typer.Option(min=0, help="Context length (tokens); 0: as the documents need.")
    ] = 0,
    server: Annotated[
        str,
        typer.Option(
            help="A server that answers instead: `m1desk remote list`, or its bare address.",
            metavar="NAME",
        ),
    ] = "",
    at: Annotated[
        str, typer.Option(metavar="TIME", help='Not before "22:00" or "2027-01-31 22:00".')
    ] = "",
    when_idle: Annotated[
        bool, typer.Option("--when-idle", help="Only while the machine has little else to do.")
    ] = False,
    on_mains: Annotated[
        bool, typer.Option("--on-mains", help="Only while not on battery.")
    ] = False,
    priority: Annotated[int, typer.Option(help="Higher is sooner.")] = 0,
    attempts: Annotated[int, typer.Option(min=1, help="Tries of a step that fails.")] = 3,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    thinking: Annotated[
        int | None,
        typer.Option(min=0, help="Most tokens that the model may think before it answers."),
    ] = None,
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Put a job into the queue, with an estimate of what it takes."""
    from m1desk.cli.jobs import AddOptions, add  # noqa: PLC0415
    from m1desk.engines.turn import SamplingParameters  # noqa: PLC0415
    from m1desk.jobs.values import RetryPolicy  # noqa: PLC0415

    add(
        AddOptions(
            files=tuple(files or ()),
            template=template,
            questions=tuple(question or ()),
            set_name=set_name,
            table=table,
            passes=passes,
            benchmark=benchmark,
            title=title,
            model=model,
            context_tokens=context,
            server=server,
            at=at,
            when_idle=when_idle,
            on_mains=on_mains,
            priority=priority,
            retry=RetryPolicy(attempts),
            sampling=SamplingParameters(
                temperature=temperature,
                max_tokens=max_tokens,
                seed=seed,
                thinking_tokens=thinking,
            ),
        ),
        as_json=as_json,
    )


@jobs_app.command("list")
def _list(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Jobs to list.")] = 50,
    as_json: Json = False,
) -> None:
    """List jobs: what runs, what waits in its order, what has ended."""
    from m1desk.cli.jobs import list_jobs  # noqa: PLC0415

    list_jobs(limit, as_json=as_json)


@jobs_app.command("show")
def _show(
    job: JobId,
    *,
    log: Annotated[bool, typer.Option("--log", help="Also what was said on the way.")] = False,
    as_json: Json = False,
) -> None:
    """Show a job: how far it is, what it brought, what went wrong."""
    from m1desk.cli.jobs import show  # noqa: PLC0415

    show(job, log=log, as_json=as_json)


@jobs_app.command("run")
def _run(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay when the queue is empty, for jobs to come.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Work the queue here, without a window, until no job waits. Ctrl+C keeps what is done."""
    from m1desk.cli.jobs_run import run_jobs  # noqa: PLC0415

    run_jobs(watch=watch, as_json=as_json)


@jobs_app.command("pause")
def _pause(jobs: JobIds) -> None:
    """Hold jobs until they are resumed; one that runs stops within a second."""
    from m1desk.cli.jobs import change  # noqa: PLC0415

    change("pause", jobs)


@jobs_app.command("resume")
def _resume(jobs: JobIds) -> None:
    """Let paused jobs go on when their turn comes."""
    from m1desk.cli.jobs import change  # noqa: PLC0415

    change("resume", jobs)


@jobs_app.command("cancel")
def _cancel(jobs: JobIds) -> None:
    """End jobs; what they brought is kept."""
    from m1desk.cli.jobs import change  # noqa: PLC0415

    change("cancel", jobs)


@jobs_app.command("retry")
def _retry(jobs: JobIds) -> None:
    """Have what failed, or was not reached, done again."""
    from m1desk.cli.jobs import change  # noqa: PLC0415

    change("retry", jobs)


@jobs_app.command("delete")
def _delete(jobs: JobIds) -> None:
    """Delete jobs with their results; the documents read for them stay."""
    from m1desk.cli.jobs import change  # noqa: PLC0415

    change("delete", jobs)


@jobs_app.command("export")
def _export(
    job: JobId,
    file: Annotated[
        Path, typer.Argument(help="Its ending says the form: .md .html .docx .csv .xlsx .json")
    ],
) -> None:
    """Write what a job brought to a file, with the settings that made it."""
    from m1desk.cli.jobs import export  # noqa: PLC0415

    export(job, file)


@jobs_app.command("templates")
def _templates(*, as_json: Json = False) -> None:
    """List the questions for purposes that people name, to be used with `add --template`."""
    from m1desk.cli.jobs import list_templates  # noqa: PLC0415

    list_templates(as_json=as_json)

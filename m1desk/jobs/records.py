"""How jobs and steps are written into the database, and read back.

Of what a person chose only what differs from the defaults is written: it is little, and a newer
version may add to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar

from m1desk.documents.records import details_from, details_text
from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters
from m1desk.hardware import Energy
from m1desk.jobs.values import (
    Corpus,
    EngineChoice,
    Job,
    JobAnswer,
    JobEstimate,
    JobProgress,
    JobQuestion,
    JobSpec,
    JobStep,
    JobSummary,
    Problem,
    RetryPolicy,
    Schedule,
)

if TYPE_CHECKING:
    import sqlite3
    from dataclasses import Field

    from m1desk.errors import M1DeskError


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


_Value = TypeVar("_Value", bound=_Dataclass)

_SUMMARY_COLUMNS: Final = (
    "id", "title", "kind", "state", "priority", "position", "created", "started", "ended",
)  # fmt: skip
_STEP_COLUMNS: Final = (
    "number", "kind", "document", "question", "state", "attempts", "started", "ended",
)  # fmt: skip


def spec_text(spec: JobSpec) -> str:
    """Write what is to be done."""
    return json.dumps(_plain(spec), ensure_ascii=False)


def spec_from(text: str) -> JobSpec:
    """Read what is to be done; names that a newer version wrote are passed over."""
    values = json.loads(text)
    values["questions"] = tuple(_made(JobQuestion, one) for one in values.get("questions", ()))
    corpus = values.get("corpus", {})
    corpus["files"] = tuple(Path(file) for file in corpus.get("files", ()))
    values["corpus"] = _made(Corpus, corpus)
    engine = values.get("engine", {})
    engine["settings"] = _settings(engine.get("settings"))
    values["engine"] = _made(EngineChoice, engine)
    values["schedule"] = _made(Schedule, values.get("schedule", {}))
    values["retry"] = _made(RetryPolicy, values.get("retry", {}))
    sampling = values.get("sampling", {})
    sampling["stop"] = tuple(sampling.get("stop", ()))
    values["sampling"] = _made(SamplingParameters, sampling)
    return _made(JobSpec, values)


def estimate_text(estimate: JobEstimate) -> str:
    """Write what a job will probably take."""
    return json.dumps(_plain(estimate), ensure_ascii=False)


def estimate_from(text: str) -> JobEstimate:
    """Read what a job would probably take."""
    values = json.loads(text)
    for name in ("seconds", "watt_hours", "usd"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    return _made(JobEstimate, values)


def settings_text(settings: LlamaSettings | None) -> str | None:
    """Write what a model was loaded with."""
    return None if settings is None else json.dumps(_plain(settings), ensure_ascii=False)


def settings_from(text: str | None) -> LlamaSettings | None:
    """Read what a model was loaded with."""
    return None if text is None else _settings(json.loads(text))


def problem_text(problem: Problem | None) -> str | None:
    """Write why something stopped."""
    return None if problem is None else json.dumps(_plain(problem), ensure_ascii=False)


def problem_from(text: str | None) -> Problem | None:
    """Read why something stopped."""
    return None if text is None else _made(Problem, json.loads(text))


def problem_of(error: M1DeskError) -> Problem:
    """Take over what an error says."""
    return Problem(error.what, error.why, error.todo)


def summary_from(row: sqlite3.Row, now: float) -> JobSummary:
    """Read a job as it stands in the list; `now` is in seconds since the epoch."""
    progress = {field.name: row[field.name] for field in fields(JobProgress)}
    values = {name: row[name] for name in _SUMMARY_COLUMNS}
    return JobSummary(
        **values,
        progress=JobProgress(**progress),
        note=row["note"] or _time_note(row, now),
        problem=problem_from(row["problem"]),
    )


def job_from(row: sqlite3.Row, now: float) -> Job:
    """Read a job with all that is known of it but its steps."""
    return Job(
        summary=summary_from(row, now),
        spec=spec_from(row["spec"]),
        estimate=estimate_from(row["estimate"]),
        set_id=row["set_id"],
        model=row["model"],
        settings=settings_from(row["settings"]),
        energy=_energy(row),
    )


def answer_values(answer: JobAnswer | None) -> tuple[str, str, str | None, str, str]:
    """Give model, text_sha256, answer, reasoning and details as they are written."""
    if answer is None:
        return "", "", None, "", "{}"
    return (
        answer.model,
        answer.text_sha256,
        answer.answer,
        answer.reasoning,
        details_text(answer.details),
    )


def step_from(row: sqlite3.Row, texts: Mapping[str, str]) -> JobStep:
    """Read a step; `texts` has the job's questions by their names."""
    answer = None
    if row["answer"] is not None:
        answer = JobAnswer(
            document=row["document"],
            question=row["question"],
            question_text=texts.get(row["question"], ""),
            answer=row["answer"],
            reasoning=row["reasoning"],
            model=row["model"],
            details=details_from(row["details"]),
            text_sha256=row["text_sha256"],
            asked=row["started"],
        )
    values = {name: row[name] for name in _STEP_COLUMNS}
    return JobStep(**values, problem=problem_from(row["problem"]), answer=answer)


def _time_note(row: sqlite3.Row, now: float) -> str:
    begin = row["not_before"]
    if row["state"] != "waiting" or begin is None or begin <= now:
        return ""
    return time.strftime("waits until %Y-%m-%d %H:%M", time.localtime(begin))


def _energy(row: sqlite3.Row) -> Energy | None:
    if not row["metered_seconds"]:
        return None
    return Energy(row["joules"], row["metered_seconds"], row["power_source"])


def _settings(values: dict[str, Any] | None) -> LlamaSettings | None:
    if values is None:
        return None
    values["model_path"] = Path(values["model_path"])
    values["cpu_expert_layers"] = tuple(values.get("cpu_expert_layers", ()))
    return _made(LlamaSettings, values)


def _made(kind: type[_Value], values: Mapping[str, Any]) -> _Value:
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})


def _plain(value: object) -> object:
    """Make a dataclass a dict of what differs from its defaults."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if not is_dataclass(value):
        return value
    given = {}
    for field in fields(value):
        here = getattr(value, field.name)
        made = field.default_factory() if field.default_factory is not MISSING else field.default
        if here != made:
            given[field.name] = _plain(here)
    return given

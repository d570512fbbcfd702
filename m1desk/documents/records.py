"""How documents, reports and answers are written into the database, and read back."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m1desk.documents.answers import Citation, ReadReceipt, UnquotedClaim
from m1desk.documents.set_values import AnswerDetails, PageSpan, PassAnswer
from m1desk.documents.values import (
    Document,
    ExtractionReport,
    Page,
    PageProblem,
    ReadingError,
)
from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from _typeshed import DataclassInstance


def document_text(document: Document) -> str:
    """Write a document without its pages."""
    values = {**asdict(replace(document, pages=())), "path": str(document.path)}
    return json.dumps(values, ensure_ascii=False)


def document_from(text: str, pages: Sequence[sqlite3.Row]) -> Document:
    """Read a document back, with its pages as rows."""
    values = json.loads(text)
    values["path"] = Path(values["path"])
    values["pages"] = tuple(
        Page(row["number"], row["kind"], row["content"], row["label"]) for row in pages
    )
    return Document(**values)


def report_text(report: ExtractionReport) -> str:
    """Write a report."""
    problem = report.problem
    values = {**asdict(replace(report, problem=None)), "path": str(report.path)}
    if problem is not None:
        code = problem.code if isinstance(problem, ReadingError) else ""
        values["problem"] = [problem.what, problem.why, problem.todo, code]
    return json.dumps(values, ensure_ascii=False)


def report_from(text: str) -> ExtractionReport:
    """Read a report back."""
    values = json.loads(text)
    values["path"] = Path(values["path"])
    values["notes"] = tuple(values["notes"])
    values["page_problems"] = tuple(PageProblem(**one) for one in values["page_problems"])
    if values["problem"] is not None:
        what, why, todo, code = values["problem"]
        if code:
            values["problem"] = ReadingError(what, why, todo, code=code)
        else:
            values["problem"] = M1DeskError(what, why, todo)
    return ExtractionReport(**values)


def details_text(details: AnswerDetails) -> str:
    """Write what is known of an answer beside its text."""
    return json.dumps(asdict(details), ensure_ascii=False)


def details_from(text: str) -> AnswerDetails:
    """Read the details back; names that a newer version wrote are passed over."""
    return _details(json.loads(text))


def _details(written: Mapping[str, Any]) -> AnswerDetails:
    values = _known(AnswerDetails, written)
    for name, made in (("citations", Citation), ("unquoted", UnquotedClaim)):
        values[name] = tuple(made(**_known(made, one)) for one in values.get(name, ()))
    for name in ("documents", "predicted_seconds", "predicted_total_seconds"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    if values.get("receipt") is not None:
        values["receipt"] = ReadReceipt(**values["receipt"])
    values["passes"] = tuple(_pass_answer(one) for one in values.get("passes", ()))
    return AnswerDetails(**values)


def _pass_answer(written: Mapping[str, Any]) -> PassAnswer:
    values = _known(PassAnswer, written)
    values["spans"] = tuple(PageSpan(**one) for one in values["spans"])
    values["combines"] = tuple(values.get("combines", ()))
    values["details"] = _details(values["details"])
    return PassAnswer(**values)


def _known(made: type[DataclassInstance], written: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(made)}
    return {name: value for name, value in written.items() if name in names}

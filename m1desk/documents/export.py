"""Answers about documents as files: Markdown, a page of HTML, or JSON."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Final

from markdown_it import MarkdownIt

from m1desk.documents.answers import CheckedAnswer, Citation, ReadReceipt
from m1desk.documents.set_values import PassAnswer, PassesOutcome

_WORDS: Final = {
    "verified": "verified",
    "approximate": "approximate",
    "not_found": "NOT FOUND in the documents",
}

_MARKS: Final = re.compile(r"[\\`*\[\]<>&|~#]|(?<!\w)_|_(?!\w)")
"""What would mean something in a line of Markdown."""

_ENDINGS: Final = {
    "streaming": "was still being written",
    "stopped": "was stopped",
    "interrupted": "was interrupted by an error",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """All there is to say of one answer.

    Attributes:
        asked: seconds since the epoch, None when not known.
        documents: names of the documents that were read.
        receipt: None when the answer did not end well.
        seconds: from the question to the end of the answer, None when not known.
        state: "complete", or how it ended before its end: "stopped", "interrupted", "failed".
        finish_reason: why the model ended, in the engine's word: "stop", "length" when it ran
            out of tokens.
        title: stands above the question, "" when the question is its own title.
        passes: what each pass brought, when the question was asked in passes.
        outcome: how they became one answer.
    """

    question: str
    checked: CheckedAnswer
    model: str
    asked: float | None
    documents: tuple[str, ...]
    receipt: ReadReceipt | None
    seconds: float | None = None
    state: str = "complete"
    finish_reason: str = "stop"
    title: str = ""
    passes: tuple[PassAnswer, ...] = ()
    outcome: PassesOutcome = ""

    @property
    def warning(self) -> str:
        """What is to be said loudly of an answer that is not whole; empty when it is."""
        if self.state != "complete":
            how = _ENDINGS.get(self.state, f"did not end well ({self.state})")
            return f"WARNING: This answer is not complete: it {how}."
        if self.finish_reason == "length":
            return "WARNING: This answer was cut off: it ran out of tokens before its end."
        cut = [str(one.number) for one in self.passes if one.details.was_cut]
        if cut:
            return f"WARNING: Answers of passes were cut off: {', '.join(cut)}."
        return ""


def as_json(record: AnswerRecord) -> dict[str, object]:
    """Give the record as JSON values; the keys are those of `m1desk ask --json`."""
    checked = record.checked
    return {
        "question": record.question,
        "answer": checked.text,
        "state": record.state,
        "finish_reason": record.finish_reason,
        "warning": record.warning or None,
        "model": record.model,
        "asked": None if record.asked is None else time_words(record.asked),
        "documents": list(record.documents),
        "citations": [_citation_json(one) for one in checked.citations],
        "unquoted": [checked.text[one.start : one.end] for one in checked.unquoted],
        "receipt": None if record.receipt is None else receipt_json(record.receipt),
        "seconds": record.seconds,
        "passes": [_pass_json(one) for one in record.passes],
        "outcome": record.outcome or None,
    }


def _pass_json(one: PassAnswer) -> dict[str, object]:
    receipt = one.details.receipt
    return {
        "number": one.number,
        "pages": [asdict(span) for span in one.spans],
        "combines": list(one.combines),
        "answer": one.answer,
        "absent": one.is_absent,
        "finish_reason": one.details.finish_reason,
        "citations": [_citation_json(citation) for citation in one.details.citations],
        "receipt": None if receipt is None else receipt_json(receipt),
        "seconds": one.details.seconds,
    }


def as_json_text(record: AnswerRecord) -> str:
    """Give the record as a JSON text, for a file."""
    return json.dumps(as_json(record), ensure_ascii=False, indent=2) + "\n"


def receipt_json(receipt: ReadReceipt) -> dict[str, object]:
    """Give a receipt as JSON values."""
    return {
        "expected_tokens": receipt.expected_tokens,
        "read_tokens": receipt.read_tokens,
        "reused_tokens": receipt.reused_tokens,
        "agrees": receipt.agrees,
        "estimated": receipt.is_estimated,
    }


def _citation_json(citation: Citation) -> dict[str, object]:
    return {
        "file": citation.file,
        "page": citation.page,
        "quote": citation.quote,
        "status": citation.status,
        "score": citation.score,
        "cited_file": citation.cited_file,
        "cited_page": citation.cited_page,
        "passage": citation.passage,
    }


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """An answer as Markdown in three parts, each to be rendered by itself.

    What an answer leaves open, such as a block of code, then ends with it.
    """

    head: str
    answer: str
    check: str


def answer_parts(record: AnswerRecord, level: int = 1) -> AnswerParts:
    """Write the parts of a record; `level` is that of its heading, from 1 to 6."""
    head, check = _head_lines(record, level), _check_lines(record, level)
    return AnswerParts("\n".join(head), record.checked.text, "\n".join(check))


def as_markdown(record: AnswerRecord) -> str:
    """Write the record as Markdown."""
    return markdown_of(answer_parts(record))


def markdown_of(parts: AnswerParts) -> str:
    """Join an answer's parts so that none runs into the next."""
    return "\n".join([parts.head, _contained(parts.answer), "", parts.check])


def as_html(record: AnswerRecord) -> str:
    """Write the record as one page of HTML that loads nothing from anywhere."""
    return html_page(_one_line(record.question), answer_html(answer_parts(record)))


def answer_html(parts: AnswerParts) -> str:
    """Render an answer's parts as HTML, each by itself."""
    head, answer, check = map(html_of, (parts.head, parts.answer, parts.check))
    return f"<header>{head}</header>\n<article>{answer}</article>\n<footer>{check}</footer>"


def html_of(markdown: str) -> str:
    """Render Markdown as HTML that can neither run nor load anything."""
    return str(safe_markdown().render(markdown))


def html_page(title: str, body: str) -> str:
    """Make a page of HTML that loads nothing from anywhere; `body` is HTML, `title` is text."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
        "blockquote{border-left:3px solid #999;margin-left:0;padding-left:1rem;color:#444}"
        "header strong{color:#b00020}"
        "table{border-collapse:collapse}th,td{border:1px solid #bbb;padding:.2rem .5rem;"
        "text-align:left;vertical-align:top}"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def _head_lines(record: AnswerRecord, level: int) -> list[str]:
    heading = escape_markdown(record.title) if record.title else _one_line(record.question)
    lines = [f"{'#' * level} {heading}", ""]
    if record.title:
        lines += [f"*{escape_markdown(record.question)}*", ""]
    return [*lines, f"**{record.warning}**", ""] if record.warning else lines


def _check_lines(record: AnswerRecord, level: int) -> list[str]:
    """What was found out about the answer, and how it came about."""
    lines = [_heading("Quotes", level), ""]
    if not record.checked.citations:
        is_checked = record.state == "complete"
        lines.append("The answer quotes nothing." if is_checked else "No quotes were checked.")
    for number, one in enumerate(record.checked.citations, 1):
        lines += [f"{number}. {quote_words(one)}", ""]
        lines += [f"   > {line}" for line in one.quote.splitlines()] + [""]
        if one.passage:
            lines += [f"   The page says: {escape_markdown(one.passage)}", ""]
    if record.checked.unquoted:
        lines += ["", _heading("Statements without a quote", level), ""]
        text = record.checked.text
        lines += [f"- {_one_line(text[one.start : one.end])}" for one in record.checked.unquoted]
    lines += _pass_lines(record, level)
    receipt = [f"- {line}" for line in _receipt_lines(record)]
    return [*lines, "", _heading("Receipt", level), "", *receipt, ""]


def _pass_lines(record: AnswerRecord, level: int) -> list[str]:
    """What each pass said: as quoted text, which ends whatever the answer leaves open."""
    if not record.passes:
        return []
    lines = ["", _heading("Passes", level), "", outcome_words(record.outcome, record.passes), ""]
    split = split_words(record.passes)
    lines += [escape_markdown(split), ""] if split else []
    for one in record.passes:
        lines += [f"- **{escape_markdown(pass_words(one))}**", ""]
        lines += [f"  > {line}" for line in one.answer.splitlines()] + [""]
    return lines


def pass_words(one: PassAnswer) -> str:
    """Say in a line what a pass was: "Pass 2: contract.pdf p.1–20"."""
    if one.combines:
        return f"Step {one.number}: combines the answers {', '.join(map(str, one.combines))}"
    pages = ", ".join(span.words for span in one.spans)
    return f"Pass {one.number}: {pages}" + (" (not found there)" if one.is_absent else "")


def split_words(passes: Sequence[PassAnswer]) -> str:
    """Name the pages that were too long for a pass and were read in parts; "" for none."""
    spans = (span for one in passes if not one.combines for span in one.spans if span.parts)
    split = {f"{span.document} p.{span.first}": span.parts for span in spans}
    if not split:
        return ""
    pages = ", ".join(f"{page} (in {parts} parts)" for page, parts in split.items())
    return f"Too long for one pass, and read in parts: {pages}."


def outcome_words(outcome: PassesOutcome, passes: Sequence[PassAnswer]) -> str:
    """Say in a sentence how the answers of passes became one."""
    read = [one for one in passes if not one.combines]
    told = [str(one.number) for one in read if not one.is_absent]
    return {
        "combined": f"Combined from the answers of {len(told)} of {len(read)} passes.",
        "single": f"Only pass {', '.join(told)} of {len(read)} found something: its answer.",
        "absent": f"None of the {len(read)} passes found it.",
        "listed": "The answers of the passes are too long to be combined in this context: they "
        "stand one after the other.",
        "": f"{len(read)} passes had ended.",
    }[outcome]


def _heading(words: str, level: int) -> str:
    """A heading below that of an answer; where there are many answers it is bold text."""
    return f"{'#' * (level + 1)} {words}" if level < 3 else f"**{words}**"


def escape_markdown(text: str) -> str:
    """Write text as one line of Markdown that means just this text."""
    return _MARKS.sub(r"\\\g<0>", _one_line(text))


def _contained(answer: str) -> str:
    """Make sure that what follows an answer in Markdown is not taken for a part of it."""
    if not _stays_open(answer):
        return answer
    fences = [token.markup for token in _reader().parse(answer) if token.type == "fence"]
    closed = f"{answer}\n{fences[-1]}" if fences else answer
    if not _stays_open(closed):
        return closed
    return "\n".join(f"> {line}" for line in answer.splitlines())  # HTML: a quote ends anything


def _stays_open(answer: str) -> bool:
    """Whether a heading behind an answer would be read as part of its code or HTML."""
    tokens = _reader().parse(f"{answer}\n\n# End")
    return not (len(tokens) > 2 and tokens[-1].type == "heading_close" and tokens[-1].level == 0)


@cache  # making one takes longer than reading an answer with it
def _reader() -> MarkdownIt:
    """Read Markdown as most programs do that will show the file."""
    return MarkdownIt("commonmark").enable("table")


@cache
def safe_markdown() -> MarkdownIt:
    """Read Markdown that may hold anything: HTML in it is text, and no picture is fetched."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def _receipt_lines(record: AnswerRecord) -> list[str]:
    lines = [f"Model: {record.model}"]
    if record.asked is not None:
        lines.append(f"Asked: {time_words(record.asked)}")
    if record.documents:
        lines.append(f"Documents: {', '.join(record.documents)}")
    if record.receipt is not None:
        lines.append(receipt_words(record.receipt))
    if record.seconds is not None:
        lines.append(f"Time: {record.seconds:.1f} s")
    return lines


def receipt_words(receipt: ReadReceipt) -> str:
    """Say in a sentence what the engine took in, and loudly when that is not what was sent."""
    counts = (
        f"The engine had {receipt.taken_tokens:,} tokens before it: {receipt.read_tokens:,} read, "
        f"{receipt.reused_tokens:,} reused"
    )
    if receipt.is_estimated:
        sent = f"about {receipt.expected_tokens:,} were sent, by an estimate that proves nothing"
        return f"{counts}; {sent}."
    if receipt.agrees:
        return f"{counts}; that is all that was sent."
    return (
        f"WARNING: {counts}, but {receipt.expected_tokens:,} were sent. Do not rely on this answer."
    )


def quote_words(citation: Citation) -> str:
    """Say in Markdown where a quote stands, and whether it does."""
    return f"{_place(citation)}: **{_WORDS[citation.status]}**{_likeness(citation)}"


def _place(citation: Citation) -> str:
    if not citation.file:
        return "no page named"
    place = f"{citation.file}, p.{citation.page}"
    if citation.is_misplaced:
        place += f" (the answer says {citation.cited_file}, p.{citation.cited_page})"
    return place


def _likeness(citation: Citation) -> str:
    return f" ({citation.score:.0%} alike)" if citation.status == "approximate" else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def time_words(seconds: float) -> str:
    """Write a time, given in seconds since the epoch, as ISO 8601 has it, in local time."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")

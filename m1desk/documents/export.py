"""Answers about documents as files: Markdown, a page of HTML, or JSON."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markdown_it import MarkdownIt

from m1desk.documents.answers import CheckedAnswer, Citation, ReadReceipt

_WORDS: Final = {
    "verified": "verified",
    "approximate": "approximate",
    "not_found": "NOT FOUND in the documents",
}

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
        asked: seconds since the epoch.
        documents: names of the documents that were read.
        receipt: None when the answer did not end well.
        seconds: from the question to the end of the answer, None when not known.
        state: "complete", or how it ended before its end: "stopped", "interrupted", "failed".
        finish_reason: why the model ended, in the engine's word: "stop", "length" when it ran
            out of tokens.
    """

    question: str
    checked: CheckedAnswer
    model: str
    asked: float
    documents: tuple[str, ...]
    receipt: ReadReceipt | None
    seconds: float | None = None
    state: str = "complete"
    finish_reason: str = "stop"

    @property
    def warning(self) -> str:
        """What is to be said loudly of an answer that is not whole; empty when it is."""
        if self.state != "complete":
            how = _ENDINGS.get(self.state, f"did not end well ({self.state})")
            return f"WARNING: This answer is not complete: it {how}."
        if self.finish_reason == "length":
            return "WARNING: This answer was cut off: it ran out of tokens before its end."
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
        "asked": _time(record.asked),
        "documents": list(record.documents),
        "citations": [_citation_json(one) for one in checked.citations],
        "unquoted": [checked.text[one.start : one.end] for one in checked.unquoted],
        "receipt": None if record.receipt is None else receipt_json(record.receipt),
        "seconds": record.seconds,
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
    }


def as_markdown(record: AnswerRecord) -> str:
    """Write the record as Markdown."""
    answer = _contained(record.checked.text)
    return "\n".join([*_head_lines(record), answer, "", *_check_lines(record)])


def as_html(record: AnswerRecord) -> str:
    """Write the record as one page of HTML that loads nothing from anywhere."""
    # Each part is rendered by itself: what the answer leaves open ends with it.
    parts = ("\n".join(_head_lines(record)), record.checked.text, "\n".join(_check_lines(record)))
    renderer = _renderer()
    head, answer, check = (renderer.render(part) for part in parts)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
        "blockquote{border-left:3px solid #999;margin-left:0;padding-left:1rem;color:#444}"
        "header strong{color:#b00020}"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{html.escape(_one_line(record.question))}</title><style>{style}</style></head>\n"
        f"<body><header>{head}</header>\n<article>{answer}</article>\n"
        f"<footer>{check}</footer></body></html>\n"
    )


def _head_lines(record: AnswerRecord) -> list[str]:
    lines = [f"# {_one_line(record.question)}", ""]
    return [*lines, f"**{record.warning}**", ""] if record.warning else lines


def _check_lines(record: AnswerRecord) -> list[str]:
    """What was found out about the answer, and how it came about."""
    lines = ["## Quotes", ""]
    if not record.checked.citations:
        is_checked = record.state == "complete"
        lines.append("The answer quotes nothing." if is_checked else "No quotes were checked.")
    for number, one in enumerate(record.checked.citations, 1):
        lines += [f"{number}. {_place(one)}: **{_WORDS[one.status]}**{_likeness(one)}", ""]
        lines += [f"   > {line}" for line in one.quote.splitlines()] + [""]
    if record.checked.unquoted:
        lines += ["", "## Statements without a quote", ""]
        text = record.checked.text
        lines += [f"- {_one_line(text[one.start : one.end])}" for one in record.checked.unquoted]
    return [*lines, "", "## Receipt", "", *[f"- {line}" for line in _receipt_lines(record)], ""]


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


def _reader() -> MarkdownIt:
    """Read Markdown as most programs do that will show the file."""
    return MarkdownIt("commonmark").enable("table")


def _renderer() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def _receipt_lines(record: AnswerRecord) -> list[str]:
    lines = [f"Model: {record.model}", f"Asked: {_time(record.asked)}"]
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
    if receipt.agrees:
        return f"{counts}; that is all that was sent."
    return (
        f"WARNING: {counts}, but {receipt.expected_tokens:,} were sent. Do not rely on this answer."
    )


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


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")

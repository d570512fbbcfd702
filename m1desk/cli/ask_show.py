"""What `m1desk ask` shows: the answer as it comes, how far the reading is, what the check found."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from m1desk.cli.session import say
from m1desk.documents import (
    PassEnded,
    PassStarted,
    outcome_words,
    receipt_words,
    split_words,
)
from m1desk.engines import StateNotSaved, StateRefusal, StateSaved
from m1desk.engines.turn import PrefillProgress, TextDelta

if TYPE_CHECKING:
    from m1desk.documents import AnswerRecord, Citation, PassEvent
    from m1desk.engines import PrepareEvent
    from m1desk.engines.turn import TurnEvent


def show_answer(event: TurnEvent) -> None:
    """Write an answer to standard output as it comes."""
    if isinstance(event, TextDelta):
        sys.stdout.write(event.text)
        sys.stdout.flush()
    elif isinstance(event, PrefillProgress):
        _show_reading(event)


def show_pass(event: PassEvent) -> None:
    """Show a pass on standard error: standard output is for the one answer."""
    match event:
        case PassStarted(number, passes, spans, combines) if not combines:
            pages = ", ".join(span.words for span in spans)
            say(f"\nPass {number} of {passes}: {pages}")
        case PassStarted(_, _, _, combines):
            say(f"\nCombining {len(combines)} answers")
        case TextDelta(text):
            say(text, end="")
        case PassEnded():
            say("")
        case PrefillProgress():
            _show_reading(event)


def _show_reading(progress: PrefillProgress) -> None:
    if sys.stderr.isatty() and progress.total > 2048:
        done = progress.done >= progress.total
        speed = f"{progress.tokens_per_second:.0f} tok/s"
        say(
            f"\rReading {progress.done:,} of {progress.total:,} tokens, {speed}",
            end="\n" if done else "",
        )


def show_preparing(event: PrepareEvent) -> None:
    """Say on standard error how far the reading of documents is."""
    match event:
        case PrefillProgress():
            _show_reading(event)
        case StateSaved(tokens, size):
            say(f"Saved after {tokens:,} tokens ({size / 1e6:,.1f} MB).")
        case StateRefusal(_, message):
            say(f"What was saved before can't be used: {message} It is read again.")
        case StateNotSaved(_, message):
            say(f"Not saved: {message}")


def tell_passes(record: AnswerRecord) -> None:
    """Say what became of the passes, and write the one answer to standard output."""
    say(f"\n{outcome_words(record.outcome, record.passes)}")
    split = split_words(record.passes)
    if split:
        say(split)
    cut = [str(one.number) for one in record.passes if one.details.was_cut]
    if cut:
        say(f"Answers of passes were CUT: {', '.join(cut)}.")
    say("")
    sys.stdout.write(record.checked.text)


def tell_check(record: AnswerRecord) -> None:
    """Say what the check of the quotes found, and what the engine took in."""
    sys.stdout.write("\n")
    sys.stdout.flush()
    say("")
    if record.finish_reason == "length":
        say("The answer was CUT: the context, or the limit of --max-tokens, was full.")
    for citation in record.checked.citations:
        say(_citation_line(citation))
        if citation.passage:
            say(f'      the page says: "{_shortened(citation.passage, 160)}"')
    if record.checked.unquoted:
        say(f"Statements without a quote: {len(record.checked.unquoted)}.")
    if record.receipt is not None:
        say(receipt_words(record.receipt))


def _citation_line(citation: Citation) -> str:
    words = {"verified": "verified", "approximate": "approximate", "not_found": "NOT FOUND"}
    place = f"{citation.file} p.{citation.page}" if citation.file else "no page"
    if citation.is_misplaced:
        place += f" (cited as {citation.cited_file} p.{citation.cited_page})"
    shown = _shortened(" ".join(citation.quote.split()), 70)
    return f'  [{words[citation.status]}] {place}: "{shown}"'


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."

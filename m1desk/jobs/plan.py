"""Which steps a job has, and what each of them gives an engine to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.documents import DEFAULT_ANSWER_TOKENS
from m1desk.errors import BadInput
from m1desk.jobs.loads import MOST_TOKENS_A_CHARACTER, Sized, StepLoad
from m1desk.jobs.values import JobStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m1desk.jobs.values import JobSpec, StepKind

_MEASURED_DEPTHS: Final = (512, 2048, 8192, 32_768, 131_072, 524_288)
MEASURED_ANSWER_TOKENS: Final = 64
_PASS_CHARACTERS: Final = 60_000
"""Of documents in one pass, when the length of the context is left open."""
_PROMPT_ROOM: Final = 512
"""Tokens for the instructions and the model's template."""


def check_spec(spec: JobSpec) -> None:
    """Refuse what no engine could do; raises BadInput."""
    names = [one.name for one in spec.questions]
    if spec.kind != "benchmark" and not spec.questions:
        raise BadInput("A job needs a question.", "", "Add one.")
    if any(not one.text.strip() or not one.name.strip() for one in spec.questions):
        raise BadInput("A question, or the name of one, is empty.", "", "Fill it in.")
    if len(set(names)) < len(names):
        raise BadInput(
            "Two questions have the same name.", "Names are the heads of columns.", "Rename one."
        )
    if spec.kind in {"questions", "table", "passes"}:
        if (spec.corpus.set_id is None) == (not spec.corpus.files):
            raise BadInput("A job about documents needs files, or one set of documents.")
    elif spec.corpus.set_id is not None or spec.corpus.files:
        raise BadInput("This kind of job takes no documents.", "", "Leave them out.")


def first_step() -> JobStep:
    """Make the step that reads the files."""
    return JobStep(1, "read", "", "", "waiting")


def later_steps(spec: JobSpec, documents: Sequence[str], first: int) -> tuple[JobStep, ...]:
    """Make the steps of a job whose documents are read, numbered from `first`.

    In a table all questions about a document follow each other: it is read once for all of them.
    """
    kind: StepKind = "chat" if spec.kind == "prompt" else "ask"
    subjects = documents if spec.kind == "table" else ("",)
    asked = [(subject, one.name) for subject in subjects for one in spec.questions]
    return tuple(
        JobStep(number, kind, document, question, "waiting")
        for number, (document, question) in enumerate(asked, first)
    )


def measuring_steps(context_tokens: int) -> tuple[JobStep, ...]:
    """Make the steps of a benchmark: how fast it reads so many tokens, and writes behind them."""
    most = context_tokens - MEASURED_ANSWER_TOKENS - _PROMPT_ROOM
    depths = [depth for depth in _MEASURED_DEPTHS if depth <= most] or [max(1, most)]
    return tuple(
        JobStep(number, "measure", "", f"{depth} tokens", "waiting")
        for number, depth in enumerate(depths, 1)
    )


def measured_depth(step: JobStep) -> int:
    """Tokens that a measuring step reads."""
    return int(step.question.split()[0])


def needed_tokens(spec: JobSpec, documents: Sized | None) -> int:
    """Guess, generously, what context the largest step needs (tokens)."""
    question = max((len(one.text) for one in spec.questions), default=0)
    text = 0
    if documents is not None and spec.kind == "table":
        text = max(map(documents.characters, documents.names), default=0)
    elif documents is not None:
        text = documents.characters()
    if spec.kind == "passes":
        text = min(text, _PASS_CHARACTERS)
    answer = spec.sampling.max_tokens or DEFAULT_ANSWER_TOKENS
    return int((text + question) * MOST_TOKENS_A_CHARACTER) + answer + _PROMPT_ROOM


def loads(spec: JobSpec, steps: Sequence[JobStep], documents: Sized | None) -> dict[int, StepLoad]:
    """Say what each step gives an engine to do, by its number."""
    texts = {one.name: len(one.text) for one in spec.questions}
    found: dict[int, StepLoad] = {}
    before: str | None = None
    for step in steps:
        question = texts.get(step.question, 0)
        if step.kind == "measure":
            found[step.number] = StepLoad(measured_depth(step) * 4)
        elif step.kind == "chat" or documents is None:
            found[step.number] = StepLoad(question)
        elif step.kind == "ask":
            text = documents.characters(step.document)
            is_known = step.document == before  # in passes too: each one's state is kept
            found[step.number] = StepLoad(question, text) if is_known else StepLoad(text + question)
            before = step.document
    return found

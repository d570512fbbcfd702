"""One question asked of documents in several passes, and one answer made of what each brought.

Plan the passes with `pass_plan`, run them with `ask_in_passes`, and write down every `PassEnded`:
given to a later try as `done`, none of them is read again.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from m1desk.documents.answers import CheckedAnswer, Citation, ReadReceipt
from m1desk.documents.asking import (
    DEFAULT_ANSWER_TOKENS,
    DocumentAnswer,
    Prompt,
    check,
    details_of,
    prepare_text,
    refuse_empty,
    send,
)
from m1desk.documents.claims import says_absent
from m1desk.documents.markers import find_markers
from m1desk.documents.prompt import DocumentsText, first_message, page_marker
from m1desk.documents.set_values import AnswerDetails, PassAnswer
from m1desk.engines import PrepareEvent
from m1desk.engines.turn import ChatMessage, SamplingParameters, TurnEvent
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from m1desk.documents.asking import AnsweringClient
    from m1desk.documents.citations import CitationChecker
    from m1desk.documents.pass_plan import Pass
    from m1desk.documents.set_values import PageSpan, PassesOutcome
    from m1desk.engines import CheckpointPlan

COMBINING: Final = (
    "Above are answers to one question, each from another part of the documents. Make one answer "
    "of them. Keep their quotes, word for word, in double quotes, each with its page in square "
    "brackets as it stands above. Where the parts differ, say so."
)


@dataclass(frozen=True, slots=True)
class PassesQuestion:
    """A question to be asked of each pass.

    Attributes:
        passes: as `plan_for_question` makes them.
        state_name: names the state that is kept of a pass's text, None to keep none of it.
        checkpoint: when a long reading saves its state on the way; None for the default.
    """

    passes: tuple[Pass, ...]
    question: str
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    state_name: Callable[[DocumentsText], str | None] | None = None
    checkpoint: CheckpointPlan | None = None


@dataclass(frozen=True, slots=True)
class PassStarted:
    """A pass, or a combination of answers, begins.

    Attributes:
        number: of the step, from 1, combinations after the passes.
        passes: how many passes there are.
        spans: the pages it is about.
        combines: numbers of the answers that are combined; empty for a pass.
    """

    number: int
    passes: int
    spans: tuple[PageSpan, ...]
    combines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PassEnded:
    """A pass or a combination has ended: to be written down."""

    answer: PassAnswer


@dataclass(frozen=True, slots=True)
class PassesAnswer:
    """The answer to a question asked in passes.

    Attributes:
        details: quotes of the answer, sums over all passes, and the passes themselves.
    """

    answer: str
    reasoning: str
    details: AnswerDetails

    @property
    def checked(self) -> CheckedAnswer:
        """The answer with its citations."""
        return CheckedAnswer(self.answer, self.details.citations, self.details.unquoted)


PassEvent = PassStarted | PassEnded | PassesAnswer | TurnEvent | PrepareEvent


async def ask_in_passes(
    client: AnsweringClient,
    asked: PassesQuestion,
    checker: CitationChecker,
    *,
    context_tokens: int,
    done: Sequence[PassAnswer] = (),
) -> AsyncGenerator[PassEvent, None]:
    """Ask each pass, combine what they say, and yield the PassesAnswer as the last event.

    Between a PassStarted and its PassEnded come the events of preparing and of the answer. What is
    `done` of an earlier try of this question with the same model is taken over without an event,
    where it was sent the same text.

    Args:
        client: the engine's.
        asked: the question and its passes.
        checker: over all the documents: quotes are looked for in every page, whatever the pass.
        context_tokens: the engine's context length.
        done: answers of an earlier try, combinations included, in any order.

    Raises:
        BadInput: an empty question, no passes, or one that does not fit the context.
        EngineError: the engine refused, or was lost; what has ended stays good.
    """
    refuse_empty(asked.question)
    if not asked.passes:
        raise BadInput("There is no text to ask about.", "", "Add documents that hold text.")
    work = _Work(client, asked, checker, context_tokens, done)
    while (step := await work.next()) is not None:
        if work.takes_over(step):
            continue
        async with aclosing(work.do(step)) as events:
            async for event in events:
                yield event
    yield await work.result()


@dataclass(frozen=True, slots=True)
class _Step:
    """Something to be asked.

    Attributes:
        place: of its answer among those of its level.
        constant: what stands before the question.
        documents: what is read; None for a combination.
    """

    place: int
    spans: tuple[PageSpan, ...]
    constant: str
    prompt: str
    documents: DocumentsText | None = None
    combines: tuple[int, ...] = ()

    @property
    def text_sha256(self) -> str:
        return hashlib.sha256(self.constant.encode()).hexdigest()


class _Work:
    """Passes first; then their answers are combined, level by level, until one is left."""

    def __init__(
        self,
        client: AnsweringClient,
        asked: PassesQuestion,
        checker: CitationChecker,
        context_tokens: int,
        done: Sequence[PassAnswer],
    ) -> None:
        self._client = client
        self._asked = asked
        self._checker = checker
        self._context_tokens = context_tokens
        self._done = {one.text_sha256: one for one in done}
        self._steps: list[PassAnswer] = []
        self._level: dict[int, PassAnswer] = {}
        self._waiting = deque(_reading(one, asked.question) for one in asked.passes)
        self._is_listed = False

    async def next(self) -> _Step | None:
        """What is to be asked now; None when nothing is left to ask."""
        while not self._waiting:
            telling = self._telling
            if len(telling) <= 1:
                return None
            groups = await self._groups(telling)
            if len(groups) == len(telling):
                self._is_listed = True
                return None
            self._level = {}
            for place, group in enumerate(groups):
                if len(group) == 1:
                    self._level[place] = group[0]
                else:
                    self._waiting.append(self._combining(place, group))
        return self._waiting.popleft()

    def takes_over(self, step: _Step) -> bool:
        """Take the answer of an earlier try, if there is one to just this."""
        known = self._done.get(step.text_sha256)
        if known is None:
            return False
        number = len(self._steps) + 1
        self._keep(step, replace(known, number=number, spans=step.spans, combines=step.combines))
        return True

    async def do(self, step: _Step) -> AsyncGenerator[PassEvent, None]:
        """Ask one step to its end."""
        number, began = len(self._steps) + 1, time.monotonic()
        asked = self._asked
        yield PassStarted(number, len(asked.passes), step.spans, step.combines)
        name = None
        if step.documents is not None and asked.state_name is not None:
            name = asked.state_name(step.documents)
            if name is not None:
                preparing = prepare_text(self._client, step.documents, name, asked.checkpoint)
                async with aclosing(preparing) as events:
                    async for prepared in events:
                        yield prepared
        prompt = Prompt(step.prompt, asked.sampling, name)
        sending = send(self._client, prompt, self._checker, context_tokens=self._context_tokens)
        async with aclosing(sending) as answers:
            async for event in answers:
                if isinstance(event, DocumentAnswer):
                    ended = _ended(step, number, event, time.monotonic() - began)
                    self._keep(step, ended)
                    yield PassEnded(ended)
                else:
                    yield event

    async def result(self) -> PassesAnswer:
        """The one answer."""
        told = self._telling
        if self._is_listed:
            listed = "\n\n".join(f"{_pages(one)}:\n\n{marked_quotes(one.checked)}" for one in told)
            checked, reasoning = await check(self._checker, listed), ""
            outcome: PassesOutcome = "listed"
            finish_reason = "stop"
        else:
            final = (told or list(self._level.values()))[0]
            checked, reasoning = final.checked, final.reasoning
            outcome = "combined" if final.combines else "single" if told else "absent"
            finish_reason = final.details.finish_reason
        details = replace(
            _summed(self._steps),
            citations=checked.citations,
            unquoted=checked.unquoted,
            finish_reason=finish_reason,
            planned_passes=len(self._asked.passes),
            outcome=outcome,
        )
        return PassesAnswer(checked.text, reasoning, details)

    # -- inside ------------------------------------------------------------------------------------

    @property
    def _telling(self) -> list[PassAnswer]:
        """The answers of this level, in order, that say something."""
        return [one for _, one in sorted(self._level.items()) if not one.is_absent]

    def _keep(self, step: _Step, ended: PassAnswer) -> None:
        self._steps.append(ended)
        self._level[step.place] = ended

    async def _groups(self, answers: Sequence[PassAnswer]) -> list[list[PassAnswer]]:
        """Put answers together as long as they fit into one prompt with the answer to it."""
        wanted = self._asked.sampling.max_tokens or DEFAULT_ANSWER_TOKENS
        groups: list[list[PassAnswer]] = []
        for one in answers:
            if groups:
                prompt = self._combining(0, [*groups[-1], one]).prompt
                tokens = await self._client.count_tokens((ChatMessage("user", prompt),))
                if tokens + wanted <= self._context_tokens:
                    groups[-1].append(one)
                    continue
            groups.append([one])
        return groups

    def _combining(self, place: int, answers: Sequence[PassAnswer]) -> _Step:
        parts = [
            f"Part {number}:\n{marked_quotes(one.checked)}" for number, one in enumerate(answers, 1)
        ]
        constant = "\n\n".join([*parts, COMBINING])
        spans = tuple(dict.fromkeys(span for one in answers for span in one.spans))
        return _Step(
            place=place,
            spans=spans,
            constant=constant,
            prompt=f"{constant}\n\n{self._asked.question.strip()}",
            combines=tuple(one.number for one in answers),
        )


def marked_quotes(checked: CheckedAnswer) -> str:
    """Write an answer with the page of each quote behind it, where it was really found."""
    text, done = "", 0
    for one in sorted(checked.citations, key=lambda citation: citation.start):
        text += checked.text[done : one.start] + _with_page(checked.text[one.start : one.end], one)
        done = one.end
    return text + checked.text[done:]


def _with_page(written: str, citation: Citation) -> str:
    """Put the right page behind a quote as it is written, with the answer's own page or without."""
    if citation.status == "not_found" or (citation.cited_page and not citation.is_misplaced):
        return written
    markers = find_markers(written) if citation.is_misplaced else []
    own = markers[-1] if markers and markers[-1].end == len(written) else None
    quote = written[: own.start].rstrip() if own else written
    return f"{quote} {page_marker(citation.file, citation.page)}"


def _reading(one: Pass, question: str) -> _Step:
    return _Step(
        place=one.number,
        spans=one.spans,
        constant=one.text.constant,
        prompt=first_message(one.text, question),
        documents=one.text,
    )


def _ended(step: _Step, number: int, answer: DocumentAnswer, seconds: float) -> PassAnswer:
    checked = answer.checked
    return PassAnswer(
        number=number,
        spans=step.spans,
        text_sha256=step.text_sha256,
        answer=checked.text,
        reasoning=answer.reasoning,
        details=details_of(answer, seconds),
        combines=step.combines,
        is_absent=not step.combines and not checked.citations and says_absent(checked.text),
    )


def _summed(steps: Sequence[PassAnswer]) -> AnswerDetails:
    """Add up receipts, times and tokens; the first token is that of the first step."""
    each = [one.details for one in steps]
    receipts = [one.receipt for one in each if one.receipt is not None]
    return AnswerDetails(
        receipt=ReadReceipt(
            sum(one.expected_tokens for one in receipts),
            sum(one.read_tokens for one in receipts),
            sum(one.reused_tokens for one in receipts),
            any(one.is_estimated for one in receipts),
        ),
        first_token_seconds=each[0].first_token_seconds,
        seconds=sum(one.seconds or 0.0 for one in each),
        written_tokens=sum(one.written_tokens for one in each),
        passes=tuple(steps),
    )


def _pages(one: PassAnswer) -> str:
    return ", ".join(span.words for span in one.spans)

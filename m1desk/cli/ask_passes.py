"""What the passes of a question have brought, kept until the question is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from m1desk.cli.session import say
from m1desk.documents import AnswerDetails, DocumentSets, PassEnded, PassesAnswer
from m1desk.errors import M1DeskError

if TYPE_CHECKING:
    from m1desk.cli.documents import DocumentsHere
    from m1desk.documents import AskedQuestion, PassAnswer, PassEvent, QuestionState
    from m1desk.store import Database


class KeptPasses:
    """Writes down what passes have brought, where the documents are a stored set.

    The question is one of the set's, as if it were asked in the window: there it is shown, and can
    be gone on with too.
    """

    def __init__(self, sets: DocumentSets, question: AskedQuestion | None) -> None:
        self._sets = sets
        self._question = question

    @property
    def done(self) -> tuple[PassAnswer, ...]:
        """What an earlier call has brought."""
        return () if self._question is None else self._question.details.passes

    def take(self, event: PassEvent) -> None:
        """Write down what has ended; raises StorageError."""
        asked = self._question
        if asked is None:
            return
        match event:
            case PassEnded(answer):
                others = (one for one in self.done if one.text_sha256 != answer.text_sha256)
                details = replace(asked.details, passes=(*others, answer))
                self._sets.save_details(asked.id, details)
                self._question = replace(asked, details=details)
            case PassesAnswer(answer, reasoning, details):
                ended = replace(
                    asked,
                    state="complete",
                    answer=answer,
                    reasoning=reasoning,
                    details=replace(details, documents=asked.details.documents),
                )
                self._question = self._sets.end(ended)

    def cut(self, error: BaseException) -> None:
        """Write down that it ended too early; what has come of it stays."""
        asked = self._question
        if asked is None or asked.state == "complete":
            return
        reason = str(error) if isinstance(error, M1DeskError) else "The command was ended."
        state: QuestionState = "interrupted" if self.done else "failed"
        self._sets.end(replace(asked, state=state, error=reason))


@contextmanager
def kept_passes(
    database: Database, here: DocumentsHere, question: str, model: str
) -> Iterator[KeptPasses]:
    """Keep what the passes of a question bring, beginning with what an earlier call has kept.

    Raises:
        StorageError: it can't be written down.
    """
    sets = DocumentSets(database)
    asked = None if here.set_id is None else _begun(sets, here.set_id, here, question, model)
    kept = KeptPasses(sets, asked)
    if kept.done:
        say(f"Passes an earlier call has been through, kept and not read again: {len(kept.done)}.")
    try:
        yield kept
    except BaseException as error:
        kept.cut(error)
        raise


def _begun(
    sets: DocumentSets, set_id: int, here: DocumentsHere, question: str, model: str
) -> AskedQuestion:
    """The same question of the same text and model that has no end, or a new one."""
    wanted = (question.strip(), model, here.text.sha256)
    for one in reversed(sets.questions(set_id)):
        # A call that was killed has left its question as one that is being answered.
        is_open = one.state != "complete" and bool(one.details.passes)
        if is_open and (one.question, one.model, one.text_sha256) == wanted:
            return sets.reopen(one.id)
    made = sets.begin(set_id, *wanted)
    return replace(made, details=AnswerDetails(documents=here.names))

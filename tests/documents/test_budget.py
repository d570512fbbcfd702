"""What documents take of the context: counted, summed, and never rounded away."""

from __future__ import annotations

from pathlib import Path

from m1desk.documents import Budget, Document, Page, count_documents, first_message, lay_out
from m1desk.engines.turn import ChatMessage


class Words:
    """Counts words; what a tokenizer does is the engine's business."""

    async def count_text(self, text: str) -> int:
        return len(text.split())

    async def count_tokens(self, messages: list[ChatMessage]) -> int:
        return sum(len(one.content.split()) for one in messages)


def _document(name: str, text: str) -> Document:
    return Document(name, Path(name), "text", (Page(1, "page", text),), "", 0, 0.0)


async def test_each_document_is_counted_with_its_markers() -> None:
    counts = await count_documents(Words(), [_document("a", "one two"), _document("b", "three")])
    assert counts == {"a": 4, "b": 3}


def test_a_budget_says_what_is_missing() -> None:
    budget = Budget(100, {"a": 60, "b": 20}, prompt_tokens=95, answer_tokens=30)
    assert (budget.other_tokens, budget.needed_tokens) == (15, 125)
    assert (budget.fits, budget.missing_tokens, budget.free_tokens) == (False, 25, 0)
    roomy = Budget(200, {"a": 60, "b": 20}, prompt_tokens=95, answer_tokens=30)
    assert (roomy.fits, roomy.missing_tokens, roomy.free_tokens) == (True, 0, 75)


def test_the_constant_part_is_the_beginning_of_every_prompt() -> None:
    documents = lay_out([_document("a [1].txt", " one ")])
    assert documents.text == "[a 1 .txt p.1]\none"
    for question in ("Why?", " How? "):
        assert first_message(documents, question).startswith(documents.constant + "\n\n")

"""Statements of an answer without a quote: none is passed over, none is made up."""

from __future__ import annotations

import pytest

from m1desk.documents.citations import CitationChecker
from m1desk.documents.prompt import DocumentsText

Q = '"The fee is 20 EUR." [a.pdf p.1]'


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        (f"The moon is made of cheese. You pay millions. The fee is low: {Q}",
         ["The moon is made of cheese.", "You pay millions."]),
        (f"The notice period is 45 days. {Q}", []),
        (f"As the contract says, {Q}.", []),
        (f"{Q} The parties will surely renew it.", ["The parties will surely renew it."]),
        (f"{Q}. The parties will surely renew it.", ["The parties will surely renew it."]),
        (f"{Q} and so it is for all.", []),
        (f"{Q} and so it is. It is 45 days.", ["It is 45 days."]),
        ("It is 45 days.\n\n> The fee is 20 EUR. [a.pdf p.1]", []),
        (f"These are the terms:\n- {Q}\n- The moon is made of cheese.\n- {Q}",
         ["- The moon is made of cheese."]),
        (f"## What is the fee?\nThe moon is made of cheese.\n{Q}\n\nIt costs nothing more.",
         ["It costs nothing more."]),
        ("# All about the fee\nThe moon is cheese.", ["The moon is cheese."]),
        (f"| The question | The answer |\n|---|:-:|\n| Fee | {Q} |\n| Other costs | 5 EUR |",
         ["| Other costs | 5 EUR |"]),
        (f"It holds. See {Q}", []),
        ("月は緑のチーズでできている。これは本当の話です。",
         ["月は緑のチーズでできている。", "これは本当の話です。"]),
        ("The moon is made of cheese.\n---\nYes.", ["The moon is made of cheese."]),
    ],
)  # fmt: skip
def test_only_what_stands_at_a_quote_is_borne_out_by_it(answer: str, claims: list[str]) -> None:
    checked = CitationChecker(DocumentsText("", ())).check(answer)
    assert [answer[one.start : one.end] for one in checked.unquoted] == claims


@pytest.mark.parametrize(
    "answer",
    [
        "That is not in the documents.",
        "This isn't mentioned anywhere in the documents.",
        "The documents do not mention a penalty.",
        "There is nothing about the weather in these documents.",
        "I could find no information about this in the provided documents.",
    ],
)
def test_that_nothing_is_said_needs_no_quote(answer: str) -> None:
    checker = CitationChecker(DocumentsText("", ()))
    assert checker.check(answer).unquoted == ()
    assert len(checker.check(f"{answer} The moon is made of cheese.").unquoted) == 2


@pytest.mark.parametrize(
    "answer",
    [
        "The documents do not allow any termination.",
        "Termination is not allowed under the documents.",
        "The fee of 20 EUR is not in the documents.",
        "The parties do not agree on anything.",
    ],
)
def test_a_denial_is_a_claim(answer: str) -> None:
    assert len(CitationChecker(DocumentsText("", ())).check(answer).unquoted) == 1

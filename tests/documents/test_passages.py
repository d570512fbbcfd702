"""The sentences around a quote: whole, within their page, and said to be cut where they are."""

from __future__ import annotations

import pytest

from m1desk.documents.passages import says_the_same, whole_sentences

PAGE = (
    "Rent\n\nThe rent is CHF 4,200.50 per month. Either party may\nterminate with 45 days' notice. "
    "“Is it due?” Yes.\n\n- No pets"
)


@pytest.mark.parametrize(
    ("quote", "passage"),
    [
        ("45 days' notice.", "Either party may terminate with 45 days' notice."),
        ("4,200.50", "The rent is CHF 4,200.50 per month."),
        (
            "per month. Either",
            "The rent is CHF 4,200.50 per month. Either party may terminate with 45 days' notice.",
        ),
        ("Rent", "Rent"),
        ("due", "“Is it due?”"),
        ("Yes.", "Yes."),
        ("pets", "- No pets"),
    ],
)
def test_a_passage_is_made_of_whole_sentences(quote: str, passage: str) -> None:
    start = PAGE.index(quote)
    assert whole_sentences(PAGE, start, start + len(quote), (0, len(PAGE))) == passage


def test_where_no_sentence_ends_it_says_that_more_is_left_out() -> None:
    page = "word " * 200 + "here " + "word " * 200
    start = page.index("here")
    passage = whole_sentences(page, start, start + 4, (0, len(page)))
    assert passage.startswith("… word ")
    assert passage.endswith(" word …")
    assert " here " in passage
    assert len(passage) < 620


@pytest.mark.parametrize(
    ("passage", "quote", "same"),
    [
        ("The rent is due.", "“the rent  is due”", True),
        ("The rent is due.", "rent is due.", False),
        ("", "", True),
    ],
)
def test_a_passage_without_another_word_says_the_same(passage: str, quote: str, same: bool) -> None:
    assert says_the_same(passage, quote) is same

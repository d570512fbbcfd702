"""Passes over documents: every page in one of them, each within the budget, none cut in silence."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from m1desk.documents import (
    Document,
    Page,
    PageSpan,
    count_prompt,
    lay_out,
    pages_left_out,
    plan_for_question,
    plan_passes,
)
from m1desk.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from m1desk.documents import Pass
    from m1desk.engines.turn import ChatMessage


class Characters:
    """Counts four characters as a token; a prompt takes `joint` more for each of its lines."""

    def __init__(self, joint: int = 0) -> None:
        self._joint = joint
        self.requests = 0

    async def count_text(self, text: str) -> int:
        self.requests += 1
        return -(-len(text) // 4)

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        text = "".join(one.content for one in messages)
        return await self.count_text(text) + self._joint * text.count("\n")


def _document(name: str, *pages: str) -> Document:
    made = tuple(Page(number, "page", text) for number, text in enumerate(pages, 1))
    return Document(name, Path(name), "pdf", made, "", 0, 0.0)


def _pages_of(passes: Sequence[Pass]) -> list[tuple[str, int, str]]:
    return [
        (page.document, page.number, one.text.page_text(page))
        for one in passes
        for page in one.text.pages
    ]


BOOK = _document(
    "book.pdf", *(f"Page {number} says {'word ' * number * 9}" for number in range(20))
)
NOTES = _document("notes.md", "One note.", "Another note. " * 30)


@pytest.mark.parametrize("joint", [0, 3])
@pytest.mark.parametrize("budget", [500, 700, 1500, 100_000])
async def test_every_page_is_in_one_pass_that_fits(budget: int, joint: int) -> None:
    counter = Characters(joint)
    passes = await plan_passes([BOOK, NOTES], budget, counter)
    assert [one.number for one in passes] == list(range(1, len(passes) + 1))
    whole = lay_out([BOOK, NOTES])
    assert _pages_of(passes) == [
        (page.document, page.number, whole.page_text(page)) for page in whole.pages
    ]
    for one in passes:
        assert one.tokens == await count_prompt(counter, one.text, "") <= budget
    assert pages_left_out(whole, [span for one in passes for span in one.spans]) == ()
    assert (len(passes) == 1) == (budget == 100_000)


async def test_a_pass_takes_all_that_fits() -> None:
    counter = Characters()
    passes = await plan_passes([BOOK, NOTES], 700, counter)
    assert len(passes) > 3
    for one, after in pairwise(passes):
        following = after.text.pages[0]
        head = f"{following.marker}\n{after.text.page_text(following)}\n\n"
        assert one.tokens + await counter.count_text(head) > 700


async def test_pages_are_not_counted_one_by_one() -> None:
    counter = Characters()
    long = _document("long.pdf", *("word " * (50 + number % 7) for number in range(900)))
    passes = await plan_passes([long], 4000, counter)
    assert len(passes) > 10
    assert counter.requests < 3 * len(passes)


async def test_pages_unlike_the_others_are_not_cut_and_not_lost() -> None:
    class Dense(Characters):
        """Digits are tokens of their own: the page that holds them takes more than its share."""

        async def count_text(self, text: str) -> int:
            digits = sum(one.isdigit() for one in text)
            return digits + await super().count_text(text)

    numbers = _document("t.pdf", "word " * 200, "1234567890 " * 120, "word " * 300, "word " * 90)
    passes = await plan_passes([numbers], 700, Dense())
    assert all(one.tokens <= 700 for one in passes)
    whole = lay_out([numbers])
    assert pages_left_out(whole, [span for one in passes for span in one.spans]) == ()
    parts = [text for _, number, text in _pages_of(passes) if number == 2]
    assert len(parts) > 1
    assert " ".join(parts).split() == numbers.pages[1].text.split()


async def test_spans_name_the_pages_of_each_document() -> None:
    (one,) = await plan_passes([BOOK, NOTES], 100_000, Characters())
    assert one.spans == (PageSpan("book.pdf", 1, 20, pages=20), PageSpan("notes.md", 1, 2, pages=2))
    assert [span.words for span in one.spans] == ["book.pdf p.1–20", "notes.md p.1–2"]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("\n\n".join(f"Paragraph {n}: {'some words here ' * 9}end." for n in range(40)), "end."),
        ("\n".join(f"{n}: a line of a table; {'x; ' * 30}eol" for n in range(60)), "eol"),
        (" ".join(f"Sentence {n} of one long paragraph ends here." for n in range(200)), "here."),
        ("word " * 2000, "word"),
    ],
)
async def test_a_page_too_long_is_split_where_it_may_be_and_says_so(text: str, ends: str) -> None:
    long = _document("long.txt", "Short.", text, "After it.")
    passes = await plan_passes([long], 500, Characters())
    whole = lay_out([long])
    parts = [page for page in _pages_of(passes) if page[1] == 2]
    assert len(parts) > 2
    assert " ".join(part for *_, part in parts).split() == text.split()
    assert all(part.rstrip().endswith(ends) for *_, part in parts)
    assert all(one.tokens <= 500 for one in passes)
    spans = [span for one in passes for span in one.spans]
    of_page = [span for span in spans if span.parts]
    assert [(span.first, span.part) for span in of_page] == [
        (2, number) for number in range(1, len(parts) + 1)
    ]
    assert of_page[1].words == f"long.txt p.2 (part 2 of {len(parts)})"
    assert "[long.txt p.2]\n" in passes[1].text.text
    assert pages_left_out(whole, spans) == ()
    assert pages_left_out(whole, [one for one in spans if one.part != 2]) == ("[long.txt p.2]",)
    assert pages_left_out(whole, spans[:-1]) == ("[long.txt p.3]",)


async def test_text_without_any_border_is_split_all_the_same() -> None:
    blob = "x" * 9000
    passes = await plan_passes([_document("blob.txt", blob)], 500, Characters())
    assert "".join(text for *_, text in _pages_of(passes)) == blob


async def test_a_context_without_room_for_text_is_refused() -> None:
    with pytest.raises(BadInput, match="too small"):
        await plan_passes([BOOK], 120, Characters())


async def test_questions_of_a_usual_length_make_the_same_passes() -> None:
    async def plan(question: str) -> tuple[Pass, ...]:
        return await plan_for_question(
            [BOOK, NOTES], question, Characters(), context_tokens=1500, answer_tokens=300
        )

    short, longer = await plan("Why?"), await plan("Why is that so, and who says it? " * 10)
    assert short == longer
    very_long = await plan("Why is that so, and who says it? " * 40)
    assert len(very_long) > len(short)
    assert all(one.tokens + 300 + len("Why?") < 1500 for one in short)

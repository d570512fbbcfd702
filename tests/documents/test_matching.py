"""Finding quotes in a text: what counts as found, what doesn't, and where it was."""

from __future__ import annotations

from itertools import accumulate

import pytest

from m1desk.documents.matching import Match, SearchableText


def whole(text: str, quote: str) -> str | None:
    """What of a text is found for a quote."""
    match = SearchableText(text).find(quote)
    return None if match is None else text[match.start : match.end]


def alike(text: str, quote: str) -> Match | None:
    return SearchableText(text).find_like(quote, 0, len(text))


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("one  two\n\nthree", "two three"),
        ("the ﬁnal oﬀer — now", "final offer - now"),
        ("co\u00adoperate with us", "cooperate with us"),
        ("İstanbul is A City", "istanbul is a city"),
        ("a\t\u00a0b \u200b c", "b c"),
        ("The **fee** is\n* due", "fee is due"),
    ],
)
def test_positions_survive_normalisation(text: str, quote: str) -> None:
    match = SearchableText(text).find(quote)
    assert match is not None
    again = SearchableText(text[match.start : match.end])
    assert again.plain == quote


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("It costs 120 EUR per month.", "20 EUR per month"),
        ("It lasts 15 years.", "5 years"),
        ("It lasts 5 years.", "It lasts 5 year"),
        ("The cap is 250,000 EUR.", "The cap is 250"),
        ("The cap is 250,000 EUR.", "000 EUR"),
        ("It rises by 1.5 points.", "5 points"),
        ("It takes 10–20 days.", "20 days"),
        ("The result is -20 EUR.", "20 EUR"),
        ("He can't end it.", "He can"),
        ("It is non-refundable after a week.", "refundable after a week"),
        ("Set max_tokens here.", "tokens here"),
        ("It is 5*3 wide.", "53 wide"),
        ("The penalty is 12 500 EUR a day", "500 EUR a day"),
        ("The penalty is 12\u202f500 EUR a day", "The penalty is 12"),
        ("The price is 1 250 000 EUR net", "The price is 1 250"),
        ("The price is 1 250 000 EUR net", "250 000 EUR net"),
        ("It costs EUR 125 500.50 a year", "500.50 a year"),
    ],
)
def test_what_cuts_a_word_or_a_number_is_not_there(text: str, quote: str) -> None:
    assert whole(text, quote) is None


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("It costs 120 EUR, or 20 EUR per month.", "20 EUR per month", "20 EUR per month"),
        ("The clause—the Supplier says—stays.", "the Supplier says", "the Supplier says"),
        ("The _total fee_ is 20.", "total fee is 20", "total fee_ is 20"),
        ("The total fee is 20.", "The **total** _fee_ is 20", "The total fee is 20"),
        ("Pay it every month.", "pay it every month,", "Pay it every month"),
        ("契約期間は三年とする。", "期間は三年", "期間は三年"),
        ("(a) The fee [net] is due", "(a) The fee [net]", "(a) The fee [net]"),
        ("It makes in 2027 500 units.", "500 units", "500 units"),
        ("Of 12 5000 are left.", "5000 are left", "5000 are left"),
        ("Of 12 50 are left.", "50 are left", "50 are left"),
        ("id,count\n101,12\n102,13", "102,13", "102,13"),
        ("count\tprice\n12\t500 EUR", "500 EUR", "500 EUR"),
        ("Rooms   12   500 EUR a day", "500 EUR a day", "500 EUR a day"),
    ],
)
def test_what_stands_by_itself_is_there(text: str, quote: str, found: str) -> None:
    assert whole(text, quote) == found


def test_a_quote_runs_over_the_end_of_a_page_and_not_of_a_document() -> None:
    text = (
        "[a p.1]\nThe fee of the contract is\n\n[a p.2]\n20 EUR a year.\n\n[b p.1]\nNothing else."
    )
    first = (8, text.index("\n\n[a p.2]"))
    second = (text.index("20"), text.index("\n\n[b"))
    searchable = SearchableText(text, [[first, second], [(text.index("No"), len(text))]])
    match = searchable.find("the fee of the contract is 20 EUR a year")
    assert match is not None
    assert (match.start, match.end) == (8, second[1] - 1)
    assert searchable.find("20 EUR a year. Nothing else.") is None
    assert searchable.find("[a p.2]") is None
    assert searchable.find("The fee", *second) is None
    near = searchable.find_like("The fee of this contract is 20 EUR a year", *first)
    assert near is not None
    assert (near.how, near.start, near.end) == ("fuzzy", 8, second[1] - 1)


def test_no_number_runs_over_the_end_of_a_page_or_a_document() -> None:
    pages = ("in room 12", "500 EUR a day", "12", "500 EUR a year")
    text = " ".join(pages)
    ends = accumulate(len(page) + 1 for page in pages)
    spans = [(end - len(page) - 1, end - 1) for end, page in zip(ends, pages, strict=True)]
    searchable = SearchableText(text, [spans[:2], spans[2:3], spans[3:]])
    for quote in ("500 EUR a day", "in room 12", "500 EUR a year"):
        assert searchable.find(quote) is not None
    assert SearchableText(text).find("500 EUR a day") is None


def test_nothing_to_search_finds_nothing() -> None:
    for searchable in (SearchableText(""), SearchableText("x", []), SearchableText(" \n", [[]])):
        assert searchable.find("anything") is None
        assert searchable.find("") is None
        assert searchable.find_parts("more than ... this is") is None
        assert searchable.find_like("anything at all", 0, 0) is None


# -- parts -----------------------------------------------------------------------------------------

PAGE = (
    "The Buyer may terminate this contract. The Buyer may also, with 45 days of notice, end it "
    "early.\n\nThe price is one million."
)


def test_parts_are_found_after_a_later_first_part() -> None:
    text = PAGE + " " * 5 + "x" * 5000
    match = SearchableText(text).find_parts("The Buyer may … end it early")
    assert match is not None
    assert match.how == "parts"
    assert match.score < 1.0
    assert text[match.start : match.end].endswith("end it early")
    late = SearchableText(f"It is 9 EUR net. {'x' * 5000} It is 9 EUR net. A sum for a year.")
    assert late.find_parts("It is 9 EUR net ... a sum for a year.") is not None


@pytest.mark.parametrize(
    "quote",
    [
        "The Buyer may terminate ... e",
        "The Buyer ... e ... one million",
        "with 45 days of notice ... The Buyer may terminate",
        "The Buyer may … in another year",
        "...",
        "The price is one ...... ten million of them",
    ],
)
def test_parts_that_say_little_or_are_not_there_are_not_found(quote: str) -> None:
    assert SearchableText(PAGE).find_parts(quote) is None


def test_parts_stand_on_one_page() -> None:
    first, second = "The Buyer may terminate it.", "The price is one million."
    text = first + "\n" + second
    pages = [(0, len(first)), (len(first) + 1, len(text))]
    quote = "The Buyer may ... is one million"
    assert SearchableText(text).find_parts(quote) is not None
    assert SearchableText(text, [pages]).find_parts(quote) is None
    assert SearchableText(text, [[pages[0]], [pages[1]]]).find_parts(quote) is None


def test_what_is_left_out_at_the_ends_is_no_gap() -> None:
    match = SearchableText(PAGE).find_parts("... with 45 days of notice …")
    assert match is not None
    assert (match.how, match.score) == ("whole", 1.0)


def test_a_quote_that_leaves_something_out_is_not_compared_nearly() -> None:
    assert alike(PAGE, "The Buyer may terminate ... e") is None
    assert alike(PAGE, "The Buyer may terminate this contrast ...") is not None


# -- nearly ----------------------------------------------------------------------------------------


def test_a_passage_with_other_numbers_is_not_like_the_quote() -> None:
    text = "The monthly fee of the contract is 20 EUR in the first year, due at once."
    assert alike(text, "The monthly fee of this contract is 20 EUR in the first year") is not None
    for number in ("25", "2", "120", "20.5", "no"):
        quote = f"The monthly fee of the contract is {number} EUR in the first year"
        assert alike(text, quote) is None


def test_a_passage_that_cuts_a_number_is_not_like_the_quote() -> None:
    assert alike("It costs 120 EUR per month and more.", "20 EUR per month and more") is None


def test_a_long_quote_is_compared_to_its_end() -> None:
    words = [f"word{chr(97 + at % 26)}{chr(97 + at // 26)}" for at in range(600)]
    text = " ".join(words)
    changed = words.copy()
    changed[3] = changed[500] = "another"
    match = alike(text, " ".join(changed))
    assert match is not None
    assert text[match.start : match.end].endswith(words[-1])
    assert alike(text, " ".join(words[:100] + ["something else entirely"] * 200)) is None


def test_hostile_texts_end_in_bounded_time() -> None:
    for text in ("a" * 200_000, "* _ " * 50_000, "1,2" * 60_000, "-" * 200_000, "\u00ad" * 200_000):
        searchable = SearchableText(text)
        for quote in ("a" * 4000, "1 ... 2", "- - - - - -", "a b c … a b c", "2,1" * 1000):
            searchable.find(quote)
            searchable.find_parts(quote)
            searchable.find_like(quote, 0, 3000)

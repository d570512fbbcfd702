"""Reading quotes and their pages from an answer, in the many forms that models write."""

from __future__ import annotations

import pytest

from m1desk.documents.markers import Reference, find_markers
from m1desk.documents.quotes import find_quotes


def texts(answer: str, *there: str) -> list[str]:
    """Give the quotes of an answer; `there` stands in the documents."""
    return [quote.text for quote in find_quotes(answer, lambda text: text in there)]


@pytest.mark.parametrize(
    ("marker", "pages"),
    [
        ("[contract.pdf p.3]", [("contract.pdf", 3, 3)]),
        ("(contract.pdf, page 3)", [("contract.pdf", 3, 3)]),
        ("[contract.pdf p.1, p.2]", [("contract.pdf", 1, 1), ("contract.pdf", 2, 2)]),
        ("[contract.pdf pp. 1, 4-6 and 9]", [("contract.pdf", n, m) for n, m in
                                            ((1, 1), (4, 6), (9, 9))]),
        ("[a.pdf p.1; b.md p.2]", [("a.pdf", 1, 1), ("b.md", 2, 2)]),
        ("[a.pdf p.1, 2025 report.pdf p.2]", [("a.pdf", 1, 1), ("2025 report.pdf", 2, 2)]),
        ("[a.pdf p.1] [b.md p.2]", [("a.pdf", 1, 1), ("b.md", 2, 2)]),
        ("[a.pdf p.1], [b.md p.2]", [("a.pdf", 1, 1), ("b.md", 2, 2)]),
        ("[contract.pdf p.2–3]", [("contract.pdf", 2, 3)]),
        ("[p.3]", [("", 3, 3)]),
        ("(vertrag.pdf, S. 3)", [("vertrag.pdf", 3, 3)]),
        ("[vertrag.pdf Seite 3]", [("vertrag.pdf", 3, 3)]),
        ("[umowa.pdf str. 3]", [("umowa.pdf", 3, 3)]),
        ("[contrato.pdf pág. 3]", [("contrato.pdf", 3, 3)]),
        ("[合同.pdf 第3页]", [("合同.pdf", 3, 3)]),
        ("[合同.pdf 页 3]", [("合同.pdf", 3, 3)]),
        ("【契約.pdf 3ページ】", [("契約.pdf", 3, 3)]),
        ("[a (final).pdf p.3, section 2]", [("a (final).pdf", 3, 3)]),
        ("`[a.pdf p.3]`", [("a.pdf", 3, 3)]),
    ],
)  # fmt: skip
def test_markers_are_read(marker: str, pages: list[tuple[str, int, int]]) -> None:
    (found,) = find_markers(f"It says so {marker} and more.")
    assert found.references == tuple(Reference(*one) for one in pages)
    assert (found.start, found.end) == (11, 11 + len(marker))


@pytest.mark.parametrize(
    "text", ["[1]", "(see below)", "[x](y)", "(page 3 is the annex)", "[step 3]", "(p. x)", "[3]"]
)
def test_other_brackets_are_no_markers(text: str) -> None:
    assert find_markers(f"It says so {text} and more.") == []


@pytest.mark.parametrize(
    "quoted",
    [
        '"The fee is due"', "“The fee is due”", '“The fee is due"', "„The fee is due“",
        "„The fee is due”", '„The fee is due"', "«The fee is due»", "« The fee is due »",
        "»The fee is due«", "”The fee is due”", "‘The fee is due’", "'The fee is due'",
        "「The fee is due」", "『The fee is due』", '**"The fee is due"**', '("The fee is due")',
    ],
)  # fmt: skip
def test_quotation_marks_of_many_kinds(quoted: str) -> None:
    assert texts(f"It says {quoted} [a.pdf p.1].") == ["The fee is due"]
    assert texts(f"{quoted}\n\nIt does.") == ["The fee is due"]


@pytest.mark.parametrize(
    "answer",
    [
        "The parties' duty doesn't end, and the buyers' neither.",
        "It's a 5\" pipe and a 7\" pipe that were bought in the '90s.",
        "The 'cap' is what they call the 'limit'.",
        'The "cap" is what they call "the limit".',
    ],
)
def test_terms_apostrophes_and_inches_are_no_quotes(answer: str) -> None:
    assert texts(answer) == []


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('"A one." and "B two." [a.pdf p.1]', ["B two."]),
        ('"A one is." and "B two." [a.pdf p.1]', ["A one is.", "B two."]),
        ('He said "hello. The fee is: "It is due." [a.pdf p.1]', ["It is due."]),
        ('"He said "yes, of course" and left." [a.pdf p.1]',
         ['He said "yes, of course" and left.']),
        ('"a 5" pipe is used" [a.pdf p.1]', ['a 5" pipe is used']),
        ('"The fee is due. [a.pdf p.1]" More.', ["The fee is due."]),
        ('"See [b.pdf p.9] for it." [a.pdf p.1]', ["See [b.pdf p.9] for it."]),
        ('He said "no [a.pdf p.1]. "It is due." [a.pdf p.2]', ["It is due."]),
        ('| Fee | "It is due" | [a.pdf p.1] |', ["It is due"]),
        ('"It is due" `[a.pdf p.1]`', ["It is due"]),
    ],
)  # fmt: skip
def test_marks_are_paired_as_they_are_meant(answer: str, found: list[str]) -> None:
    assert texts(answer, *found) == found


def test_all_quotes_of_a_sentence_get_the_page_at_its_end() -> None:
    answer = '"Z is old." So it was. "A is one." and "B is two." are said [a.pdf p.1].'
    quotes = find_quotes(answer, lambda _: False)
    assert [quote.marker is not None for quote in quotes] == [False, True, True]


def test_doubtful_marks_are_read_as_the_documents_have_them() -> None:
    answer = '"He said "never" and "not ever again" to it." [a.pdf p.1]'
    whole = 'He said "never" and "not ever again" to it.'
    assert texts(answer, whole) == [whole]
    assert texts('The "a" is "no" quote" [a.pdf p.1]') == ['a" is "no" quote']


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("> The fee is due.", ["The fee is due."]),
        ('> The "net fee" is\n> due now.', ['The "net fee" is due now.']),
        ('> "The net fee is due now."', ["The net fee is due now."]),
        ('> "The net fee" means "the fee".', ['"The net fee" means "the fee".']),
        ('> It says: "The fee is due."', ["The fee is due."]),
    ],
)
def test_block_quotes(block: str, found: list[str]) -> None:
    for answer in (f"{block} [a.pdf p.1]", f"So:\n\n{block}\n\n[a.pdf p.1]", f"{block}\n\nYes."):
        assert texts(answer, *found) == found
    two = f"{block} [a.pdf p.1]\n> Another one follows. [a.pdf p.2]\n"
    assert texts(two, *found) == [*found, "Another one follows."]

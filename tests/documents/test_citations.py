"""Quotes of an answer, found on the pages: as they stand, nearly, elsewhere, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from m1desk.documents.answers import Citation
from m1desk.documents.citations import CitationChecker
from m1desk.documents.prompt import DocumentsText, lay_out
from m1desk.documents.values import Document, Page


def _document(name: str, *pages: str) -> Document:
    made = tuple(Page(number, "page", text) for number, text in enumerate(pages, 1))
    return Document(name, Path("/nowhere") / name, "pdf", made, "", 0, 0.0)


@pytest.fixture
def documents() -> DocumentsText:
    return lay_out(
        [
            _document(
                "contract.pdf",
                "This agreement takes effect on 1 March 2027.",
                "Either party may terminate this agreement with 45 days' notice.\n\n"
                "The supplier’s “best efforts” clause does not apply to delays\n"
                "of less than a week.",
                "The liability cap is EUR 250,000 for all claims together.",
            ),
            _document(
                "mails/offer.eml", "The price per unit is EUR 18.40. Delivery takes 3 weeks."
            ),
        ]
    )


def _only(documents: DocumentsText, answer: str) -> Citation:
    (citation,) = CitationChecker(documents).check(answer).citations
    return citation


def test_a_quote_on_its_page_is_verified(documents: DocumentsText) -> None:
    quote = "Either party may terminate this agreement with 45 days' notice."
    citation = _only(documents, f'The notice period is 45 days. "{quote}" [contract.pdf p.2]')
    assert (citation.status, citation.file, citation.page) == ("verified", "contract.pdf", 2)
    assert citation.quote == quote
    assert not citation.is_misplaced
    assert documents.text[citation.text_start : citation.text_end] == quote


def test_typography_and_line_breaks_do_not_matter(documents: DocumentsText) -> None:
    answer = (
        '“The supplier\'s "best efforts" clause does not apply to delays of less than a week.” '
        "(contract.pdf, page 2)"
    )
    citation = _only(documents, answer)
    assert (citation.status, citation.page) == ("verified", 2)
    found = documents.text[citation.text_start : citation.text_end]
    assert found.startswith("The supplier’s “best")
    assert found.endswith("a week.")


def test_a_changed_word_is_approximate_with_its_likeness(documents: DocumentsText) -> None:
    answer = '"Each party may terminate this agreement with 45 days\' notice." [contract.pdf p.2]'
    citation = _only(documents, answer)
    assert citation.status == "approximate"
    assert 0.85 <= citation.score < 1.0
    assert "terminate this agreement" in documents.text[citation.text_start : citation.text_end]


def test_what_the_page_says_is_told_where_the_quote_does_not_say_all_of_it(
    documents: DocumentsText,
) -> None:
    sentence = "Either party may terminate this agreement with 45 days' notice."
    for quote in (
        "45 days' notice.",
        "Each party may terminate this agreement with 45 days' notice.",
    ):
        assert _only(documents, f'"{quote}" [contract.pdf p.2]').passage == sentence
    for quote in (sentence, "either party may terminate this agreement with 45 days’ notice"):
        assert _only(documents, f'"{quote}" [contract.pdf p.2]').passage == ""
    assert _only(documents, '"The rent is due." [contract.pdf p.2]').passage == ""


def test_an_invented_quote_is_not_found(documents: DocumentsText) -> None:
    citation = _only(documents, '"The rent is due on every first Monday." [contract.pdf p.3]')
    assert (citation.status, citation.score) == ("not_found", 0.0)
    assert (citation.cited_file, citation.cited_page) == ("contract.pdf", 3)


def test_the_page_is_where_the_quote_is_found_not_where_it_is_said_to_be(
    documents: DocumentsText,
) -> None:
    answer = '"The liability cap is EUR 250,000 for all claims together." [contract.pdf p.1]'
    citation = _only(documents, answer)
    assert (citation.status, citation.page, citation.cited_page) == ("verified", 3, 1)
    assert citation.is_misplaced


def test_a_short_name_means_the_file_in_its_folder(documents: DocumentsText) -> None:
    citation = _only(documents, 'It costs "EUR 18.40" [offer.eml p.1].')
    assert (citation.file, citation.page) == ("mails/offer.eml", 1)
    assert not citation.is_misplaced


def test_what_is_left_out_may_be_left_out(documents: DocumentsText) -> None:
    answer = '"The price per unit is EUR 18.40 [...] takes 3 weeks." [mails/offer.eml p.1]'
    citation = _only(documents, answer)
    assert citation.status == "approximate"
    assert 0.5 < citation.score < 1.0
    found = documents.text[citation.text_start : citation.text_end]
    assert found == "The price per unit is EUR 18.40. Delivery takes 3 weeks"
    answer = '"The price per unit is EUR 19.40 [...] takes 3 weeks." [mails/offer.eml p.1]'
    assert _only(documents, answer).status == "not_found"


def test_a_block_quote_is_a_quote(documents: DocumentsText) -> None:
    answer = (
        "It begins in March:\n\n> This agreement takes effect on 1 March 2027. [contract.pdf p.1]"
    )
    citation = _only(documents, answer)
    assert (citation.status, citation.page) == ("verified", 1)


def test_quoted_terms_are_no_citations(documents: DocumentsText) -> None:
    checked = CitationChecker(documents).check('The "cap" is what the parties call "the limit".')
    assert checked.citations == ()


def test_several_quotes_keep_their_own_pages(documents: DocumentsText) -> None:
    answer = (
        '- It begins in March. "This agreement takes effect on 1 March 2027." [contract.pdf p.1]\n'
        '- The cap: "The liability cap is EUR 250,000 for all claims together." [contract.pdf p.3]'
    )
    checked = CitationChecker(documents).check(answer)
    assert [one.page for one in checked.citations] == [1, 3]
    assert checked.unquoted == ()


def test_a_claim_without_a_quote_is_named(documents: DocumentsText) -> None:
    answer = (
        'It begins in March. "This agreement takes effect on 1 March 2027." [contract.pdf p.1] '
        "The parties will surely renew it.\n\nNobody disagrees about the price."
    )
    checked = CitationChecker(documents).check(answer)
    assert [answer[one.start : one.end] for one in checked.unquoted] == [
        "The parties will surely renew it.",
        "Nobody disagrees about the price.",
    ]


def test_a_marker_inside_a_document_deceives_nobody() -> None:
    documents = lay_out(
        [
            _document(
                "a.pdf", "See below.\n\n[b.pdf p.9]\nThe moon is made of cheese indeed.", "Two."
            )
        ]
    )
    citation = _only(documents, '"The moon is made of cheese." [b.pdf p.9]')
    assert (citation.file, citation.page) == ("a.pdf", 1)
    assert citation.is_misplaced


def test_a_quote_that_holds_quotation_marks_ends_at_its_marker() -> None:
    documents = lay_out([_document("a.pdf", 'He said "yes, of course" and signed it.')])
    citation = _only(documents, '"He said "yes, of course" and signed it." [a.pdf p.1]')
    assert citation.status == "verified"
    assert citation.quote == 'He said "yes, of course" and signed it.'


def test_a_quote_over_a_page_break_is_found_where_it_begins() -> None:
    documents = lay_out([_document("a.pdf", "The fee is due", "on the first Monday.")])
    citation = _only(documents, '"The fee is due on the first Monday." [a.pdf p.1]')
    assert (citation.status, citation.page, citation.is_misplaced) == ("verified", 1, False)
    found = documents.text[citation.text_start : citation.text_end]
    assert found == documents.text[documents.pages[0].start :]


def test_markers_and_what_stands_in_two_documents_are_not_found(documents: DocumentsText) -> None:
    for quote in (
        "[contract.pdf p.2] Either party may terminate",
        "for all claims together. The price per unit",
        "The liability cap is EUR 250,000 ... The price per unit is EUR 18.40.",
    ):
        assert _only(documents, f'"{quote}" [contract.pdf p.3]').status == "not_found"


def test_part_of_a_number_is_not_found(documents: DocumentsText) -> None:
    answer = '"50,000 for all claims together" [contract.pdf p.3]'
    assert _only(documents, answer).status == "not_found"
    answer = '"The liability cap is EUR 260,000 for all claims together." [contract.pdf p.3]'
    assert _only(documents, answer).status == "not_found"


@pytest.mark.parametrize(
    "marker",
    [
        "[contract.pdf p.1, p.3]",
        "[contract.pdf p.2-3]",
        "[mails/offer.eml p.1; contract.pdf p.3]",
        "[mails/offer.eml p.1] [contract.pdf p.3]",
        "[contract p.3]",
        "(see contract.pdf, S. 3)",
        "[p.3]",
    ],
)
def test_a_quote_on_any_of_the_pages_named_is_well_placed(
    documents: DocumentsText, marker: str
) -> None:
    citation = _only(documents, f'"The liability cap is EUR 250,000" {marker}')
    assert (citation.status, citation.file, citation.page) == ("verified", "contract.pdf", 3)
    assert (citation.cited_file, citation.cited_page) == ("contract.pdf", 3)
    assert not citation.is_misplaced


def test_quotes_before_one_marker_are_checked_one_by_one(documents: DocumentsText) -> None:
    answer = (
        '"This agreement takes effect" and "on 1 March 2027." [contract.pdf p.1] '
        'It "takes effect on the moon" and "EUR 250,000 for all claims together" [contract.pdf p.1]'
    )
    checked = CitationChecker(documents).check(answer)
    found = [(one.status, one.page, one.is_misplaced) for one in checked.citations]
    assert found == [
        ("verified", 1, False),
        ("verified", 1, False),
        ("not_found", 1, False),
        ("verified", 3, True),
    ]
    assert [one.cited_page for one in checked.citations] == [1, 1, 1, 1]


def test_a_name_like_a_marker_is_still_a_name() -> None:
    documents = lay_out([_document("a p.2; b.pdf", "The fee is due."), _document("b.pdf", "No.")])
    citation = _only(documents, '"The fee is due." [a p.2; b.pdf p.1]')
    assert (citation.cited_file, citation.is_misplaced) == ("a p.2; b.pdf", False)


def test_hostile_answers_end_in_bounded_time(documents: DocumentsText) -> None:
    checker = CitationChecker(documents)
    for unit in ('"', "“", "'", "„“", '"a ', "[", "> ", "(x p. ", "(", '> "', "[p.1]", "“a” "):
        checker.check(unit * 20_000)
    checker.check('"The moon is cheese" [contract.pdf p.1] ' * 2000)

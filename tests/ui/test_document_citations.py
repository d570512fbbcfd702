"""Chips behind quotes: they stand where they should and leave the answer's Markdown as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtGui import QTextCursor

from m1desk.documents import CheckedAnswer, Citation, UnquotedClaim
from m1desk.ui.tokens import LIGHT, Metrics
from m1desk.ui.widgets.citation_chips import chip_number, show_chips
from m1desk.ui.widgets.citation_marks import chip_details, chip_text, marked
from m1desk.ui.widgets.document_quotes import summary
from m1desk.ui.widgets.markdown_highlight import Highlighter
from m1desk.ui.widgets.markdown_style import MarkdownStyle
from m1desk.ui.widgets.markdown_view import MarkdownView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.documents import CitationStatus

BLANK = "\u00a0"
QUOTE = '"Either party may end it." [contract.pdf p.2]'


def citation(text: str, status: CitationStatus, said: str = QUOTE, **fields: object) -> Citation:
    start = text.index(said)
    values: dict[str, object] = {"file": "contract.pdf", "page": 2, **fields}
    score = {"verified": 1.0, "approximate": 0.87, "not_found": 0.0}[status]
    return Citation("Either party may end it.", start, start + len(said), status, score, **values)  # type: ignore[arg-type]


def claim(text: str, said: str) -> UnquotedClaim:
    start = text.index(said)
    return UnquotedClaim(start, start + len(said))


@pytest.fixture
def render(qtbot: QtBot) -> Iterator[Callable[[CheckedAnswer], MarkdownView]]:
    highlighters: list[Highlighter] = []

    def make(checked: CheckedAnswer) -> MarkdownView:
        highlighters.append(Highlighter())
        view = MarkdownView(MarkdownStyle(LIGHT, Metrics()), highlighters[-1])
        qtbot.addWidget(view)
        answer = marked(checked)
        view.set_text(answer.markdown)
        show_chips(view.document(), answer, checked.citations, LIGHT)
        return view

    yield make
    for highlighter in highlighters:
        highlighter.stop()


def shown(view: MarkdownView) -> str:
    return view.document().toRawText().replace("\u2029", "\n")


def addresses(view: MarkdownView) -> list[str]:
    found, cursor = [], QTextCursor(view.document())
    while cursor.movePosition(QTextCursor.MoveOperation.NextCharacter):
        href = cursor.charFormat().anchorHref()
        if href and (not found or found[-1] != href):
            found.append(href)
    return found


def test_each_quote_is_followed_by_a_chip_that_says_its_status(
    render: Callable[[CheckedAnswer], MarkdownView],
) -> None:
    said = [QUOTE.replace("p.2", f"p.{page}") for page in (1, 2, 3)]
    text = f"One {said[0]}. Two {said[1]}. Three {said[2]}."
    citations = (
        citation(text, "verified", said[0]),
        citation(text, "approximate", said[1]),
        citation(text, "not_found", said[2]),
    )
    view = render(CheckedAnswer(text, citations, ()))
    assert f"p.1]\u202f{BLANK}1{BLANK}. Two" in shown(view)
    assert f"{BLANK}2{BLANK}·{BLANK}87%{BLANK}" in shown(view)
    assert f"{BLANK}3{BLANK}·{BLANK}not{BLANK}found{BLANK}" in shown(view)
    assert addresses(view) == [f"m1desk-citation:{number}" for number in (1, 2, 3)]


def test_a_misplaced_quote_says_where_it_stands() -> None:
    text = f"It says {QUOTE}."
    misplaced = citation(text, "verified", page=5, cited_file="contract.pdf", cited_page=2)
    assert chip_text(1, misplaced) == "1 · on p.5"
    assert chip_details(misplaced) == (
        "Stands in contract.pdf, p.5, word for word, not in contract.pdf, p.2 as the answer says."
    )
    assert "1 on another page" in summary(CheckedAnswer(text, (misplaced,), ()))


def test_marks_leave_lists_emphasis_tables_and_code_what_they_are(
    render: Callable[[CheckedAnswer], MarkdownView],
) -> None:
    text = (
        f"**Bold: {QUOTE}**\n\n- An item without any quote.\n- [x] Another one of these.\n\n"
        "_All of it slanted, nothing quoted._\n\n"
        "| a | b |\n|---|---|\n| one two three | four five |\n\n"
        "```python\nprint('some three words')\n```\n\nThe last three words.\n"
    )
    claims = (
        claim(text, "- An item without any quote."),
        claim(text, "- [x] Another one of these."),
        claim(text, "_All of it slanted, nothing quoted._"),
        claim(text, "| a | b |\n|---|---|\n| one two three | four five |"),
        claim(text, "```python\nprint('some three words')\n```"),
        claim(text, "The last three words."),
    )
    checked = CheckedAnswer(text, (citation(text, "verified"),), claims)
    view = render(checked)
    plain = render(CheckedAnswer(text, (), ()))
    bare = shown(view).replace(f"\u202f{BLANK}1{BLANK}", "").replace("\u2060", "")
    assert bare == shown(plain)
    assert view.code_blocks() == plain.code_blocks()


def test_statements_without_a_quote_have_a_hint(
    render: Callable[[CheckedAnswer], MarkdownView],
) -> None:
    text = f"It says {QUOTE}. Nobody knows more."
    view = render(
        CheckedAnswer(text, (citation(text, "verified"),), (claim(text, "Nobody knows more."),))
    )
    cursor = view.document().find("knows")
    assert "was not checked" in cursor.charFormat().toolTip()
    before = view.document().find("says")
    assert before.charFormat().toolTip() == ""


def test_chips_survive_a_change_of_the_palette(
    render: Callable[[CheckedAnswer], MarkdownView],
) -> None:
    text = f"It says {QUOTE}. " + "More words. " * 5
    checked = CheckedAnswer(text, (citation(text, "verified"),), ())
    view = render(checked)
    answer = marked(checked)
    view.completed.connect(lambda: show_chips(view.document(), answer, checked.citations, LIGHT))
    view.set_look(MarkdownStyle(LIGHT, Metrics().with_body(20)))
    assert addresses(view) == ["m1desk-citation:1"]


def test_what_a_model_writes_is_never_a_chip(
    render: Callable[[CheckedAnswer], MarkdownView],
) -> None:
    text = f"⸤1⸥ [here](m1desk-citation:1) ⸤2⸥ {QUOTE}."
    view = render(CheckedAnswer(text, (citation(text, "verified"),), ()))
    assert "⸤1⸥" in shown(view)
    assert addresses(view) == ["m1desk-citation:1"]  # the one behind the quote
    assert shown(view).endswith(f"p.2]\u202f{BLANK}1{BLANK}.")


def test_without_free_brackets_the_answer_stays_as_it_is() -> None:
    text = f"⸤⸢⦗⧘⧼⟬⦑⦓ {QUOTE}."
    answer = marked(CheckedAnswer(text, (citation(text, "verified"),), ()))
    assert answer.markdown == text


def test_addresses_of_chips_and_links_are_told_apart() -> None:
    assert chip_number("m1desk-citation:12") == 12
    assert chip_number("https://example.org/m1desk-citation:12") is None
    assert chip_number("m1desk-citation:x") is None

"""The viewer: positions stay true whatever the text, pages are found, words too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m1desk.documents import Document, Page, lay_out
from m1desk.ui.viewmodels.document_search import TextSearchViewModel, places
from m1desk.ui.widgets.viewer import Viewer
from m1desk.ui.widgets.viewer_slices import LONGEST_LINE, SLICE, TextSlices

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from m1desk.documents import DocumentsText
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

WAIT = 20_000


def units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def check_positions(text: str) -> None:
    """All that is shown is the text with line breaks put in, and every position finds its place."""
    slices = TextSlices(text)
    parts = []
    while not slices.is_complete:
        parts.append(slices.take())
    whole = "".join(parts)
    encoded = units(whole)
    assert all(len(line) <= LONGEST_LINE for line in whole.split("\n"))
    step = max(1, len(text) // 200)
    for position in [*range(0, len(text), step), *range(max(0, len(text) - 3), len(text))]:
        shown = slices.to_shown(position)
        assert encoded[2 * shown :].startswith(units(text[position]))
        assert slices.to_text(shown) == position


@given(
    st.text(st.sampled_from("ab \n😀é"), max_size=400),
    st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_positions_are_true_for_any_text(text: str, times: int) -> None:
    check_positions(text * times)


@pytest.mark.parametrize(
    "text",
    [
        "x" * (3 * SLICE + 17),
        "ä😀 " * SLICE,
        ("a line of some length\n" * SLICE)[: 2 * SLICE],
        "word " * SLICE + "\n" + "y" * 5000,
    ],
)
def test_positions_are_true_across_slices(text: str) -> None:
    check_positions(text)


def make_documents(pages: int = 30) -> DocumentsText:
    filling = "Nothing of note stands here, and it goes on for a while. " * 12
    documents = [
        Document(
            name, Path("/docs") / name, "pdf",
            tuple(Page(n, "page", f"{filling}Page {n} of {name} ends.") for n in numbers),
            "ab" * 32, 1, 1.0,
        )
        for name, numbers in (("a.pdf", range(1, pages + 1)), ("b.pdf", range(3, pages, 5)))
    ]  # fmt: skip
    return lay_out(documents)


@pytest.fixture
def viewer(theme: Theme, bridge: Bridge, qtbot: QtBot) -> Viewer:
    made = Viewer(theme, TextSearchViewModel(bridge))
    qtbot.addWidget(made)
    made.resize(420, 600)
    made.show()
    return made


def show(viewer: Viewer, documents: DocumentsText, qtbot: QtBot, tail: str = "") -> None:
    viewer.show_documents(documents, tail)
    qtbot.waitUntil(lambda: viewer.text.is_loaded, timeout=WAIT)


def test_it_says_which_page_is_in_sight_and_goes_to_others(viewer: Viewer, qtbot: QtBot) -> None:
    show(viewer, make_documents(), qtbot)
    assert viewer.place == "a.pdf · p. 1"
    assert viewer.show_page("b.pdf", 8)
    qtbot.waitUntil(lambda: viewer.place == "b.pdf · p. 8", timeout=WAIT)
    assert viewer.show_page("b.pdf", 9)  # it has no text: the next one that has
    qtbot.waitUntil(lambda: viewer.place == "b.pdf · p. 13", timeout=WAIT)
    viewer._page.setValue(18)
    qtbot.waitUntil(lambda: viewer.place == "b.pdf · p. 18", timeout=WAIT)
    assert not viewer.show_page("c.pdf", 1)


def test_a_passage_is_marked_and_in_sight_even_before_it_is_there(
    viewer: Viewer, qtbot: QtBot
) -> None:
    documents = make_documents(pages=200)
    sentence = "Page 170 of a.pdf ends."
    start = documents.text.index(sentence)
    assert start > SLICE
    viewer.show_documents(documents)
    assert not viewer.text.is_loaded
    viewer.show_passage(start, start + len(sentence))
    qtbot.waitUntil(lambda: bool(viewer.text.extraSelections()), timeout=WAIT)
    (selection,) = viewer.text.extraSelections()
    assert selection.cursor.selectedText() == sentence
    assert viewer.text.first_in_sight() < start < viewer.text.last_in_sight()
    qtbot.waitUntil(lambda: viewer.place.startswith("a.pdf · p. 1"), timeout=WAIT)


def test_words_are_found_stepped_through_and_counted(viewer: Viewer, qtbot: QtBot) -> None:
    documents = make_documents()
    show(viewer, documents, qtbot)
    viewer.field.setText("ends. [a.pdf P.4]")  # across a line break, small and large alike
    qtbot.waitUntil(lambda: viewer.count_text == "1 of 1", timeout=WAIT)
    viewer.field.setText("of b.pdf ends")
    qtbot.waitUntil(lambda: viewer.count_text == "1 of 6", timeout=WAIT)
    viewer.field.stepped.emit(-1)
    assert viewer.count_text == "6 of 6"
    qtbot.waitUntil(lambda: viewer.place.startswith("b.pdf"), timeout=WAIT)
    viewer.field.stepped.emit(+1)
    assert viewer.count_text == "1 of 6"
    viewer.field.setText("nowhere at all")
    qtbot.waitUntil(lambda: viewer.count_text == "Not found", timeout=WAIT)


def test_what_is_sent_with_the_documents_stands_below_them(viewer: Viewer, qtbot: QtBot) -> None:
    documents = make_documents()
    show(viewer, documents, qtbot, tail="\n\nAnswer.\n\nWhy?")
    viewer.show_tail()
    qtbot.waitUntil(lambda: bool(viewer.text.extraSelections()), timeout=WAIT)
    assert viewer.shows_sent_text
    assert viewer.text.toPlainText().endswith("Answer.\n\nWhy?")
    with qtbot.waitSignal(viewer.documents_wished):
        viewer._back.click()


async def test_hits_are_found_once_at_the_seams_of_what_is_searched_at_once() -> None:
    text = "needle in hay " * 40_000
    found = await places(text, "needle")
    assert found == tuple(range(0, len(text), len("needle in hay ")))
    assert await places("a  b\nA B ab", "a b") == (0, 5)

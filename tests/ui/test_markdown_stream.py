"""Markdown that is still being written is shown as if it had come whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from m1desk.ui.widgets.markdown_blocks import (
    Block,
    Code,
    Heading,
    Paragraph,
    Place,
    Rule,
    Span,
    Table,
    blocks_of,
    make_parser,
)
from m1desk.ui.widgets.markdown_stream import (
    AppendCode,
    CloseCode,
    Freeze,
    MarkdownStream,
    OpenCode,
    Step,
    Tail,
)


class Picture:
    """What the steps add up to."""

    def __init__(self) -> None:
        self.stream = MarkdownStream()
        self.frozen: list[Block] = []
        self.tail: tuple[Block, ...] = ()
        self.code: Code | None = None
        self.steps: list[Step] = []

    def feed(self, text: str) -> Picture:
        self._take(self.stream.feed(text))
        return self

    def finish(self) -> list[Block]:
        self._take(self.stream.finish())
        assert self.tail == ()
        assert self.code is None
        return self.frozen

    def _take(self, steps: list[Step]) -> None:
        self.steps += steps
        for step in steps:
            if isinstance(step, Freeze):
                self.frozen += step.blocks
                self.tail = ()
            elif isinstance(step, Tail):
                self.tail = step.blocks
            elif isinstance(step, OpenCode):
                self.tail = ()
                self.code = Code("", step.language)
            elif isinstance(step, AppendCode):
                assert self.code is not None
                self.code = Code(self.code.text + step.text, self.code.language)
            elif isinstance(step, CloseCode):
                assert self.code is not None
                self.frozen.append(self.code)
                self.code = None


def whole(text: str) -> list[Block]:
    return blocks_of(make_parser().parse(text.replace("\r\n", "\n")))


def in_pieces(text: str, sizes: list[int]) -> list[Block]:
    picture = Picture()
    start = 0
    for size in sizes:
        picture.feed(text[start : start + size])
        start += size
    return picture.feed(text[start:]).finish()


ATOMS = (
    "- a", "1. b", "2. c", "3) d", "\n", "\n\n", "```py\n", "```", "x = 1\n", "~~~", "para", "**bo",
    "ld**", "|a|b|\n|-|-|\n", "|1|2|", "---", "===", "> q", "    ind", "  - nest", "#", " head",
    "`c`", "\r\n", "<b>", "* s", " ", "10. z", "\n```\n",
)  # fmt: skip


@given(st.lists(st.sampled_from(ATOMS), max_size=14), st.lists(st.integers(1, 5), max_size=40))
def test_how_a_text_is_cut_makes_no_difference(atoms: list[str], sizes: list[int]) -> None:
    text = "".join(atoms)
    assert in_pieces(text, sizes) == whole(text)


@given(st.text(alphabet="ab \n`*_#->|1.", max_size=60), st.lists(st.integers(1, 4), max_size=60))
def test_whatever_a_model_writes_nothing_breaks(text: str, sizes: list[int]) -> None:
    assert in_pieces(text, sizes) == whole(text)


def test_what_is_closed_is_given_once_and_only_the_end_again() -> None:
    picture = Picture().feed("One.\n\nTwo.\n\nThr")
    assert [block.spans[0].text for block in picture.frozen] == ["One.", "Two."]
    assert picture.tail == (Paragraph((Span("Thr"),)),)
    picture.feed("ee")
    assert len(picture.frozen) == 2
    assert picture.tail == (Paragraph((Span("Three"),)),)


def test_code_is_passed_on_as_it_comes_before_its_fence_closes() -> None:
    picture = Picture().feed("```python\nfor x in y:\n    pri")
    assert picture.code == Code("for x in y:\n    pri", "python")
    picture.feed("nt(x)\n``")
    assert picture.code == Code("for x in y:\n    print(x)", "python")
    picture.feed("`\n\nDone.")
    assert picture.frozen == [Code("for x in y:\n    print(x)", "python")]
    assert picture.tail == (Paragraph((Span("Done."),)),)


def test_a_long_list_freezes_its_items_and_keeps_counting() -> None:
    picture = Picture()
    for number in range(1, 40):
        picture.feed(f"1. item {number}\n")
    assert len(picture.frozen) >= 37
    assert [block.place.marker for block in picture.finish()] == [f"{n}." for n in range(1, 40)]


def test_text_does_not_jump_while_a_line_is_undecided() -> None:
    picture = Picture().feed("A sentence\n-")
    assert picture.tail == (Paragraph((Span("A sentence"),)),)
    picture.feed(" a point")
    assert not any(isinstance(block, Heading) for block in (*picture.frozen, *picture.tail))


def test_html_pictures_and_strange_links_stay_text() -> None:
    blocks = whole(
        "<script>alert(1)</script> ![pic](https://evil.example/x.png) [a](javascript:alert(1))"
        " [b](file:///etc/passwd) [c](https://example.org) [d](ftp://example.org) [e](HTTPS://X.y)"
    )
    assert isinstance(blocks[0], Paragraph)
    text = "".join(span.text for span in blocks[0].spans)
    assert "<script>alert(1)</script>" in text
    links = {span.text: span.href for span in blocks[0].spans if span.href}
    assert set(links) == {"pic", "c", "e"}
    assert all(link.lower().startswith("https://") for link in links.values())


def test_tables_quotes_rules_and_nested_lists_find_their_place() -> None:
    blocks = whole("> q\n>\n> > deep\n\n- a\n  1. b\n\n---\n\n|x|y|\n|:-:|-:|\n|1|*2*|\n")
    quote, deep, outer, inner, rule, table = blocks
    assert (quote.place.quote, deep.place.quote) == (1, 2)
    assert outer.place == Place(1, 0, "•", in_item=True)
    assert inner.place == Place(2, 0, "1.", in_item=True)
    assert isinstance(rule, Rule)
    assert isinstance(table, Table)
    assert table.aligns == ("center", "right")
    assert table.rows[1][1] == (Span("2", italic=True),)

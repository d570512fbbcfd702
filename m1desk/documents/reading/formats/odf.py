"""OpenDocument text, spreadsheets and presentations, from their content.xml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from m1desk.documents.reading import faults
from m1desk.documents.reading.cleaning import clean_prose
from m1desk.documents.reading.formats.package import attribute, local, open_package, parse
from m1desk.documents.reading.formats.passages import HARD_BREAK, SOFT_BREAK, sections, send_pages

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_PARAGRAPHS: Final = frozenset({"p", "h"})
_UNSEEN: Final = frozenset({"tracked-changes", "annotation", "forms", "sequence-decls"})
_PART_CHARACTERS: Final = 12_000
_MOST_REPEATS: Final = 1_000
"""Cells and spaces may state that they repeat; a million times only in a trap."""


def read(source: Source, out: Sink) -> None:
    """Read a text in pages or sections, a spreadsheet by sheets, a presentation by slides."""
    with open_package(source.data) as package:
        root = parse(package, "content.xml")
    breaks = _page_break_styles(root)
    body = next((item for item in root if local(item.tag) == "body"), None)
    if body is None or not len(body):
        raise faults.damaged("It has no body.")
    content = body[0]
    match local(content.tag):
        case "spreadsheet":
            _send_parts(content, "table", out)
        case "presentation" | "drawing":
            _send_parts(content, "page", out)
        case _:
            send_pages(list(_blocks(content, breaks)), out)


def _send_parts(content: ET.Element, tag: str, out: Sink) -> None:
    """Send the sheets or slides; a long one in several pages."""
    number = 0
    for part in content:
        if local(part.tag) != tag:
            continue
        name = attribute(part, "name")
        blocks = _rows(part) if tag == "table" else _blocks(part, {})
        texts = [passage.text for passage in sections(blocks, _PART_CHARACTERS)]
        for text in texts or [""]:
            number += 1
            if tag == "table":  # its blocks are rows
                out.page(number, "sheet", text.replace("\n\n", "\n"), name)
            else:
                out.page(number, "slide", text, name)
    out.total(number)


def _page_break_styles(root: ET.Element) -> dict[str, tuple[bool, bool]]:
    """Which styles begin a new page before, and after, their paragraph."""
    styles = {}
    for style in root.iter():
        if local(style.tag) == "style":
            before = after = False
            for properties in style:
                before |= attribute(properties, "break-before") == "page"
                after |= attribute(properties, "break-after") == "page"
            before |= bool(attribute(style, "master-page-name"))
            styles[attribute(style, "name")] = (before, after)
    return styles


def _blocks(element: ET.Element, breaks: dict[str, tuple[bool, bool]]) -> Iterator[str]:
    """Paragraphs and tables in their order, with marks where pages end."""
    for child in element:
        tag = local(child.tag)
        if tag in _PARAGRAPHS:
            before, after = breaks.get(attribute(child, "style-name"), (False, False))
            yield HARD_BREAK * before + _text(child).strip() + HARD_BREAK * after
        elif tag == "table":
            yield "\n".join(_rows(child))
        elif tag == "soft-page-break":
            yield SOFT_BREAK
        elif tag not in _UNSEEN:
            yield from _blocks(child, breaks)


def _rows(table: ET.Element) -> Iterator[str]:
    """The rows with something in them; its cells parted by bars."""
    for row in table.iter():
        if local(row.tag) == "table-row":
            text = " | ".join(_cells(row)).rstrip(" |")
            if text:
                yield text


def _cells(row: ET.Element) -> Iterator[str]:
    for cell in row:
        if local(cell.tag) in {"table-cell", "covered-table-cell"}:
            text = " ".join(" ".join(_paragraphs(cell)).split())
            yield from [text] * _repeats(cell, "number-columns-repeated")


def _paragraphs(element: ET.Element) -> Iterator[str]:
    """The paragraphs of a cell, in its lists and sections too; a table in it has rows itself."""
    for child in element:
        tag = local(child.tag)
        if tag in _PARAGRAPHS:
            yield _text(child)
        elif tag != "table" and tag not in _UNSEEN:
            yield from _paragraphs(child)


def _text(element: ET.Element) -> str:
    return clean_prose_keeping_breaks("".join(_pieces(element)))


def _pieces(element: ET.Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        tag = local(child.tag)
        if tag == "s":
            yield " " * _repeats(child, "c")
        elif tag == "tab":
            yield "\t"
        elif tag == "line-break":
            yield "\n"
        elif tag == "soft-page-break":
            yield SOFT_BREAK
        elif tag == "note":
            yield f" ({_note(child)}) "
        elif tag not in _UNSEEN:
            yield from _pieces(child)
        yield child.tail or ""


def _note(note: ET.Element) -> str:
    bodies = (item for item in note if local(item.tag) == "note-body")
    return " ".join(" ".join("".join(_pieces(body)).split()) for body in bodies)


def _repeats(element: ET.Element, name: str) -> int:
    stated = attribute(element, name)
    return min(int(stated), _MOST_REPEATS) if stated.isdecimal() else 1


def clean_prose_keeping_breaks(text: str) -> str:
    """Clean text, with the marks of page ends in it."""
    return SOFT_BREAK.join(clean_prose(part) for part in text.split(SOFT_BREAK))

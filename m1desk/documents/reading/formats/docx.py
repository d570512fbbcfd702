"""Word documents: paragraphs and tables, in pages where the file has page breaks."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from m1desk.documents.reading import faults
from m1desk.documents.reading.cleaning import clean_prose
from m1desk.documents.reading.formats.package import (
    attribute,
    events,
    local,
    numbered_parts,
    open_package,
    parse,
)
from m1desk.documents.reading.formats.passages import (
    HARD_BREAK,
    SECTION_CHARACTERS,
    SOFT_BREAK,
    sections,
    send_pages,
)

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_UNSEEN: Final = frozenset({"del", "moveFrom", "Fallback", "rPr", "pPr", "instrText", "delText"})
"""Deleted text, and second forms of the same for older programs."""
_APPENDED: Final = (
    (r"word/footnotes(\d*)\.xml", "Footnotes"),
    (r"word/endnotes(\d*)\.xml", "Endnotes"),
    (r"word/comments(\d*)\.xml", "Comments"),
    (r"word/header(\d*)\.xml", "Headers"),
    (r"word/footer(\d*)\.xml", "Footers"),
)
_TICK_EVERY: Final = 2_000


def read(source: Source, out: Sink) -> None:
    """Read the text, then notes, comments, headers and footers, as sections after it."""
    with open_package(source.data) as package:
        main = _main_part(package)
        number = send_pages(list(_blocks(package, main, out)), out)
        for pattern, label in _APPENDED:
            texts = dict.fromkeys(  # each once: headers repeat from section to section
                text
                for part in numbered_parts(package, pattern)
                if (text := _plain(parse(package, part)))
            )
            for passage in sections(texts, SECTION_CHARACTERS):
                number += 1
                out.page(number, "section", passage.text, label)
        out.total(number)


def _main_part(package: zipfile.ZipFile) -> str:
    for name in package.namelist():
        if name.startswith("word/document") and name.endswith(".xml"):
            return name
    raise faults.damaged("It has no text part (word/document.xml).")


def _blocks(package: zipfile.ZipFile, part: str, out: Sink) -> Iterator[str]:
    """Paragraphs and tables in their order, with marks where pages end."""
    tables = fallbacks = done = 0
    for event, element in events(package, part):
        tag = local(element.tag)
        if event == "start":
            tables += tag == "tbl"
            fallbacks += tag == "Fallback"
            continue
        tables -= tag == "tbl"
        fallbacks -= tag == "Fallback"
        if tables or tag not in {"p", "tbl"}:
            continue
        if not fallbacks:
            yield _table(element) if tag == "tbl" else _paragraph(element)
        element.clear()
        done += 1
        if done % _TICK_EVERY == 0:
            out.tick()


def _paragraph(element: ET.Element) -> str:
    before = HARD_BREAK if _begins_page(element) else ""
    after = HARD_BREAK if _ends_section_page(element) else ""
    return before + "".join(_pieces(element)).strip(" \t\n") + after


def _pieces(element: ET.Element) -> Iterator[str]:
    for child in element:
        tag = local(child.tag)
        if tag in _UNSEEN:
            continue
        if tag == "t":
            yield child.text or ""
        elif tag in {"tab", "ptab"}:
            yield "\t"
        elif tag in {"br", "cr"}:
            yield HARD_BREAK if attribute(child, "type") == "page" else "\n"
        elif tag == "lastRenderedPageBreak":
            yield SOFT_BREAK
        elif tag == "noBreakHyphen":
            yield "-"
        elif tag == "p":  # inside a text box or a table's cell
            yield "\n" + "".join(_pieces(child))
        else:
            yield from _pieces(child)


def _begins_page(paragraph: ET.Element) -> bool:
    return any(
        local(item.tag) == "pageBreakBefore" and attribute(item, "val") not in {"0", "false", "off"}
        for item in _properties(paragraph)
    )


def _ends_section_page(paragraph: ET.Element) -> bool:
    """Whether a section ends here, and the next one begins on a new page."""
    for item in _properties(paragraph):
        if local(item.tag) == "sectPr":
            kinds = [attribute(kind, "val") for kind in item if local(kind.tag) == "type"]
            return not kinds or kinds[0] in {"nextPage", "evenPage", "oddPage"}
    return False


def _properties(paragraph: ET.Element) -> Iterator[ET.Element]:
    for child in paragraph:
        if local(child.tag) == "pPr":
            yield from child


def _table(element: ET.Element) -> str:
    """A row on each line, its cells parted by bars."""
    rows = []
    for row in _inside(element, "tr"):
        cells = (" ".join("".join(_pieces(cell)).split()) for cell in _inside(row, "tc"))
        rows.append(" | ".join(cells).rstrip(" |"))
    return "\n".join(filter(None, rows))


def _inside(element: ET.Element, wanted: str) -> Iterator[ET.Element]:
    """The nearest elements below with that tag, through content controls and the like."""
    for child in element:
        if local(child.tag) == wanted:
            yield child
        elif local(child.tag) not in {"tbl", *_UNSEEN}:
            yield from _inside(child, wanted)


def _plain(root: ET.Element) -> str:
    paragraphs = (_paragraph(item) for item in root.iter() if local(item.tag) == "p")
    return clean_prose("\n".join(paragraphs))

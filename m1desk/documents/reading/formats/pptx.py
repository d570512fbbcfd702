"""Presentations: a page for each slide, in the order they are shown, with the speaker's notes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from m1desk.documents.reading import faults
from m1desk.documents.reading.cleaning import clean_prose, one_line
from m1desk.documents.reading.formats.package import (
    attribute,
    local,
    numbered_parts,
    open_package,
    parse,
    relationship_targets,
)

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_MAIN: Final = "ppt/presentation.xml"
_MECHANICAL: Final = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
"""Placeholders for slide numbers, dates, footers and the slide's picture."""


def read(source: Source, out: Sink) -> None:
    """Read the slides; hidden ones too, which is noted."""
    with open_package(source.data) as package:
        slides = _slides(package)
        out.total(len(slides))
        hidden = 0
        for number, part in enumerate(slides, 1):
            try:
                root = parse(package, part)
            except (KeyError, ET.ParseError) as error:
                out.missed(number, "failed", str(error))
                continue
            hidden += root.get("show") in {"0", "false"}
            text = "\n\n".join(filter(None, _shapes(root)))
            notes = _notes(package, part)
            whole = clean_prose(text + (f"\n\nNotes: {notes}" if notes else ""))
            out.page(number, "slide", whole, _title(root))
        if hidden:
            out.note(f"Hidden slides were read too ({hidden}).")


def _slides(package: zipfile.ZipFile) -> list[str]:
    """The slides' parts in the order they are shown."""
    targets = relationship_targets(package, _MAIN)
    try:
        root = parse(package, _MAIN)
    except KeyError:
        raise faults.damaged("It has no list of slides (ppt/presentation.xml).") from None
    shown = [
        targets.get(value, "")
        for item in root.iter()
        if local(item.tag) == "sldId"
        for key, value in item.attrib.items()
        if key.endswith("}id")
    ]
    return shown or numbered_parts(package, r"ppt/slides/slide(\d+)\.xml")


def _notes(package: zipfile.ZipFile, slide: str) -> str:
    for target in relationship_targets(package, slide).values():
        if "/notesSlides/" in f"/{target}":
            try:
                return clean_prose("\n".join(filter(None, _shapes(parse(package, target)))))
            except (KeyError, ET.ParseError):
                return ""
    return ""


def _shapes(element: ET.Element) -> Iterator[str]:
    """The text of every shape and table, in the slide's own order."""
    for child in element:
        tag = local(child.tag)
        if tag == "Fallback" or (tag == "sp" and _placeholder(child) in _MECHANICAL):
            continue
        if tag == "txBody":
            yield "\n".join(_paragraphs(child))
        elif tag == "tbl":
            rows = (_row(row) for row in child if local(row.tag) == "tr")
            yield "\n".join(filter(None, rows))
        else:
            yield from _shapes(child)


def _paragraphs(body: ET.Element) -> Iterator[str]:
    for paragraph in body.iter():
        if local(paragraph.tag) == "p":
            words = (
                (item.text or "") if local(item.tag) == "t" else "\n"
                for item in paragraph.iter()
                if local(item.tag) in {"t", "br"}
            )
            yield "".join(words)


def _row(row: ET.Element) -> str:
    cells = (cell for cell in row if local(cell.tag) == "tc")
    texts = (" ".join(" ".join(_paragraphs(cell)).split()) for cell in cells)
    return " | ".join(texts).rstrip(" |")


def _placeholder(shape: ET.Element) -> str:
    for item in shape.iter():
        if local(item.tag) == "ph":
            return attribute(item, "type")
    return ""


def _title(root: ET.Element) -> str:
    for shape in root.iter():
        if local(shape.tag) == "sp" and _placeholder(shape) in {"title", "ctrTitle"}:
            return one_line(" ".join(_shapes(shape)))
    return ""

"""E-books: the chapters in their order of reading; long ones in several parts."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from m1desk.documents.reading import faults
from m1desk.documents.reading.formats.html import blocks_of
from m1desk.documents.reading.formats.package import local, open_package, parse, resolve
from m1desk.documents.reading.formats.passages import sections

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_CONTAINER: Final = "META-INF/container.xml"
_LOCKS: Final = "META-INF/rights.xml"
_PART_CHARACTERS: Final = 6_000


def read(source: Source, out: Sink) -> None:
    """Read an e-book; raises ReadingError when it is locked or has no list of chapters."""
    with open_package(source.data) as package:
        if _LOCKS in package.namelist():
            raise faults.encrypted("The e-book (by its shop's copy protection)")
        number = 0
        for part in _chapters(package):
            number = _read_chapter(package, part, number, out)
        out.total(number)


def _read_chapter(package: zipfile.ZipFile, part: str, number: int, out: Sink) -> int:
    try:
        data = package.read(part)
    except KeyError:
        out.missed(number + 1, "failed", f"{part} is not in the book")
        return number + 1
    page, _ = blocks_of(data)
    passages = list(sections(page.blocks, _PART_CHARACTERS))
    if not passages:
        out.page(number + 1, "section", "", page.title)
        return number + 1
    for index, passage in enumerate(passages, 1):
        number += 1
        label = page.title if len(passages) == 1 else f"{page.title} (part {index})".strip()
        out.page(number, "section", passage.text, label)
    return number


def _chapters(package: zipfile.ZipFile) -> list[str]:
    """The parts in the order of reading."""
    root = parse(package, _CONTAINER)
    main = next((i.get("full-path", "") for i in root.iter() if local(i.tag) == "rootfile"), "")
    if main not in package.namelist():
        raise faults.damaged("It has no list of chapters.")
    book = parse(package, main)
    folder = main.rpartition("/")[0]
    items = {i.get("id", ""): i.get("href", "") for i in book.iter() if local(i.tag) == "item"}
    return [
        resolve(folder, unquote(items.get(i.get("idref", ""), "")))
        for i in book.iter()
        if local(i.tag) == "itemref"
    ]

"""Office files and e-books are zip files of XML parts: opened with care, nothing outside loaded."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from xml.etree import ElementTree as ET

from m1desk.documents.reading import faults

_MOST_UNPACKED: Final = 1 << 30
_RATIO: Final = 200
_RATIO_FROM: Final = 64 << 20
_ENCRYPTED: Final = 0x1


@contextmanager
def open_package(data: bytes) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading its parts, and put what goes wrong there into words.

    zipfile never gives more bytes of a part than the directory states, so the sizes stated there
    are enough to know a bomb.

    Raises:
        ReadingError: it is a bomb, locked, or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            _check(package, len(data))
            yield package
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
        raise faults.damaged(str(error)) from error
    except ET.ParseError as error:
        raise faults.damaged(f"A part of it is not XML: {error}.") from error


def _check(package: zipfile.ZipFile, packed: int) -> None:
    entries = package.infolist()
    total = sum(entry.file_size for entry in entries)
    if total > _MOST_UNPACKED or (total > _RATIO_FROM and total > _RATIO * packed):
        raise faults.bomb(f"{packed:,} bytes would become {total:,}.")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise faults.encrypted()


def parse(package: zipfile.ZipFile, part: str) -> ET.Element:
    """A small part as a tree; raises KeyError when it is not there."""
    with package.open(part) as file:
        return ET.parse(file).getroot()  # noqa: S314 - expat loads nothing and bounds entities


def events(package: zipfile.ZipFile, part: str) -> Iterator[tuple[str, ET.Element]]:
    """The starts and ends of elements, for parts too large for a tree; the caller clears them."""
    with package.open(part) as file:
        yield from ET.iterparse(file, events=("start", "end"))  # noqa: S314 - as above


def numbered_parts(package: zipfile.ZipFile, pattern: str) -> list[str]:
    """Parts whose names match, in the order of the number in them."""
    found = [(re.fullmatch(pattern, name), name) for name in package.namelist()]
    return [name for _, name in sorted((int(m[1] or 0), name) for m, name in found if m)]


def local(tag: object) -> str:
    """A tag without its namespace: writers differ in the namespaces of the same format."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: ET.Element, name: str) -> str:
    """An attribute by its name without namespace; "" when it is not there."""
    return next((value for key, value in element.attrib.items() if local(key) == name), "")


def relationship_targets(package: zipfile.ZipFile, part: str) -> dict[str, str]:
    """What a part's relationships point at inside the package, by their ids."""
    folder, _, name = part.rpartition("/")
    try:
        root = parse(package, f"{folder}/_rels/{name}.rels".lstrip("/"))
    except KeyError:
        return {}
    return {
        item.get("Id", ""): resolve(folder, item.get("Target", ""))
        for item in root
        if item.get("TargetMode") != "External"
    }


def resolve(folder: str, target: str) -> str:
    """A part's name from a reference inside `folder`; it names a part, never a file."""
    parts = [] if target.startswith("/") else [part for part in folder.split("/") if part]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)

"""Workbooks: the cells of each sheet as they are shown, long sheets in runs of rows."""

from __future__ import annotations

import datetime as dt
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from openpyxl import load_workbook

from m1desk.documents.reading import faults
from m1desk.documents.reading.cleaning import clean_lines
from m1desk.documents.reading.formats.package import numbered_parts, open_package

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_ROWS: Final = 200
_CHARACTERS: Final = 12_000
_LONGEST_CELL: Final = 32_767  # what Excel allows
_TICK_EVERY: Final = 5_000
_BLOCK: Final = 1 << 20
_UNCOMPUTED: Final = re.compile(rb"</f>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")
_PERCENT: Final = re.compile(r"0(?:\.(0+))?%")


def read(source: Source, out: Sink) -> None:
    """Read every sheet, hidden ones too; formulas by the results stored with them."""
    with open_package(source.data) as package:
        if missing := _formulas_without_result(package):
            out.note(
                f"Formulas without a stored result are missing from the text ({missing}). "
                "Open the workbook in a spreadsheet program, and save it there."
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about features that carry no text
        try:
            book = load_workbook(
                io.BytesIO(source.data), read_only=True, data_only=True, keep_links=False
            )
        except MemoryError:
            raise
        except Exception as error:  # openpyxl raises nearly anything on hostile files
            raise faults.damaged(str(error)) from error
        try:
            _read_sheets(book, out)
        finally:
            book.close()


def _formulas_without_result(package: zipfile.ZipFile) -> int:
    """Programs that write workbooks without computing them store formulas alone."""
    count = 0
    for part in numbered_parts(package, r"xl/worksheets/sheet(\d+)\.xml"):
        with package.open(part) as file:
            before = b""
            while block := file.read(_BLOCK):
                data = before + block
                end = data.rfind(b"</c>") + 1 or len(data)  # the next block begins within a cell
                count += len(_UNCOMPUTED.findall(data[: end + 3]))
                before = data[end + 3 :][-_BLOCK:]
    return count


def _read_sheets(book: Any, out: Sink) -> None:  # noqa: ANN401 - openpyxl has no types
    number = hidden = 0
    for sheet in book.worksheets:
        hidden += sheet.sheet_state != "visible"
        is_blank = True
        for first, last, text in _runs(_rows(sheet, out)):
            number += 1
            rows = "" if first == 1 and last < _ROWS else f", rows {first}–{last}"
            out.page(number, "sheet", text, f"{sheet.title}{rows}")
            is_blank = False
        if is_blank:
            number += 1
            out.page(number, "sheet", "", sheet.title)
    out.total(number)
    if hidden:
        out.note(f"Hidden sheets were read too ({hidden}).")


def _rows(sheet: Any, out: Sink) -> Iterator[tuple[int, str]]:  # noqa: ANN401 - as above
    """Numbers and texts of the rows with something in them."""
    sheet.reset_dimensions()  # what the file says about its size may be wrong, or a trap
    for number, row in enumerate(sheet.iter_rows(), 1):
        if number % _TICK_EVERY == 0:
            out.tick()
        text = " | ".join(map(_shown, row)).rstrip(" |")
        if text:
            yield number, text


def _runs(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    """Rows gathered into pages: first and last row, and text."""
    kept: list[str] = []
    first = last = length = 0
    for number, text in rows:
        if kept and (number - first >= _ROWS or length + len(text) > _CHARACTERS):
            yield first, last, "\n".join(kept)
            kept, length = [], 0
        first = first if kept else number
        last = number
        kept.append(text)
        length += len(text) + 1
    if kept:
        yield first, last, "\n".join(kept)


def _shown(cell: Any) -> str:  # noqa: ANN401 - as above
    """A cell's value about as the person sees it: percentages, dates and whole numbers."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, int | float):
        if percent := _PERCENT.fullmatch(cell.number_format):
            return f"{value:.{len(percent[1] or '')}%}"
        return f"{value:.15g}"
    return " ".join(clean_lines(str(value)[:_LONGEST_CELL]).split())

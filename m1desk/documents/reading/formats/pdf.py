"""PDF, through PDFium: page by page, so that 10,000 pages take no more memory than one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw

from m1desk.documents.reading import faults
from m1desk.documents.reading.formats import pdf_lines
from m1desk.documents.reading.formats.ocr import Recogniser
from m1desk.documents.values import ReadingError

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

_DPI: Final = 300
_MOST_PIXELS: Final = 40_000_000
_DRAWN: Final = 50
"""Lines and curves on a page without text, from which on it counts as a drawing of text."""
_MEANINGLESS: Final = 0.3
"""The share of characters without a meaning, from which on a page's text is not to be trusted."""


def read(source: Source, out: Sink) -> None:
    """Read a PDF's pages; scanned ones are recognised if there is a way.

    Raises:
        ReadingError: it is locked, or so damaged that it has no pages.
    """
    try:
        document = pdfium.PdfDocument(source.data)
    except pdfium.PdfiumError as error:
        if pdfium_raw.FPDF_GetLastError() == pdfium_raw.FPDF_ERR_PASSWORD:
            raise faults.encrypted("The PDF") from error
        raise faults.damaged(str(error)) from error
    _Pages(document, out).read()


class _Pages:
    """The pages of one PDF on their way to the sink."""

    def __init__(self, document: pdfium.PdfDocument, out: Sink) -> None:
        self._document = document
        self._out = out
        self._recogniser = Recogniser.find(out.order)
        self._joiner = pdf_lines.Joiner()
        self._recognised = 0

    def read(self) -> None:
        count = len(self._document)
        if count == 0:
            raise faults.damaged("It has no pages.")
        self._out.total(count)
        for index in range(count):
            self._read_page(index)
        if self._recognised:
            self._out.note(
                f"{self._recognised} scanned pages were recognised by tesseract; expect errors."
            )
        self._note_what_is_left()

    def _read_page(self, index: int) -> None:
        try:
            page = self._document[index]
        except pdfium.PdfiumError as error:
            self._out.missed(index + 1, "failed", str(error))
            return
        try:
            self._read_text(page, index + 1)
        except pdfium.PdfiumError as error:
            self._out.missed(index + 1, "failed", str(error))
        finally:
            page.close()

    def _read_text(self, page: pdfium.PdfPage, number: int) -> None:
        text_page = page.get_textpage()
        try:
            text = self._joiner.text_of(text_page)
        finally:
            text_page.close()
        if text and _is_meaningful(text):
            self._out.page(number, "page", text)
        elif text or _has_pictures(page):
            self._recognise(page, number, has_letters=bool(text))
        else:
            self._out.page(number, "page", "")

    def _recognise(self, page: pdfium.PdfPage, number: int, *, has_letters: bool) -> None:
        if self._recogniser is None:
            why = "its font does not say which letters it shows" if has_letters else ""
            self._out.missed(number, "scanned", why)
            return
        self._out.tick()
        try:
            text = self._recogniser.text_of(_picture(page))
        except ReadingError as error:
            self._out.missed(number, "failed", error.why or error.what)
            return
        self._recognised += 1
        self._out.page(number, "page", text)

    def _note_what_is_left(self) -> None:
        if self._document.get_formtype() != pdfium_raw.FORMTYPE_NONE:
            self._out.note("The PDF is a form; what was filled in may be missing from the text.")
        if attached := self._document.count_attachments():
            self._out.note(f"Files attached inside the PDF were not read ({attached}).")


def _is_meaningful(text: str) -> bool:
    strange = sum(char == "\ufffd" or "\ue000" <= char <= "\uf8ff" for char in text)
    return strange < _MEANINGLESS * len(text)


def _has_pictures(page: pdfium.PdfPage) -> bool:
    drawn = 0
    for item in page.get_objects(max_depth=3):
        if item.type == pdfium_raw.FPDF_PAGEOBJ_IMAGE:
            return True
        drawn += item.type == pdfium_raw.FPDF_PAGEOBJ_PATH
        if drawn >= _DRAWN:
            return True
    return False


def _picture(page: pdfium.PdfPage) -> bytes:
    """The page as a grey picture in the PGM format, at 300 dots per inch or as fine as fits."""
    width, height = page.get_size()
    scale = _DPI / 72
    if (pixels := width * height * scale**2) > _MOST_PIXELS:
        scale *= (_MOST_PIXELS / pixels) ** 0.5
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        rows = memoryview(bitmap.buffer).cast("B")
        picture = io.BytesIO()
        picture.write(b"P5\n%d %d\n255\n" % (bitmap.width, bitmap.height))
        for row in range(bitmap.height):
            start = row * bitmap.stride
            picture.write(rows[start : start + bitmap.width])
        return picture.getvalue()
    finally:
        bitmap.close()

"""Writes resources/samples/ from tools/demo_model/samples/: PDF, Word, Markdown and mails.

`name.pdf.txt` becomes `name.pdf`, `name.docx.txt` becomes `name.docx`; the others are copied. A
line `=== page ===` parts two pages (in Markdown files a form feed takes its place). The files are
the same byte for byte each time. Nothing but Python's own library is needed.
"""

from __future__ import annotations

import textwrap
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent / "samples"
TARGET = Path(__file__).resolve().parents[2] / "resources" / "samples"
PAGE_BREAK = "\n=== page ===\n"
_LINE_CHARACTERS = 88
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def sample_pages() -> dict[str, str]:
    """Return every sample's pages as they stand in a prompt: label to text."""
    pages = {}
    for path in sorted(HERE.iterdir()):
        if path.suffix == ".json":
            continue
        whole = path.read_text("utf-8")
        body = whole.split("\n\n", 1)[1] if path.suffix == ".eml" else whole
        for number, text in enumerate(body.split(PAGE_BREAK), 1):
            paragraphs = [block for block in text.strip().split("\n\n") if block]
            pages[f"[{path.name.removesuffix('.txt')} p.{number}]"] = "\n".join(paragraphs)
    return pages


def pdf(pages: list[str]) -> bytes:
    """Make a PDF of plain text in Helvetica (PDF 1.4; ASCII only)."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    objects.append(font)  # without the encoding an apostrophe is a typographic one
    kids = []
    for text in pages:
        kids.append(f"{len(objects) + 1} 0 R")
        stream = _drawing(text)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (len(objects) + 2)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>".encode()
    return _pdf_file(objects)


def _drawing(text: str) -> bytes:
    lines = ["BT", "/F1 11 Tf", "60 780 Td", "15 TL"]
    for paragraph in text.strip().split("\n"):
        for line in textwrap.wrap(paragraph, _LINE_CHARACTERS) or [""]:
            safe = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            lines.append(f"({safe}) Tj T*")
    return "\n".join([*lines, "ET"]).encode("ascii")


def _pdf_file(objects: list[bytes]) -> bytes:
    data, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    data += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(data)


def write_docx(path: Path, pages: list[str]) -> None:
    """Write a Word document of plain paragraphs, with a page break between pages."""
    body = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'.join(
        "".join(
            f'<w:p><w:r><w:t xml:space="preserve">{escape(paragraph)}</w:t></w:r></w:p>'
            for paragraph in page.strip().split("\n\n")
        )
        for page in pages
    )
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{word}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            # A ZipInfo of its own has a fixed date.
            archive.writestr(zipfile.ZipInfo(name), head + content)


def write_samples(folder: Path) -> None:
    """Write all samples into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(HERE.iterdir()):
        text = path.read_text("utf-8")
        target = folder / path.name.removesuffix(".txt")
        if target.suffix == ".pdf":
            target.write_bytes(pdf(text.split(PAGE_BREAK)))
        elif target.suffix == ".docx":
            write_docx(target, text.split(PAGE_BREAK))
        elif target.suffix != ".json":
            target.write_text(text.replace(PAGE_BREAK, "\n\f\n"), "utf-8")


if __name__ == "__main__":
    write_samples(TARGET)

"""Every format: its text, its pages, and where each piece came from."""

from __future__ import annotations

import asyncio
import hashlib
from email.mime.application import MIMEApplication
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import TYPE_CHECKING

import pytest
from file_making import (
    MAIL,
    PAGE_BREAK,
    PARAGRAPH,
    ROOT,
    SAMPLES,
    docx,
    docx_of,
    epub,
    every_format,
    html,
    msg,
    odt,
    odt_of,
    paragraph,
    pptx,
    text_of,
    text_pdf,
    xlsx,
    zipped,
)

from m1desk.documents.reading import read_documents

if TYPE_CHECKING:
    from conftest import Read

SOURCES = ROOT / "tools" / "demo_model" / "samples"


def test_every_format_says_the_same(read: Read) -> None:
    """No letter of a paragraph with signs that XML escapes is lost or added, in any format."""
    results = read(every_format())
    for name in every_format():
        result = results[f"{name}/inside/a.txt" if name in {"a.zip", "a.tar.gz"} else name]
        assert PARAGRAPH in text_of(result), name
        assert result.report.outcome == "read"
        assert result.report.problem is None


def test_samples_are_read_as_they_were_written() -> None:
    paths = sorted(SAMPLES.iterdir())
    results = asyncio.run(read_documents(paths))
    assert [result.report.outcome for result in results] == ["read"] * len(paths)
    for path, result in zip(paths, results, strict=True):
        assert result.document is not None
        assert result.document.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        if path.suffix == ".eml":
            head, _, body = path.read_text("utf-8").partition("\n\n")
            shown = result.document.pages[0].text
            assert shown.endswith(body.strip())
            assert set(shown.splitlines()[:4]) <= set(head.splitlines())
            continue
        source = SOURCES / (path.name if path.suffix == ".md" else f"{path.name}.txt")
        written = source.read_text("utf-8").split(PAGE_BREAK)
        read_back = [page.text.replace("’", "'") for page in result.document.pages]
        assert read_back == [page.strip() for page in written]
        assert [page.number for page in result.document.pages] == [*range(1, len(written) + 1)]
        assert {page.kind for page in result.document.pages} == {"page"}


def test_word(read: Read) -> None:
    table = "<w:tbl>{}</w:tbl>".format(
        "".join(
            f"<w:tr><w:tc>{paragraph(a)}</w:tc><w:tc>{paragraph(b)}</w:tc></w:tr>"
            for a, b in (("Item", "Price"), ("Rent", "1,200"))
        )
    )
    body = (
        "<w:p><w:r><w:t>Seen</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t> added</w:t></w:r></w:ins></w:p>"
        f"{table}"
        "<w:sdt><w:sdtContent>" + paragraph("In a control") + "</w:sdtContent></w:sdt>"
        "<w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent>" + paragraph("In a box")
        + "</w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent>" + paragraph("In a box")
        + "</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )  # fmt: skip
    drawn = "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Drawn on page {}</w:t></w:r></w:p>"
    long = "".join(paragraph(f"{number} " + "word " * 100) for number in range(40))
    results = read(
        {
            "parts.docx": docx_of(body, footnotes=paragraph("A note"), header1=paragraph("Head")),
            "drawn.docx": docx_of(paragraph("One") + drawn.format(2) + drawn.format(3)),
            "long.docx": docx_of(long),
            "empty.docx": docx_of(""),
        }
    )
    document = results["parts.docx"].document
    assert document is not None
    assert document.pages[0].text.split("\n\n") == [
        "Seen added",
        "Item | Price\nRent | 1,200",
        "In a control",
        "In a box",
    ]
    assert [(page.label, page.text) for page in document.pages[1:]] == [
        ("Footnotes", "A note"),
        ("Headers", "Head"),
    ]
    assert text_of(results["drawn.docx"]) == "One\fDrawn on page 2\fDrawn on page 3"
    assert "last saved" in results["drawn.docx"].report.notes[0]
    pages = results["long.docx"].document
    assert pages is not None
    assert {page.kind for page in pages.pages} == {"section"}
    assert pages.pages[0].label == "paragraphs 1–5"
    assert pages.pages[-1].label.endswith("–40")
    assert results["empty.docx"].report.outcome == "empty"


def test_workbooks(read: Read) -> None:
    rows = [["Item", "Share", "Sum"], ["Rent", 0.075, 1200.5], [None, None, "=A1"]]
    data = {"Budget": rows, "Nothing": [], "Long": [[number] for number in range(450)]}
    result = read({"a.xlsx": xlsx(data)})["a.xlsx"]
    assert result.document is not None
    assert [(page.number, page.label) for page in result.document.pages] == [
        (1, "Budget"),
        (3, "Long, rows 1–200"),
        (4, "Long, rows 201–400"),
        (5, "Long, rows 401–450"),
    ]
    assert result.document.pages[0].text == "Item | Share | Sum\nRent | 0.075 | 1200.5"
    assert result.report.pages_empty == 1
    assert "Formulas without a stored result" in result.report.notes[0]


def test_slides_are_in_the_order_they_are_shown(read: Read) -> None:
    result = read({"a.pptx": pptx("First", "", "Third")})["a.pptx"]
    assert result.document is not None
    assert [(page.number, page.kind, page.text, page.label) for page in result.document.pages] == [
        (1, "slide", "First", "First"),
        (3, "slide", "Third", "Third"),
    ]


def test_open_document_and_books(read: Read) -> None:
    chapters = ["One", "word " * 3000, ""]
    results = read({"a.odt": odt("One", "Two"), "a.epub": epub(*chapters)})
    assert text_of(results["a.odt"]) == "One\fTwo"
    book = results["a.epub"].document
    assert book is not None
    assert [page.label for page in book.pages[:2]] == ["Chapter 1", "Chapter 2"]
    assert results["a.epub"].report.pages_empty == 1


def test_lists_and_sections_in_the_cells_of_open_documents(read: Read) -> None:
    cell = (
        "<text:p>Fees</text:p><text:list><text:list-item><text:p>rent</text:p></text:list-item>"
        "<text:list-item><text:list><text:list-item><text:p>heat</text:p></text:list-item>"
        "</text:list></text:list-item></text:list><text:section><text:p>yearly</text:p>"
        "</text:section><office:annotation><text:p>a remark</text:p></office:annotation>"
        "<table:table><table:table-row><table:table-cell><text:p>inner</text:p>"
        "</table:table-cell></table:table-row></table:table>"
    )
    body = (
        f"<table:table><table:table-row><table:table-cell>{cell}</table:table-cell>"
        "<table:table-cell><text:p>12</text:p></table:table-cell></table:table-row></table:table>"
    )
    result = read({"a.odt": odt_of(body)})["a.odt"]
    assert text_of(result) == "Fees rent heat yearly | 12\ninner"


def test_web_pages(read: Read) -> None:
    result = read({"a.html": html("Hello&nbsp;<b>bold</b> world<br>below")})["a.html"]
    assert text_of(result).split("\n\n") == [
        "Heading",
        "Hello bold world\nbelow",
        "- one",
        "- two",
        "Item | Price\nRent | 1,200",
    ]
    assert result.document is not None
    assert result.document.pages[0].label == "A page"


def test_text_keeps_its_lines_and_names_them(read: Read) -> None:
    lines = [f"    line {number}" for number in range(1, 131)]
    results = read(
        {"a.py": "\n".join(lines).encode(), "one.json": b'{"a":"' + b"x" * 30_000 + b'"}'}
    )
    document = results["a.py"].document
    assert document is not None
    assert [(page.kind, page.label) for page in document.pages] == [
        ("lines", "lines 1–60"),
        ("lines", "lines 61–120"),
        ("lines", "lines 121–130"),
    ]
    assert "\n".join(page.text for page in document.pages) == "\n".join(lines)
    one = results["one.json"].document
    assert one is not None
    assert one.pages[1].label == "line 1, part 2 of 3"
    assert "".join(page.text for page in one.pages) == '{"a":"' + "x" * 30_000 + '"}'


def test_mail_with_attachments(read: Read) -> None:
    box = b"From a@b Tue May 11 09:40:00 2027\n" + MAIL.encode() + b"\n"
    box += b"From c@d Tue May 11 09:41:00 2027\nSubject: two\n\n>From here on\n"
    outlook = msg("A subject", "The body", {"a.csv": b"item,price"})
    results = read({"a.eml": MAIL.encode(), "a.mbox": box, "a.msg": outlook})
    page = results["a.eml"].document
    assert page is not None
    assert page.pages[0].text == (
        "From: Ingrid Solberg <ingrid@brightwater.example>\n"
        "To: All staff <all@brightwater.example>\n"
        "Date: Tue, 11 May 2027 09:40:00 +0000\n"
        "Subject: Größe\n\nThe Größe is 12."
    )
    assert (page.pages[0].kind, page.pages[0].label) == ("message", "Größe")
    assert text_of(results["a.eml/prices.csv"]) == "item,price\nrent,1200"
    assert text_of(results["a.mbox"]).endswith("\fSubject: two\n\nFrom here on")
    assert text_of(results["a.mbox/1/prices.csv"]) == "item,price\nrent,1200"
    assert text_of(results["a.msg"]) == (
        "From: Ingrid Solberg\nTo: All staff\nSubject: A subject\n\nThe body"
    )
    assert text_of(results["a.msg/a.csv"]) == "item,price"


def test_what_is_attached_beside_the_html_form_of_a_mail(read: Read) -> None:
    """As Apple's Mail sends it: the text is an alternative to the HTML with the attachments."""
    picture = MIMEImage(b"\x89PNG\r\n\x1a\n", "png", name="logo.png")
    picture["Content-ID"] = "<logo>"
    notes = MIMEText("Some notes", "plain")
    notes.add_header("Content-Disposition", "inline", filename="notes.txt")
    offer = MIMEApplication(text_pdf(["The offer"]), "pdf", name="offer.pdf")
    parts = [MIMEText("<p>The HTML form</p>", "html"), picture, offer, notes]
    rich = MIMEMultipart("mixed", _subparts=[*parts, MIMEText("<p>more</p>", "html")])
    invitation = MIMEText("BEGIN:VCALENDAR", "calendar")
    mail = MIMEMultipart("alternative", _subparts=[MIMEText("The text"), rich, invitation])
    results = read({"a.eml": mail.as_bytes()})
    assert list(results) == ["a.eml", "a.eml/offer.pdf", "a.eml/notes.txt"]
    assert text_of(results["a.eml"]) == "The text"
    assert text_of(results["a.eml/offer.pdf"]) == "The offer"
    assert text_of(results["a.eml/notes.txt"]) == "Some notes"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8-sig", "Größe"),
        ("utf-16", "Größe"),
        ("utf-16-le", "Die Größe der Straße\nbeträgt fünf Meter."),
        ("utf-16-be", "Привет, это текст на русском языке."),
        ("utf-16-le", "これは日本語の文章です。\n契約の期間は三年とします。"),
        ("latin-1", "Die Größe der Straße beträgt fünf Meter."),
        ("cp1252", "The fee is 4,850 €, he said – “not more”."),
        ("shift_jis", "これは日本語の文章です。契約の期間は三年とします。料金は毎月支払われます。"),
        ("cp1251", "Договор вступает в силу с первого марта. Срок действия тридцать месяцев."),
    ],
)
def test_encodings(encoding: str, text: str) -> None:
    from m1desk.documents.reading.decoding import decode  # noqa: PLC0415 - what a reader imports

    decoded = decode(text.encode(encoding))
    assert decoded.text == text
    assert bool(decoded.note) == (encoding not in {"utf-8-sig", "utf-16"})


def test_the_content_decides_what_a_file_is(read: Read) -> None:
    files = every_format()
    results = read(
        {
            "really-a-pdf.docx": files["a.pdf"],
            "really-word.txt": files["a.docx"],
            "really-text.pdf": b"Just text.",
            "really-a-zip.pdf": zipped({"a.txt": "inside"}),
            "no-ending": docx("Word"),
        }
    )
    assert results["really-a-pdf.docx"].report.kind == "pdf"
    assert "the content is a PDF" in results["really-a-pdf.docx"].report.notes[0]
    assert results["really-word.txt"].report.kind == "docx"
    assert text_of(results["really-text.pdf"]) == "Just text."
    assert "the content is plain text" in results["really-text.pdf"].report.notes[0]
    assert text_of(results["really-a-zip.pdf/a.txt"]) == "inside"
    assert text_of(results["no-ending"]) == "Word"
    assert results["no-ending"].report.notes == ()

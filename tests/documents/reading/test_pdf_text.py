"""Lines of a PDF page become paragraphs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from file_making import SAMPLES, locked_pdf, raw_pdf, scanned_pdf, text_of, text_pdf

from m1desk.documents.reading.formats.pdf_lines import BROKEN_WORD, Joiner, Line, join_lines
from m1desk.documents.values import ReadLimits, ReadOptions

if TYPE_CHECKING:
    from conftest import Read

NO_OCR = ReadOptions(ocr=False)


def lines(*texts: str, width: float = 400, gaps: dict[int, float] | None = None) -> list[Line]:
    """Lines of 12 points, a gap of 2 between them, or as `gaps` says, as wide as they are long."""
    made, top = [], 700.0
    for number, text in enumerate(texts):
        top -= (gaps or {}).get(number, 2)
        right = 60 + min(width, 6 * len(text))
        made.append(Line(text, 60, right, top, top - 12, 10))
        top -= 12
    return made


LONG = "word " * 13 + "end"


def test_paragraphs() -> None:
    made = lines("Heading", LONG, LONG, "short.", LONG, LONG, gaps={1: 12, 4: 10})
    assert join_lines(made) == f"Heading\n\n{LONG} {LONG} short.\n\n{LONG} {LONG}"


def test_lists_and_tables_keep_their_lines() -> None:
    made = lines(
        "• One thing", "• Another thing", "Rent 1,200 1,300", "Food 200 300", f"All {LONG}", LONG
    )
    assert join_lines(made).startswith("• One thing\n• Another thing\n")
    assert "Rent 1,200 1,300\nFood 200 300\n" in join_lines(made)


def test_columns() -> None:
    left = lines(LONG, LONG)
    right = [
        Line(line.text, 480, 880, line.top, line.bottom, 10) for line in lines("goes on", LONG)
    ]
    assert join_lines([*left, *right]) == f"{LONG} {LONG} goes on {LONG}"


def test_broken_words() -> None:
    joiner = Joiner()
    joiner._learn("a long term; well-known")
    assert joiner._mend(f"inter{BROKEN_WORD}national") == "international"
    assert joiner._mend(f"long{BROKEN_WORD}term") == "long-term"
    assert joiner._mend(f"well{BROKEN_WORD}known") == "well-known"
    assert joiner._mend(f"Anna{BROKEN_WORD}Lena") == "Anna-Lena"
    assert joiner._mend(f"2024{BROKEN_WORD}25") == "2024-25"


def test_broken_words_of_a_file(read: Read) -> None:
    result = read({"a.pdf": text_pdf(["the interna-\ntional delivery of goods"])})["a.pdf"]
    assert text_of(result) == "the international delivery of goods"


def test_scanned_pages_are_named(read: Read) -> None:
    files = {"part.pdf": scanned_pdf(2, text_on_last="Typed"), "all.pdf": scanned_pdf(1)}
    results = read(files, NO_OCR)
    part = results["part.pdf"].report
    assert (part.outcome, part.pages_total, part.pages_read) == ("partly_read", 4, 1)
    assert (part.pages_scanned, part.pages_empty) == (2, 1)
    assert [problem.number for problem in part.page_problems] == [1, 2]
    assert part.problem is not None
    assert part.problem.what.startswith("2 of 4 pages are without text")
    assert results["part.pdf"].document is not None
    assert results["part.pdf"].document.pages[0].number == 3
    assert results["all.pdf"].report.outcome == "scanned"
    assert results["all.pdf"].document is None


def test_locked_and_damaged(read: Read) -> None:
    whole = (SAMPLES / "service-contract.pdf").read_bytes()
    broken_page = raw_pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R 9 0 R 4 0 R] /Count 3 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
        ]
    )
    results = read(
        {
            "locked.pdf": locked_pdf(),
            "half.pdf": whole[: len(whole) // 2],
            "no-table.pdf": whole[: whole.index(b"xref")] + whole[whole.index(b"trailer") :],
            "broken-page.pdf": broken_page,
        }
    )
    problem = results["locked.pdf"].report.problem
    assert problem is not None
    assert "password" in problem.what
    assert results["half.pdf"].report.outcome == "unreadable"
    assert results["half.pdf"].report.problem is not None
    assert results["no-table.pdf"].report.pages_read == 3
    assert results["broken-page.pdf"].report.pages_failed == 1


def test_ten_thousand_pages_in_bounded_memory(read: Read) -> None:
    limits = ReadLimits(memory_bytes=160 << 20)
    made = text_pdf([f"Page {number} of many" for number in range(1, 10_001)])
    result = read({"many.pdf": made}, ReadOptions(limits))["many.pdf"]
    assert result.report.pages_read == 10_000
    assert result.document is not None
    assert result.document.pages[-1].text == "Page 10000 of many"


def test_limits_are_named(read: Read) -> None:
    made = text_pdf([f"Page {number}" for number in range(1, 31)])
    result = read({"many.pdf": made}, ReadOptions(ReadLimits(pages=20)))["many.pdf"]
    assert (result.report.outcome, result.report.pages_read) == ("partly_read", 20)
    assert result.report.pages_failed == 10
    assert "more than 20 pages" in str(result.report.problem)

"""Results as files, read back with other readers than their writers."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import openpyxl
import pytest
from markdown_it import MarkdownIt
from support.job_results import (
    CAP,
    NOTICE,
    PASSAGE,
    RECEIPT,
    answered,
    portfolio,
    quote,
    results_of,
)

from m1desk.documents import PageSpan, PassAnswer, read_documents
from m1desk.errors import BadInput, StorageError
from m1desk.jobs.exports import FORMATS, export_results
from m1desk.jobs.records import spec_from
from m1desk.jobs.values import JobQuestion, JobResults

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
RUN_WORDS = (
    "demo-model", "demo-model.gguf", "context_tokens 4096", "kv_type q8_0", "temperature 0.0",
    "seed 11", "contract-portfolio",
)  # fmt: skip
"""What it takes to repeat the run, which each format must say."""
HOSTILE = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "  =1", "#N/A", "TRUE", "_x0041_", "'=1",
    "a\x00b\x0b\x1b[31m\ud800\uffff", "</w:t><w:p>&amp;", "<script>alert(1)</script>",
    "| a | b |\n|---|---|", "```", "![x](http://example.org/x.png)", "]]>", "\r\nnext",
    "😀" * 20_000,
)  # fmt: skip


def exported(results: JobResults, folder: Path, suffix: str) -> Path:
    path = folder / f"results{suffix}"
    export_results(results, path)
    assert list(folder.glob(".*")) == []
    return path


def hostile_results() -> JobResults:
    """Hostile texts everywhere: names of documents and questions, answers, quotes."""
    questions = tuple(JobQuestion(f"{text[:40]} {n}", text[:99]) for n, text in enumerate(HOSTILE))
    answers = tuple(
        answered(f"{text[:40]}.pdf", question, text, (quote(text, f"{text[:40]}.pdf", 1, 0.9),))
        for text in HOSTILE
        for question in questions[:2]
    )
    return results_of(answers, questions, documents=("=cmd|' /C calc'!A1",), title=HOSTILE[0])


def read_table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))


def sheet_rows(path: Path, name: str) -> list[dict[str, object]]:
    rows = openpyxl.load_workbook(path)[name].iter_rows(values_only=True)
    heads = [str(one) for one in next(rows)]
    return [dict(zip(heads, row, strict=True)) for row in rows]


class Page(HTMLParser):
    """What a browser would find: tags, text, and addresses that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [f"{tag} {value}" for name, value in attrs if name in {"src", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.words += data


async def words_of(path: Path) -> str:
    (result,) = await read_documents([path])
    assert result.document is not None, result.report
    return "\n".join(page.text for page in result.document.pages)


# -- every format ----------------------------------------------------------------------------------


async def test_every_format_says_answers_quotes_pages_and_how_to_repeat_them(
    tmp_path: Path,
) -> None:
    for suffix in FORMATS:
        path = exported(portfolio(), tmp_path, suffix)
        text = path.read_text("utf-8") if suffix == ".json" else await words_of(path)
        wanted = ["Contracts of 2027", "It is 45 days.", "with 45 days' notice", "a.pdf", "d.pdf",
                  "EUR 5,000", "The engine was lost."]  # fmt: skip
        if suffix != ".json":
            wanted += [
                *RUN_WORDS,
                "1,200 tokens before it",
                "WARNING",
                "What is the notice period?",
            ]
        for words in wanted:
            assert words.lower() in text.lower(), (suffix, words)


@pytest.mark.parametrize("suffix", FORMATS)
def test_hostile_texts_break_no_format(tmp_path: Path, suffix: str) -> None:
    assert exported(hostile_results(), tmp_path, suffix).stat().st_size > 1000


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", ["questions", "passes", "prompt", "benchmark"])
def test_other_kinds_and_empty_results_are_exported(tmp_path: Path, suffix: str, kind: str) -> None:
    empty = results_of((), (), kind=kind)  # type: ignore[arg-type]
    exported(empty, tmp_path, suffix)
    one = results_of((answered("", NOTICE, "It is 45 days."),), kind=kind)  # type: ignore[arg-type]
    data = exported(one, tmp_path, suffix).read_bytes()
    assert suffix in {".xlsx", ".docx"} or b"It is 45 days." in data


def test_what_can_t_be_written_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=r"no format that there is: \.md, \.html, \.docx"):
        export_results(portfolio(), tmp_path / "results.pdf")
    with pytest.raises(BadInput, match="There is no folder"):
        export_results(portfolio(), tmp_path / "none" / "results.md")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        export_results(portfolio(), tmp_path / "folder.md")
    before = exported(portfolio(), tmp_path, ".md").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        export_results(results_of(()), tmp_path / "results.md")
    assert (tmp_path / "results.md").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["results.md"]


def test_passes_are_told_with_the_pages_that_each_read(tmp_path: Path) -> None:
    whole = answered("", NOTICE, "It is 45 days.", (quote("45 days' notice", "a.pdf", 30),))
    spans = (PageSpan("a.pdf", 1, 20),), (PageSpan("a.pdf", 21, 40),)
    passes = (
        PassAnswer(1, spans[0], "ab", "Not there.", "", whole.details, is_absent=True),
        PassAnswer(2, spans[1], "cd", whole.answer, "", whole.details),
    )
    details = replace(whole.details, passes=passes, planned_passes=2, outcome="single")
    results = results_of((replace(whole, details=details),), (NOTICE,), kind="passes")
    text = exported(results, tmp_path, ".md").read_text("utf-8")
    assert "Only pass 2 of 2 found something" in text
    assert "**Pass 1: a.pdf p.1–20 (not found there)**" in text
    (made,) = json.loads(exported(results, tmp_path, ".json").read_bytes())["answers"]
    assert [one["pages"][0]["first"] for one in made["passes"]] == [1, 21]
    assert made["outcome"] == "single"


# -- Markdown and HTML -----------------------------------------------------------------------------


def test_markdown_shows_the_table_and_each_answer_with_its_quotes(tmp_path: Path) -> None:
    text = exported(portfolio(), tmp_path, ".md").read_text("utf-8")
    assert "| a.pdf | It is 45 days. (p.2) | It is EUR 5,000. (p.3) **approximate** |" in text
    assert "| d.pdf | **no answer yet** | **no answer yet** |" in text
    assert "1. a.pdf, p.3: **approximate** (91% alike)" in text
    assert "**NOT FOUND in the documents**" in text
    assert "Of 8 answers: 1 verified, 1 approximate, 1 QUOTE NOT FOUND" in text
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    heads = [tokens[n + 1].content for n, one in enumerate(tokens) if one.type == "heading_open"]
    assert heads[:4] == ["Contracts of 2027", "Results", "a.pdf", "Notice period"]
    assert heads[-3:] == ["How this was made", "Questions", "Documents"]


@pytest.mark.parametrize("said", ["```\ncode", "<!-- ", "<pre>", "~~~~", "> ```", "- ```"])
def test_what_an_answer_leaves_open_ends_with_it(tmp_path: Path, said: str) -> None:
    results = results_of((answered("a.pdf", NOTICE, said), answered("a.pdf", CAP, "EUR 5")))
    text = exported(results, tmp_path, ".md").read_text("utf-8")
    page = exported(results, tmp_path, ".html").read_text("utf-8")
    for shown in (MarkdownIt("commonmark").render(text), page):
        assert "<h3>Liability cap</h3>" in shown
        assert "<h2>How this was made</h2>" in shown


def test_html_runs_and_loads_nothing(tmp_path: Path) -> None:
    text = exported(hostile_results(), tmp_path, ".html").read_text("utf-8")
    page = Page(text)
    assert page.loaded == []
    assert not {"script", "img", "iframe", "object", "link", "form"} & set(page.tags)
    assert "default-src 'none'" in text
    assert "<script>alert(1)</script>" in page.words
    assert page.tags.count("article") == len(HOSTILE) * 2


def test_names_mean_what_they_say(tmp_path: Path) -> None:
    name = "*a*_b_<i>|`c`[d](http://x).pdf"
    answer = answered(name, replace(NOTICE, name=name), "x")
    page = Page(exported(results_of((answer,), ()), tmp_path, ".html").read_text("utf-8"))
    assert page.words.count(name) >= 4
    assert not {"a", "i", "code"} & set(page.tags)


# -- Word ------------------------------------------------------------------------------------------


def word_parts(path: Path) -> Mapping[str, ET.Element]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: ET.fromstring(archive.read(name)) for name in archive.namelist()}


def paragraphs(path: Path) -> list[tuple[str, str]]:
    """Style and text of each paragraph."""
    found = []
    for one in word_parts(path)["word/document.xml"].iter(f"{WORD}p"):
        style = one.find(f"{WORD}pPr/{WORD}pStyle")
        text = "".join(each.text or "" for each in one.iter(f"{WORD}t"))
        found.append(("" if style is None else style.attrib[f"{WORD}val"], text))
    return found


def test_word_has_the_table_headings_and_quotes(tmp_path: Path) -> None:
    path = exported(portfolio(), tmp_path, ".docx")
    parts = word_parts(path)
    rows = [
        ["".join(t.text or "" for t in cell.iter(f"{WORD}t")) for cell in row.iter(f"{WORD}tc")]
        for row in parts["word/document.xml"].iter(f"{WORD}tr")
    ]
    assert rows[0] == ["Document", "Notice period", "Liability cap"]
    assert rows[1] == ["a.pdf", "It is 45 days. (p.2)", "It is EUR 5,000. (p.3) approximate"]
    made = paragraphs(path)
    assert made[0] == ("Heading1", "Contracts of 2027")
    assert ("Heading2", "a.pdf") in made
    assert ("Heading3", "Notice period") in made
    assert ("Quote", "with 45 days' notice") in made
    assert ("", "1. a.pdf, p.3: approximate (91% alike)") in made
    styles = {one.attrib[f"{WORD}styleId"] for one in parts["word/styles.xml"].iter(f"{WORD}style")}
    assert {style for style, _ in made if style} <= styles


def test_word_keeps_what_markdown_means(tmp_path: Path) -> None:
    said = (
        "First **bold** and *slanted* `code`\\\nline.\n\n1. one\n2. two\n   - inner\n\n"
        "> said\n\n```\nx = 1\ny = 2\n```\n\n| a | b |\n|---|---|\n| 1 |\n\n[here](http://x.example)"
    )
    path = exported(results_of((answered("a.pdf", NOTICE, said),), (NOTICE,)), tmp_path, ".docx")
    made = paragraphs(path)
    for wanted in (
        ("", "First bold and slanted codeline."), ("", "1. one"), ("", "2. two"), ("", "• inner"),
        ("Quote", "said"), ("Code", "x = 1y = 2"), ("", "here (http://x.example)"),
    ):  # fmt: skip
        assert wanted in made
    document = word_parts(path)["word/document.xml"]
    bold = [run for run in document.iter(f"{WORD}r") if run.find(f"{WORD}rPr/{WORD}b") is not None]
    assert "bold" in ["".join(t.text or "" for t in run.iter(f"{WORD}t")) for run in bold]
    for row in document.iter(f"{WORD}tr"):  # each cell ends with a paragraph, or Word refuses it
        assert all(cell[-1].tag == f"{WORD}p" for cell in row.iter(f"{WORD}tc"))
        assert len(list(row.iter(f"{WORD}tc"))) == 2


async def test_hostile_texts_are_text_in_word(tmp_path: Path) -> None:
    text = await words_of(exported(hostile_results(), tmp_path, ".docx"))
    assert "</w:t><w:p>&" in text
    assert "<script>alert(1)</script>" in text
    assert "=cmd|' /C calc'!A1" in text


# -- CSV -------------------------------------------------------------------------------------------


def test_csv_has_a_row_a_document_with_pages_and_quotes(tmp_path: Path) -> None:
    path = exported(portfolio(), tmp_path, ".csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    first, second, third, fourth = read_table(path)
    assert first["Document"] == "a.pdf"
    assert first["Notice period"] == "It is 45 days."
    assert first["Notice period: pages"] == "p.2"
    assert first["Notice period: status"] == "verified"
    assert first["Notice period: quotes"] == '"with 45 days\' notice" [a.pdf p.2, verified]'
    assert "1,200 tokens before it" in first["Receipts"]
    assert second["Notice period: status"] == "QUOTE NOT FOUND"
    assert "[no page named, QUOTE NOT FOUND]" in second["Notice period: quotes"]
    assert "[a.pdf p.3, approximate, 91% alike]" in first["Liability cap: quotes"]
    assert "was cut off" in third["Warnings"]
    assert third["Liability cap: status"] == "FAILED: The engine was lost."
    assert fourth["Notice period: status"] == "no answer yet"
    run = json.loads(fourth["Run"])
    assert run["Questions"]["Notice period"] == NOTICE.text
    assert "seed 11" in run["Sampling"]


def test_csv_of_questions_has_a_row_each_and_names_the_documents(tmp_path: Path) -> None:
    results = results_of((answered("", NOTICE, "It is 45 days."),), kind="questions")
    first, second = read_table(exported(results, tmp_path, ".csv"))
    assert (first["Question"], first["Asked"]) == ("Notice period", NOTICE.text)
    assert (first["Answer"], second["Answer: status"]) == ("It is 45 days.", "no answer yet")
    assert json.loads(first["Run"])["Documents"] == ["a.pdf", "b.pdf"]


def test_csv_has_nothing_to_compute(tmp_path: Path) -> None:
    path = exported(hostile_results(), tmp_path, ".csv")
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert not cell.lstrip(" \n").startswith(tuple("=+-@\t\r＝＋－＠")), cell[:40]
        assert len(cell.encode("utf-16-le")) // 2 <= 32_767
    assert any(cell == "'=1+1" for row in rows for cell in row)


def test_csv_says_what_does_not_fit(tmp_path: Path) -> None:
    said = "word " * 8_000
    path = exported(results_of((answered("a.pdf", NOTICE, said),), (NOTICE,)), tmp_path, ".csv")
    cell = read_table(path)[0]["Notice period"]
    assert len(cell) <= 32_767
    assert cell.endswith(
        "[39,999 characters do not fit here: exported as XLSX or JSON it is whole]"
    )


# -- Excel -----------------------------------------------------------------------------------------


def test_a_workbook_has_table_quotes_answers_and_the_run(tmp_path: Path) -> None:
    path = exported(portfolio(), tmp_path, ".xlsx")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Results", "Answers", "Quotes", "Run"]
    first, _, third, fourth = sheet_rows(path, "Results")
    assert first == {
        "Document": "a.pdf", "Notice period": "It is 45 days.", "Liability cap": "It is EUR 5,000.",
    }  # fmt: skip
    assert (third["Liability cap"], fourth["Notice period"]) == ("FAILED", "NO ANSWER YET")
    comment = book["Results"]["B2"].comment
    assert comment.text == '"with 45 days\' notice" [a.pdf p.2, verified]'
    assert book["Results"].freeze_panes == "B2"
    assert book["Results"].auto_filter.ref == "A1:C5"
    quotes = sheet_rows(path, "Quotes")
    assert quotes[0] == {
        "Document": "a.pdf", "Question": "Notice period", "Quote": "with 45 days' notice",
        "File": "a.pdf", "Page": 2, "Status": "verified", "Likeness": 1,
        "Named file": "a.pdf", "Named page": 2, "The page says": None,
    }  # fmt: skip
    assert (quotes[1]["Likeness"], quotes[1]["Status"]) == (0.91, "approximate")
    assert quotes[1]["The page says"] == PASSAGE
    assert (quotes[2]["Page"], quotes[2]["Status"]) == (None, "QUOTE NOT FOUND")
    answers = sheet_rows(path, "Answers")
    assert answers[0]["Answer"] == 'It is 45 days. "with 45 days\' notice" [a.pdf p.2]'
    assert "1,200 tokens before it" in str(answers[0]["Receipt"])
    assert "was cut off" in str(answers[4]["Receipt"])
    run = sheet_rows(path, "Run")
    facts = {str(row["What"]): str(row["Value"]) for row in run}
    assert "kv_type q8_0" in facts["Settings"]
    assert facts["Question: Notice period"] == NOTICE.text
    named = [row["Value"] for row in run if row["What"] == "Document"]
    assert named == ["a.pdf", "b.pdf", "c.pdf", "d.pdf"]


def test_a_workbook_computes_nothing(tmp_path: Path) -> None:
    path = exported(hostile_results(), tmp_path, ".xlsx")
    cells = [
        cell
        for sheet in openpyxl.load_workbook(path)
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None
    ]
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    formulas = [cell for cell in cells if str(cell.value).startswith("=")]
    assert len(formulas) > 5
    assert all(cell.quotePrefix for cell in formulas)
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        assert not any(b"<f>" in archive.read(name) for name in sheets)


@pytest.mark.parametrize("said", ["word " * 8_000, "😀" * 40_000, "x" * 32_767, "x" * 32_768])
def test_what_is_too_long_for_a_cell_is_split_and_said(tmp_path: Path, said: str) -> None:
    results = results_of((answered("a.pdf", NOTICE, said),), (NOTICE,))
    path = exported(results, tmp_path, ".xlsx")
    parts = [row for row in sheet_rows(path, "Answers") if row["Document"] == "a.pdf"]
    assert "".join(str(row["Answer"]) for row in parts) == said
    assert [row["Part"] for row in parts] == list(range(1, len(parts) + 1))
    shown = str(sheet_rows(path, "Results")[0]["Notice period"])
    is_whole = shown == said.strip()
    assert is_whole == (len(parts) == 1)
    assert is_whole or shown.endswith("do not fit here: all of it is in the sheet Answers]")
    for text in (shown, *(str(row["Answer"]) for row in parts)):
        assert len(text.encode("utf-16-le")) // 2 <= 32_767


def test_more_than_a_sheet_holds_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m1desk.jobs.exports.xlsx._MOST_ROWS", 4)
    with pytest.raises(BadInput, match=r"too large for a workbook.*at most 4 rows.*CSV or JSON"):
        export_results(portfolio(), tmp_path / "results.xlsx")
    assert list(tmp_path.glob("results*")) == []


# -- JSON ------------------------------------------------------------------------------------------


def test_json_is_complete_and_can_be_repeated(tmp_path: Path) -> None:
    made = json.loads(exported(portfolio(), tmp_path, ".json").read_bytes())
    assert (made["format"], made["version"]) == ("m1desk-results", 1)
    assert made["documents"] == ["a.pdf", "b.pdf", "c.pdf", "d.pdf"]
    first = made["answers"][0]
    assert (first["document"], first["name"], first["short"]) == (
        "a.pdf", "Notice period", "It is 45 days.",
    )  # fmt: skip
    assert first["places"] == [{"file": "a.pdf", "page": 2}]
    assert first["citations"][0]["quote"] == "with 45 days' notice"
    assert first["receipt"]["expected_tokens"] == RECEIPT.expected_tokens
    assert first["reasoning"] == "I look."
    assert made["problems"][0]["what"] == "The engine was lost."
    assert made["job"]["settings"]["model_path"] == "/models/demo-model.gguf"
    assert spec_from(json.dumps(made["spec"])) == portfolio().job.spec


def test_json_keeps_every_character(tmp_path: Path) -> None:
    made = json.loads(exported(hostile_results(), tmp_path, ".json").read_bytes())
    said = [one["answer"] for one in made["answers"]]
    for text in HOSTILE:
        assert any(one.startswith(text) for one in said), text[:40]

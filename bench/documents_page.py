"""Measures the Documents page against its goal: four megabytes of text never stall the window.

    python bench/documents_page.py [--megabytes N] [--json]

Runs the whole app offscreen, with an engine that counts the tokens. Exits with 1 when a goal is
missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PySide6.QtTest import QTest  # noqa: E402 - after the path
from PySide6.QtWidgets import QSplitter  # noqa: E402 - after the path

from bench.whole_app import WholeApp  # noqa: E402 - after the path; sets the platform
from bench.window import StallFigures, measured, tell, wait  # noqa: E402 - after the path
from m1desk.documents import (  # noqa: E402 - after the path
    CitationChecker,
    Document,
    DocumentSets,
    ExtractionReport,
    Page,
    ReadResult,
    lay_out,
)
from m1desk.documents.set_values import AnswerDetails  # noqa: E402 - after the path
from m1desk.models.demo import demo_model  # noqa: E402 - after the path
from m1desk.store import Database, Folders  # noqa: E402 - after the path

CONTEXT_TOKENS = 4096
PAGE_CHARACTERS = 3000
PAGES = 50
PROSE = (
    "the contract supplier delivery of goods within thirty days notice in writing party may end "
    "agreement liability limited to euro year report figures of quarter board decided that and"
)


def make_results(characters: int) -> list[ReadResult]:
    """Documents of fifty pages of prose, one of them with lines of a hundred thousand letters."""
    chance, words = random.Random(1), PROSE.split()
    results: list[ReadResult] = []
    while sum(one.report.characters for one in results) < characters:
        pages = []
        for number in range(1, PAGES + 1):
            text = " ".join(chance.choices(words, k=PAGE_CHARACTERS // 6))
            text = text if len(results) == 1 else text.replace(" agreement ", " agreement.\n\n")
            pages.append(Page(number, "page", text))
        if len(results) == 1:
            pages = [Page(1, "page", " ".join(page.text for page in pages))]
        name = f"document-{len(results):03}.pdf"
        document = Document(name, Path("/docs") / name, "pdf", tuple(pages), "ab" * 32, 1000, 1.0)
        report = ExtractionReport(
            document.path, name, "pdf", "read", pages_total=len(pages), pages_read=len(pages),
            characters=document.characters,
        )  # fmt: skip
        results.append(ReadResult(document, report))
    return results


def fill(home: Path, characters: int) -> int:
    """Make a set with answers to questions about it; its id."""
    with Database(Folders.under(home).database) as database:
        sets = DocumentSets(database)
        set_id = sets.create("Large")
        results = make_results(characters)
        sets.add(set_id, results)
        add_answers(sets, set_id, results)
    return set_id


def add_answers(sets: DocumentSets, set_id: int, results: list[ReadResult]) -> None:
    """Eight answers with ten checked quotes each."""
    text = lay_out([one.document for one in results if one.document])
    pages = random.Random(2).sample(text.pages, 10)
    quotes = [
        f'It says "{text.page_text(page)[100:200]}" {page.marker}. Also this.' for page in pages
    ]
    checked = CitationChecker(text).check("\n\n".join(quotes))
    details = AnswerDetails(checked.citations, checked.unquoted)
    for number in range(8):
        asked = sets.begin(set_id, f"Question {number}?", "bench", text.sha256)
        sets.end(replace(asked, state="complete", answer=checked.text, details=details))


class Bench:
    """The Documents page of the whole app, and a large set."""

    def __init__(self, home: Path, characters: int) -> None:
        self.set_id = fill(home, characters)
        self.app = WholeApp(home)
        self.app.load(demo_model(), CONTEXT_TOKENS)
        self.app.window.show_page("documents")
        desk = self.app.parts.documents_desk
        self.model, self.page, self.viewer = desk.documents, desk.page, desk.page.viewer
        wait(lambda: False, 1.0)

    def open(self) -> None:
        """Open the set, until all is counted."""
        self.model.files.open(self.set_id)
        assert wait(lambda: self.model.budget.is_exact, 300)

    def view(self) -> None:
        """Show the text, until all of it is there."""
        self.page.show_viewer(shown=True)
        wait(lambda: self.viewer.text.is_loaded, 60)

    def search(self, words: str) -> None:
        """Search as one types, and step through twenty hits."""
        for end in range(1, len(words) + 1):
            self.viewer.field.setText(words[:end])
            wait(lambda: False, 0.08)
        wait(lambda: bool(self.viewer.hits), 30)
        for _ in range(20):
            QTest.keyClick(self.viewer.field, "\r")
            wait(lambda: False, 0.02)
        self.viewer.field.clear()
        wait(lambda: not self.viewer.hits, 5)

    def jump(self) -> None:
        """Jump to forty pages all over the documents."""
        pages = random.Random(3).sample(self.model.files.text.pages, 40)
        for page in pages:
            self.viewer.show_page(page.document, page.number)
            wait(lambda: False, 0.03)

    def cite(self) -> None:
        """Click every citation of an answer."""
        question = self.model.questions.questions[-1]
        for number in range(1, len(question.details.citations) + 1):
            self.page.set_view.questions.citation_chosen.emit(question.id, number)
            wait(lambda: False, 0.05)

    def scroll(self) -> None:
        """Scroll through the text, and make the panel wider."""
        bar = self.viewer.text.verticalScrollBar()
        for step in range(60):
            bar.setValue(bar.maximum() * step // 59)
            wait(lambda: False, 1 / 60)
        splitter = self.page.findChild(QSplitter)
        for width in range(420, 620, 20):
            splitter.setSizes([200, 1200 - width, width])
            wait(lambda: False, 0.03)

    def type(self) -> None:
        """Type a question."""
        for letter in "When can the agreement be ended, and by whom, and what does it cost then?":
            QTest.keyClick(self.page.set_view.composer.field, letter)
            wait(lambda: False, 0.03)
        wait(lambda: False, 0.8)

    def include(self) -> None:
        """Leave ten files out and take them in again, with the text in sight."""
        files = self.model.files
        for included in (False, True):
            for file in files.files[:10]:
                files.include([file.id], included=included)
                wait(lambda: False, 0.05)
            wait(lambda: files.is_settled and self.model.budget.is_exact, 60)
            wait(lambda: self.viewer.text.is_loaded, 60)

    def close(self) -> None:
        self.app.close()


def measure(megabytes: float) -> list[StallFigures]:
    """Run all measurements."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), int(megabytes * 1e6))
        try:
            return [
                measured("open the set and count it", bench.open),
                measured("show the text", bench.view),
                measured("search for a rare phrase", lambda: bench.search("thirty days notice")),
                measured("search for a frequent word", lambda: bench.search("the")),
                measured("jump to pages", bench.jump),
                measured("open citations", bench.cite),
                measured("scroll and resize", bench.scroll),
                measured("type a question", bench.type),
                measured("leave files out and take them in", bench.include),
            ]
        finally:
            bench.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=4.0, help="text of the set")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    return tell(measure(arguments.megabytes), as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())

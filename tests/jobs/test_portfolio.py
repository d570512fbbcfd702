"""A portfolio of contracts, asked by the demo model in the real engine, exported and read back."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import openpyxl
import pytest
from support.contracts import QUESTIONS, TEMPLATE, Contract, make_contracts
from support.job_queue import Queue

from m1desk.documents import CitationChecker, lay_out, read_documents
from m1desk.engines import LlamaSettings
from m1desk.engines.turn import SamplingParameters
from m1desk.jobs.exports import export_results
from m1desk.jobs.templates import TemplateShelf
from m1desk.jobs.values import EngineChoice
from m1desk.models.demo import demo_model
from m1desk.store import resource_folder

COUNT = int(os.environ.get("M1DESK_PORTFOLIO", "40"))
"""Contracts to be asked about: 40 of them take about a minute."""

SEED = 2027
LEAST_RIGHT = 0.95


def test_a_portfolio_is_the_same_each_time_and_another_by_another_seed(tmp_path: Path) -> None:
    first, again = (make_contracts(tmp_path / name, 5) for name in ("first", "again"))
    for one, other in zip(first, again, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()
        assert one.facts == other.facts
    others = make_contracts(tmp_path / "other", 5, seed=2)
    said = {truth.sentence for one in first for truth in one.facts.values()}
    assert len(said & {truth.sentence for one in others for truth in one.facts.values()}) < 5


async def test_what_the_generator_says_is_what_the_readers_read(tmp_path: Path) -> None:
    contracts = make_contracts(tmp_path, 8, SEED)
    results = await read_documents([one.path for one in contracts])
    assert {one.path.suffix for one in contracts} == {".pdf", ".docx", ".md", ".txt"}
    for contract, result in zip(contracts, results, strict=True):
        assert result.document is not None, result.report
        assert 2 <= len(result.document.pages) <= 4
        assert 1_500 <= sum(len(page.text) for page in result.document.pages) <= 3_600
        assert set(contract.facts) == {one.name for one in QUESTIONS}
        checker = CitationChecker(lay_out([result.document]))
        for truth in contract.facts.values():
            (found,) = checker.check(f'It is {truth.value}. "{truth.sentence}"').citations
            assert (found.status, found.page) == ("verified", truth.page), truth


def read_back(path: Path) -> dict[tuple[str, str], tuple[str, list[int]]]:
    """Document and question to what the cell says and the pages that bear it out."""
    book = openpyxl.load_workbook(path)
    heads, *rows = book["Results"].iter_rows(values_only=True)
    pages: dict[tuple[str, str], list[int]] = {}
    for document, question, _, _, page, status, *_ in book["Quotes"].iter_rows(2, values_only=True):
        if status in {"verified", "approximate"}:
            pages.setdefault((document, question), []).append(page)
    return {
        (row[0], head): (said, pages.get((row[0], head), []))
        for row in rows
        for head, said in zip(heads[1:], row[1:], strict=True)
    }


@pytest.mark.timeout(120 + 60 * COUNT)
async def test_a_portfolio_is_right_with_its_pages_and_read_back_from_a_workbook(
    queue: Queue, tmp_path: Path
) -> None:
    contracts = make_contracts(tmp_path / "portfolio", COUNT, SEED)
    file = tmp_path / "six-facts.json"
    file.write_text(json.dumps(TEMPLATE), "utf-8")
    shelf = TemplateShelf(resource_folder() / "templates", tmp_path / "own")
    template = shelf.import_file(file)
    job = queue.add(
        template.kind,
        *(one.path for one in contracts),
        questions=template.questions,
        template=template.name,
        engine=EngineChoice(LlamaSettings(demo_model(), context_tokens=4096, parallel=2)),
        sampling=SamplingParameters(temperature=0.0, max_tokens=150),
    )
    await queue.work()
    results = queue.store.results(job)
    assert results.job.summary.state == "done", queue.store.log_lines(job)
    export_results(results, tmp_path / "portfolio.xlsx")
    cells = read_back(tmp_path / "portfolio.xlsx")
    assert len(cells) == COUNT * len(QUESTIONS)
    wrong = wrong_cells(contracts, cells)
    share = 1 - len(wrong) / len(cells)
    print(f"{share:.1%} of {len(cells)} cells are right")
    print(Counter(column for column, _ in wrong))
    assert share >= LEAST_RIGHT, "\n".join(words for _, words in wrong)


def wrong_cells(
    contracts: tuple[Contract, ...], cells: dict[tuple[str, str], tuple[str, list[int]]]
) -> list[tuple[str, str]]:
    """Columns of the cells that are wrong, and what is wrong with each."""
    wrong = []
    for contract in contracts:
        for column, truth in contract.facts.items():
            said, pages = cells[contract.file, column]
            if not contract.is_right(column, said, pages):
                words = f"{contract.file}, {column}: {truth}, but {said!r} on pages {pages}"
                wrong.append((column, words))
    return wrong

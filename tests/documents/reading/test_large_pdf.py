"""A PDF of many full pages: read in the memory of few, with progress, and left at once."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import psutil
import pytest
from file_making import PARAGRAPH, text_pdf

from m1desk.documents.reading import read_documents, reader
from m1desk.documents.values import ReadLimits, ReadOptions, ReadProgress

if TYPE_CHECKING:
    from pathlib import Path

PAGES = 500


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A PDF of full pages, 3,400 letters on each."""
    full = "\n".join([PARAGRAPH] * 42)
    path = tmp_path / "large.pdf"
    path.write_bytes(text_pdf([f"Page {number}.\n{full}" for number in range(1, PAGES + 1)]))
    return path


async def test_full_pages_take_no_more_memory_than_a_few(large: Path) -> None:
    options = ReadOptions(ReadLimits(memory_bytes=120 << 20))
    (result,) = await read_documents([large], options)
    assert result.report.outcome == "read"
    assert result.document is not None
    assert [page.number for page in result.document.pages] == list(range(1, PAGES + 1))
    assert all(page.text.startswith(f"Page {page.number}.") for page in result.document.pages)
    assert result.report.characters > PAGES * 3_000


async def test_progress_grows_within_a_file(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_PROGRESS_SECONDS", 0.0)
    told: list[ReadProgress] = []
    await read_documents([large], None, told.append)
    within = [one for one in told if not one.files_done]
    assert len(within) >= PAGES
    assert all(a.bytes_done <= b.bytes_done for a, b in pairwise(within))
    half = next(one for one in within if one.pages_done == PAGES // 2)
    assert half.bytes_done == pytest.approx(large.stat().st_size / 2, rel=0.01)
    assert told[-1].bytes_done == told[-1].bytes_total == large.stat().st_size


async def test_cancelling_in_the_middle_ends_the_reader(large: Path) -> None:
    begun = asyncio.Event()
    told: list[ReadProgress] = []

    def on_progress(progress: ReadProgress) -> None:
        told.append(progress)
        if progress.pages_done:
            begun.set()

    before = set(psutil.Process().children(recursive=True))
    task = asyncio.create_task(read_documents([large], None, on_progress))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set(psutil.Process().children(recursive=True)) <= before
    assert told[-1].files_done == 0
    told.clear()
    await asyncio.sleep(0.3)
    assert told == []

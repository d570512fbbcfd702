"""Reading what a test lays out in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from m1desk.documents.reading import read_documents
from m1desk.documents.values import ReadOptions, ReadResult

Read = Callable[..., dict[str, ReadResult]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write files by name, read them in one go, and give the results by their names."""

    def reading(
        files: Mapping[str, bytes], options: ReadOptions | None = None
    ) -> dict[str, ReadResult]:
        folder = tmp_path / "files"
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        results = asyncio.run(read_documents([folder / name for name in files], options))
        return {result.report.name: result for result in results}

    return reading

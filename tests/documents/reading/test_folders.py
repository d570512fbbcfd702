"""Folders and source trees, with what .gitignore leaves out."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from m1desk.documents.reading import read_documents

TREE = {
    ".gitignore": "*.log\nbuild/\n!kept.log\n/top.txt\n",
    "main.py": "print(1)",
    "noise.log": "noise",
    "kept.log": "kept",
    "top.txt": "top",
    "build/out.txt": "out",
    "src/.gitignore": "*.tmp\n!special.log\n",
    "src/top.txt": "not the top",
    "src/special.log": "special",
    "src/x.tmp": "x",
    "src/data.bin": "\0\1\2\3" * 100,
    ".git/config": "secret",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, text in TREE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_source_tree(tree: Path) -> None:
    results = asyncio.run(read_documents([tree]))
    assert [result.report.name for result in results] == [
        "project",
        "project/.gitignore",
        "project/kept.log",
        "project/main.py",
        "project/src/.gitignore",
        "project/src/data.bin",
        "project/src/special.log",
        "project/src/top.txt",
    ]
    folder = results[0].report
    assert (folder.kind, folder.outcome) == ("folder", "read")
    assert set(folder.notes) == {
        "Files left out by .gitignore: 3.",
        "Folders left out by .gitignore: 1.",
        "Files inside: 7.",
    }
    by_name = {result.report.name: result for result in results}
    assert by_name["project/src/data.bin"].report.outcome == "skipped"
    document = by_name["project/main.py"].document
    assert document is not None
    assert (document.path, document.kind) == (tree / "main.py", "code")


def test_part_of_a_repository_follows_the_rules_above_it(tree: Path) -> None:
    results = asyncio.run(read_documents([tree / "src"]))
    assert "src/x.tmp" not in {result.report.name for result in results}
    (tree / "src" / "deep").mkdir()
    (tree / "src" / "deep" / "noise.log").write_text("noise")
    results = asyncio.run(read_documents([tree / "src" / "deep"]))
    assert [result.report.name for result in results] == ["deep"]
    assert results[0].report.outcome == "empty"


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
def test_links_and_pipes_in_folders(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside")
    (tree / "link.txt").symlink_to(tmp_path / "outside.txt")
    (tree / "round").symlink_to(tree)
    os.mkfifo(tree / "pipe")
    results = asyncio.run(read_documents([tree]))
    names = {result.report.name for result in results}
    assert not names & {"project/link.txt", "project/round", "project/pipe"}
    assert "Links that were not followed: 2." in results[0].report.notes
    assert "Pipes, sockets and devices left out: 1." in results[0].report.notes

"""Readers that hang, eat memory, crash or lie: reported, replaced, and the rest goes on."""

from __future__ import annotations

import asyncio
import lzma
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from file_making import ROOT, scanned_pdf, text_of, text_pdf

from m1desk.documents.reading import process as process_module
from m1desk.documents.reading import read_documents
from m1desk.documents.values import ReadingError, ReadLimits, ReadOptions, ReadProgress

if TYPE_CHECKING:
    from conftest import Read

STANDIN = Path(__file__).with_name("standin_reader.py")


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that misbehave."""
    command = (sys.executable, "-P", str(STANDIN))
    monkeypatch.setattr(process_module, "reader_command", lambda: command)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that must be empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def code_of(error: object) -> str:
    assert isinstance(error, ReadingError)
    return error.code


@pytest.mark.usefixtures("standin", "temporary")
def test_each_misdeed_is_named_and_the_rest_is_read(read: Read) -> None:
    misdeeds = {
        "hang": "too_slow",
        "crash": "crashed",
        "killed": "too_much_memory",
        "nonsense": "crashed",
        "endless": "crashed",
        "backwards": "crashed",
        "elsewhere": "crashed",
        "climbing": "crashed",
        "memory": "too_much_memory",
    }
    files = {}
    for misdeed in misdeeds:
        files |= {f"{misdeed}.txt": b"x", f"after {misdeed}.txt": b"x"}
    limits = ReadLimits(stall_seconds=8, memory_bytes=200 << 20)
    results = read(files, ReadOptions(limits, readers=2))
    assert list(results) == list(files)
    for misdeed, code in misdeeds.items():
        assert code_of(results[f"{misdeed}.txt"].report.problem) == code, misdeed
        assert results[f"after {misdeed}.txt"].report.outcome == "read", misdeed
    hanging = results["hang.txt"].report
    assert (hanging.outcome, hanging.pages_read, hanging.pages_failed) == ("partly_read", 1, 2)
    assert text_of(results["crash.txt"]) == "text"


def test_real_reader_that_eats_memory(read: Read) -> None:
    limits = ReadLimits(memory_bytes=150 << 20)
    files = {"big.txt": b"word " * (30 << 20), "small.txt": b"small"}
    results = read(files, ReadOptions(limits))
    assert code_of(results["big.txt"].report.problem) == "too_much_memory"
    assert text_of(results["small.txt"]) == "small"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere addresses are not limited")
def test_after_a_reader_that_ended_for_want_of_memory_comes_a_new_one(read: Read) -> None:
    packed = bytearray(lzma.compress(b"text"))
    packed[16] = 40  # the block's header asks for a dictionary of 4 GiB
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    files = {"a.txt.xz": bytes(packed), "small.txt": b"small"}
    results = read(files, ReadOptions(ReadLimits(memory_bytes=150 << 20), readers=1))
    assert code_of(results["a.txt.xz"].report.problem) == "too_much_memory"
    assert results["small.txt"].report.problem is None
    assert text_of(results["small.txt"]) == "small"


@pytest.mark.skipif(sys.platform == "win32", reason="a script is the stand-in for tesseract")
def test_hanging_tesseract_is_ended(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tesseract(tmp_path, monkeypatch, "echo $$ > $0.pid; exec sleep 1000")
    result = read({"a.pdf": scanned_pdf(1)}, ReadOptions(ReadLimits(stall_seconds=6)))["a.pdf"]
    assert result.document is None
    assert result.report.pages_failed
    pid = int((tmp_path / "bin" / "tesseract.pid").read_text())
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(sys.platform == "win32", reason="a script is the stand-in for tesseract")
def test_scanned_pages_are_recognised(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tesseract(tmp_path, monkeypatch, "head -c 2; printf ' is what\\nit begins with'")
    result = read({"a.pdf": scanned_pdf(1, text_on_last="Typed")})["a.pdf"]
    assert text_of(result) == "P5 is what it begins with\fTyped"
    assert "recognised by tesseract" in result.report.notes[0]


def fake_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recognise: str) -> None:
    """Put a script on the PATH that lists one language, and recognises as told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "tesseract"
    listing = 'if [ "$1" = --list-langs ]; then echo "List:"; echo eng; exit; fi'
    script.write_text(f"#!/bin/sh\n{listing}\n{recognise}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.usefixtures("temporary")
async def test_cancelling_ends_the_readers(tmp_path: Path) -> None:
    path = tmp_path / "many.pdf"
    path.write_bytes(text_pdf([f"Page {number}" for number in range(10_000)]))
    begun = asyncio.Event()

    def on_progress(progress: ReadProgress) -> None:
        if progress.pages_done:
            begun.set()

    before = set(psutil.Process().children(recursive=True))
    task = asyncio.create_task(read_documents([path], None, on_progress))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set(psutil.Process().children(recursive=True)) <= before


async def test_progress_comes_to_its_end(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("text" * 100)
    told: list[ReadProgress] = []
    await read_documents(sorted(tmp_path.glob("*.txt")), None, told.append)
    last = told[-1]
    assert (last.files_done, last.files_total, last.current) == (5, 5, ())
    assert (last.pages_done, last.characters) == (5, 2000)
    assert last.bytes_done == last.bytes_total == 2000


def test_reader_ends_with_its_owner() -> None:
    command = [*process_module.reader_command(), str(1 << 30)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as reader:
        assert reader.stdin is not None
        reader.stdin.close()
        assert reader.wait(60) == 0


CONFINED = """
import os, socket, subprocess, sys
from m1desk.documents.reading.confinement import Confinement
confinement = Confinement(1 << 30)
confinement.begin()
confinement.allow(sys.argv[1])
open(os.path.join(sys.argv[1], "1"), "wb").close()
def refused(act):
    try:
        act()
    except PermissionError:
        return
    raise SystemExit(f"not refused: {act}")
refused(lambda: socket.socket())
refused(lambda: socket.create_connection(("127.0.0.1", 9)))
refused(lambda: subprocess.run(["true"]))
refused(lambda: os.system("true"))
refused(lambda: open(sys.argv[1] + "-2", "wb"))
refused(lambda: open(os.path.join(sys.argv[1], "..", "x"), "w"))
refused(lambda: os.remove(__file__ if "__file__" in globals() else "x"))
refused(lambda: os.fork())
"""


def test_readers_are_confined(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_readers_import_no_qt_and_nothing_of_the_window() -> None:
    code = (
        "import sys, m1desk.documents.reading.child\n"
        "heavy = {'PySide6', 'httpx', 'numpy', 'asyncio', 'sqlite3'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)

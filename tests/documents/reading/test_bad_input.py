"""Files that are hostile, broken or not there: each is named, and nothing else is harmed."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import os
import random
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from file_making import (
    SAMPLES,
    docx,
    docx_of,
    paragraph,
    tarred,
    text_of,
    xlsx,
    zipped,
)

from m1desk.documents.reading import read_documents
from m1desk.documents.reading import source as source_module
from m1desk.documents.reading.messages import Order
from m1desk.documents.values import ReadingError, ReadLimits, ReadOptions, ReadResult

if TYPE_CHECKING:
    from conftest import Read

ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="pipes, devices and links of POSIX")


def code_of(result: ReadResult) -> str:
    assert isinstance(result.report.problem, ReadingError), result.report
    return result.report.problem.code


def test_no_document_at_all(read: Read) -> None:
    results = read(
        {
            "empty.txt": b"",
            "empty.docx": b"",
            "space.txt": b" \n\t\n",
            "noise.bin": random.Random(1).randbytes(50_000),
            "noise.pdf": b"%PDF-1.7\n" + random.Random(2).randbytes(50_000),
            "noise.docx": b"PK\3\4" + random.Random(3).randbytes(50_000),
            "noise.msg": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + random.Random(4).randbytes(5_000),
            "program": b"\x7fELF" + bytes(1000),
            "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5_000),
            "a.rtf": b"{\\rtf1 text}",
            "a.7z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
            "a.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        },
        ReadOptions(ocr=False),
    )
    outcomes = {name: result.report.outcome for name, result in results.items()}
    assert outcomes == {
        "empty.txt": "empty",
        "empty.docx": "empty",
        "space.txt": "empty",
        "noise.bin": "skipped",
        "noise.pdf": "unreadable",
        "noise.docx": "unreadable",
        "noise.msg": "unreadable",
        "program": "skipped",
        "old.doc": "unreadable",
        "a.rtf": "unreadable",
        "a.7z": "unreadable",
        "a.png": "scanned",
    }
    assert all(result.document is None for result in results.values())
    assert all(
        result.report.problem is not None and result.report.problem.what
        for name, result in results.items()
        if name != "space.txt"
    )


@ON_POSIX
def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    secret.chmod(0)
    paths = [
        tmp_path / "pipe.txt",
        Path("/dev/zero"),
        tmp_path / "loop",
        tmp_path / "not there.pdf",
        secret,
        secret / "below",
    ]
    results = asyncio.run(read_documents(paths))
    codes = [code_of(result) for result in results if result.report.name != "secret.txt"]
    assert codes == ["not_a_file", "not_a_file", "not_a_file", "missing", "missing"]
    if os.getuid():  # root may read anything
        assert code_of(results[4]) == "denied"


def test_files_that_change_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "growing.txt"
    path.write_text("begun")
    read_once = os.read

    def reading(descriptor: int, size: int) -> bytes:
        with path.open("a") as file:
            file.write("more")
        return read_once(descriptor, size)

    monkeypatch.setattr(source_module.os, "read", reading)
    with pytest.raises(ReadingError) as caught:
        source_module.take(order_for(path))
    assert caught.value.code == "changed"
    monkeypatch.undo()
    assert source_module.take(order_for(path)).data == path.read_bytes()


def order_for(path: Path) -> Order:
    return Order(
        path=str(path), name=path.name, unpack_to="", is_member=False, depth=0, max_depth=1,
        memory_bytes=1 << 30, file_bytes=1 << 20, pages=10, characters=10_000, unpack_bytes=0,
        files=0, ratio=1, ocr=False, ocr_languages="", stall_seconds=10,
    )  # fmt: skip


async def test_file_that_vanishes_from_a_folder(tmp_path: Path) -> None:
    """The folder's list is made; by the time its files are read, one is gone."""
    for number in range(200):
        (tmp_path / f"{number:03}.txt").write_text("text")
    gone = tmp_path / "000.txt"  # the last found is read first

    def on_progress(_: object) -> None:
        gone.unlink(missing_ok=True)

    results = await read_documents([tmp_path], ReadOptions(readers=1), on_progress)
    by_name = {result.report.name: result.report for result in results}
    report = by_name.get(f"{tmp_path.name}/000.txt")
    assert report is None or report.outcome == "unreadable"
    assert by_name[f"{tmp_path.name}/001.txt"].outcome == "read"


def test_bombs(read: Read) -> None:
    lots = zipped({"zeros.txt": bytes(40 << 20), "fine.txt": "fine"})
    info = tarfile.TarInfo("zeros.txt")
    bomb_in_word = docx_of(paragraph("x" * (90 << 20)))
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(12))
    laughs = _with_document(docx("MARK"), f"<!DOCTYPE x [{entities}]>", "&e11;")
    limits = ReadLimits(unpacked_bytes=1 << 20)
    results = read(
        {
            "a.zip": lots,
            "a.tar.gz": tarred([(info, bytes(40 << 20))]),
            "a.docx": bomb_in_word,
            "laughs.docx": laughs,
        }
    )
    assert code_of(results["a.zip/zeros.txt"]) == "bomb"
    assert text_of(results["a.zip/fine.txt"]) == "fine"
    assert code_of(results["a.tar.gz/zeros.txt"]) == "bomb"
    assert code_of(results["a.docx"]) == "bomb"
    assert code_of(results["laughs.docx"]) == "damaged"
    parts = {f"{number}.txt": random.Random(number).randbytes(400_000).hex() for number in range(4)}
    limited = read({"all.zip": zipped(parts)}, ReadOptions(limits))
    assert code_of(limited["all.zip"]) == "bomb"
    assert limited["all.zip"].report.outcome == "partly_read"
    assert limited["all.zip/0.txt"].report.outcome == "read"


def _with_document(data: bytes, before: str, instead: str) -> bytes:
    """A Word file with a document type put before its text, and another text for MARK."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = parts["word/document.xml"].decode()
    text = text.replace("<w:document", f"{before}<w:document", 1).replace("MARK", instead)
    return zipped({**parts, "word/document.xml": text})


def test_nothing_outside_is_loaded(read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    link = (
        '<Relationships><Relationship Id="r" TargetMode="External" '
        'Target="http://127.0.0.1:9/template.dotm"/></Relationships>'
    )
    with_link = docx("Linked")
    with zipfile.ZipFile(io.BytesIO(with_link)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    results = read(
        {
            "entity.docx": _with_document(docx("MARK"), entity, "&e;"),
            "link.docx": zipped({**parts, "word/_rels/document.xml.rels": link}),
            "a.html": f'<html><iframe src="{secret.as_uri()}"></iframe>Seen</html>'.encode(),
        }
    )
    assert code_of(results["entity.docx"]) == "damaged"
    assert text_of(results["link.docx"]) == "Linked"
    assert text_of(results["a.html"]) == "Seen"


def test_path_tricks(read: Read, tmp_path: Path) -> None:
    link, device, up = (tarfile.TarInfo(name) for name in ("link", "device", "../up.txt"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device.type = tarfile.CHRTYPE
    results = read(
        {
            "a.zip": zipped(
                {
                    "../../evil.txt": "evil",
                    "/absolute.txt": "absolute",
                    "C:\\windows\\drive.txt": "drive",
                    "same.txt": "one",
                    "./same.txt": "two",
                    "con\x07trol.txt": "control",
                }
            ),
            "a.tar.gz": tarred([(link, b""), (device, b""), (up, b"up")]),
        }
    )
    assert code_of(results["a.zip/../../evil.txt"]) == "unsafe_path"
    assert text_of(results["a.zip/absolute.txt"]) == "absolute"
    assert text_of(results["a.zip/windows/drive.txt"]) == "drive"
    assert text_of(results["a.zip/same.txt"]) == "one"
    assert text_of(results["a.zip/same (2).txt"]) == "two"
    assert text_of(results["a.zip/control.txt"]) == "control"
    assert code_of(results["a.tar.gz/../up.txt"]) == "unsafe_path"
    notes = " ".join(results["a.tar.gz"].report.notes)
    assert "Links in the archive were not followed (1)." in notes
    assert "not files were left out (1)" in notes
    assert {path.name for path in tmp_path.rglob("*.txt")} == set()


def test_nested_archives(read: Read) -> None:
    data = b"deep"
    for depth in range(6):
        data = zipped({"deep.txt" if not depth else "in.zip": data})
    results = read({"a.zip": data}, ReadOptions(ReadLimits(depth=3)))
    assert results["a.zip/in.zip/in.zip"].report.outcome == "read"
    assert code_of(results["a.zip/in.zip/in.zip/in.zip/in.zip"]) == "too_deep"
    shallow = read({"b.zip": data}, ReadOptions(ReadLimits(depth=10)))
    assert text_of(shallow["b.zip/" + "in.zip/" * 5 + "deep.txt"]) == "deep"


def test_single_packed_files(read: Read) -> None:
    results = read(
        {
            "a.txt.gz": gzip.compress(b"gzip"),
            "b.txt.bz2": bz2.compress(b"bzip2"),
            "c.txt.xz": lzma.compress(b"xz"),
            "bomb.txt.gz": gzip.compress(b"x" * (40 << 20)),
        }
    )
    assert text_of(results["a.txt.gz/a.txt"]) == "gzip"
    assert text_of(results["b.txt.bz2/b.txt"]) == "bzip2"
    assert text_of(results["c.txt.xz/c.txt"]) == "xz"
    assert code_of(results["bomb.txt.gz/bomb.txt"]) == "bomb"
    member = results["a.txt.gz/a.txt"].document
    assert member is not None
    assert member.modified == member.path.stat().st_mtime


def test_locked_and_damaged_archives(read: Read) -> None:
    whole = zipped({"a.txt": "a" * 1000, "b.txt": "b" * 1000})
    locked = bytearray(zipped({"a.txt": "secret"}))
    for place in (6, locked.index(b"PK\1\2") + 8):
        locked[place] |= 1
    flipped = bytearray(whole)
    flipped[40] ^= 0xFF
    results = read(
        {"half.zip": whole[:100], "locked.zip": bytes(locked), "flipped.zip": bytes(flipped)}
    )
    assert code_of(results["half.zip"]) == "damaged"
    assert code_of(results["locked.zip/a.txt"]) == "encrypted"
    assert code_of(results["flipped.zip/a.txt"]) == "damaged"
    assert text_of(results["flipped.zip/b.txt"]) == "b" * 1000


def test_limits(read: Read) -> None:
    limits = ReadLimits(file_bytes=100_000, characters=5_000, files=3)
    results = read(
        {
            "large.txt": b"x" * 100_001,
            "long.txt": b"line\n" * 5_000,
            "many.zip": zipped({f"{number}.txt": "text" for number in range(10)}),
        },
        ReadOptions(limits),
    )
    assert code_of(results["large.txt"]) == "too_large"
    assert code_of(results["long.txt"]) == "too_large"
    assert results["long.txt"].report.outcome == "partly_read"
    assert code_of(results["many.zip"]) == "too_large"
    assert len([name for name in results if name.startswith("many.zip/")]) == 3


def test_one_huge_line_and_one_far_cell(read: Read) -> None:
    rows: list[list[object]] = [[None]] * 3
    rows.append([None] * 500 + ["far"])
    results = read({"line.txt": b"word " * 400_000, "far.xlsx": xlsx({"Sheet": rows})})
    document = results["line.txt"].document
    assert document is not None
    assert "".join(page.text for page in document.pages).split() == ["word"] * 400_000
    assert max(len(page.text) for page in document.pages) <= 12_000
    assert text_of(results["far.xlsx"]).endswith("far")


def test_same_names_and_the_order_given(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "report.md" for folder in ("b", "a")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    sample = SAMPLES / "board-minutes.docx"
    results = asyncio.run(read_documents([*paths, sample, paths[0]]))
    assert [result.report.name for result in results] == [
        "b/report.md",
        "a/report.md",
        "board-minutes.docx",
    ]

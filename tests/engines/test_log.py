"""What is kept of an engine's output."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m1desk.engines.log import EngineLog, LineSplitter


@given(
    lines=st.lists(st.binary(max_size=40).filter(lambda line: not set(line) & set(b"\r\n"))),
    cuts=st.lists(st.integers(0, 400)),
)
def test_lines_come_out_whole_however_they_were_cut(lines: list[bytes], cuts: list[int]) -> None:
    text = b"".join(line + b"\n" for line in lines)
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    splitter = LineSplitter(1000)
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert [line for piece in pieces for line in splitter.feed(piece)] == lines
    assert splitter.close() == []


def test_an_endless_line_takes_no_more_room_than_allowed() -> None:
    splitter = LineSplitter(100)
    for _ in range(1000):
        assert splitter.feed(b"x" * 1000) == []
    (line, after) = splitter.feed(b"\nafter\n")
    assert line.startswith(b"x" * 100)
    assert len(line) < 120
    assert after == b"after"


def test_a_last_line_without_an_end_is_kept(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    log.feed(b"first\nlast wo")
    log.feed(b"rds")
    log.close()
    assert log.tail() == ("first", "last words")
    assert "last words" in (tmp_path / "engine.log").read_text()


def test_a_progress_bar_leaves_its_last_state(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    log.feed(b"10 %\r50 %\r100 %\r\nnext\n")
    log.close()
    assert log.tail() == ("100 %", "next")


def test_the_tail_has_the_last_200_lines(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    log.feed(b"".join(b"%d\n" % number for number in range(1000)))
    log.close()
    assert log.tail() == tuple(str(number) for number in range(800, 1000))
    assert log.tail(2) == ("998", "999")


def test_the_files_have_a_limited_size(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    for _ in range(5000):
        log.add("x" * 8000)
    log.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sorted(sizes) == ["engine.log", "engine.log.1", "engine.log.2", "engine.log.3"]
    assert max(sizes.values()) <= 4 * 1024 * 1024


def test_a_log_that_cannot_be_written_is_kept_in_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "engine.log").mkdir()  # a folder where the file should be
    log = EngineLog(tmp_path / "engine.log")
    log.feed(b"said\n")
    log.close()
    assert log.tail() == ("said",)
    assert capsys.readouterr().err == ""


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "engine.log")
    log.feed(b"\xff\xfe\n")
    log.close()
    assert log.tail() == ("\ufffd\ufffd",)

"""What a killed reading leaves is swept by the next start; what is in use or another's is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from file_making import ROOT, zipped

from m1desk.documents.reading import read_documents, sweep_work_folders
from m1desk.documents.reading.work_folder import WorkFolder
from m1desk.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

READING = """
import asyncio, sys
from pathlib import Path
from m1desk.documents.reading import read_documents

def on_progress(progress):
    if progress.pages_done:
        print("reading", flush=True)
        sys.stdin.read()  # stays in the middle of it

asyncio.run(read_documents([Path(sys.argv[1])], None, on_progress))
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, in this process and in those it starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive, whose files are unpacked to be read."""
    path = tmp_path / "two.zip"
    path.write_bytes(zipped({"1.txt": "one", "2.txt": "two"}))
    return path


@contextmanager
def reading(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of reading `path`."""
    with subprocess.Popen(
        [sys.executable, "-c", READING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "reading\n"
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no kill -9")
def test_a_killed_owner_s_folder_is_swept_and_a_living_one_s_is_not(
    temporary: Path, archive: Path
) -> None:
    with reading(archive) as killed:
        (left,) = temporary.iterdir()
        assert [path for path in left.iterdir() if path.is_dir()], "nothing was unpacked"
        with reading(archive):
            (kept,) = set(temporary.iterdir()) - {left}
            assert sweep_work_folders() == 0
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
            assert left.exists()
            assert sweep_work_folders() == 1
            assert list(temporary.iterdir()) == [kept]


async def test_the_next_reading_sweeps_too(temporary: Path, archive: Path, tmp_path: Path) -> None:
    with reading(archive):
        pass
    assert len(list(temporary.iterdir())) == 1
    (tmp_path / "a.txt").write_text("text")
    await read_documents([tmp_path / "a.txt"])
    assert list(temporary.iterdir()) == []


def abandoned(folder: Path) -> Path:
    """A folder as an owner leaves it that is killed."""
    folder.mkdir(mode=0o700)
    (folder / "owner.lock").write_text("1\n")
    return folder


def test_only_folders_of_ours_are_swept(temporary: Path, tmp_path: Path) -> None:
    ours = abandoned(temporary / "m1desk-reading-ours")
    others = abandoned(temporary / "another-program")
    (temporary / "m1desk-reading-file").write_text("kept")
    treasure = abandoned(tmp_path / "treasure")
    if sys.platform != "win32":
        (temporary / "m1desk-reading-link").symlink_to(treasure)
    assert sweep_work_folders() == 1
    assert not ours.exists()
    assert others.exists()
    assert treasure.exists()
    assert (temporary / "m1desk-reading-file").read_text() == "kept"


@pytest.mark.skipif(
    sys.platform == "win32", reason="each user of Windows has a folder of their own"
)
def test_another_user_s_folder_is_left_alone(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = abandoned(temporary / "m1desk-reading-theirs")
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert sweep_work_folders() == 0
    assert folder.exists()


def test_a_folder_just_made_is_left_until_its_owner_must_have_locked_it(temporary: Path) -> None:
    folder = temporary / "m1desk-reading-new"
    folder.mkdir()
    assert sweep_work_folders() == 0
    an_hour_ago = time.time() - 3600
    os.utime(folder, (an_hour_ago, an_hour_ago))
    assert sweep_work_folders() == 1


def test_a_work_folder_is_removed_by_its_owner(temporary: Path) -> None:
    folder = WorkFolder()
    (folder.path / "1").mkdir()
    assert sweep_work_folders() == 0
    folder.remove()
    assert list(temporary.iterdir()) == []


async def test_no_place_for_temporary_files_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match="no place for temporary files"):
        await read_documents([tmp_path])

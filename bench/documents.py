"""Reading a million tokens of mixed documents: pages a second, and the memory it takes.

Run: python -m bench.documents [--megabytes 4] [--readers N] [--keep FOLDER]

The documents are made first, from sentences of this project's own texts: PDFs, Word files, web
pages, workbooks, mailboxes, Markdown and source code, about four million characters together, which
is about a million tokens. Then they are read as a person would have it, the start of the readers
included. "cpu" is the processor's time of the readers and of their owner: on a busy machine only
that means something.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "documents" / "reading")]

from file_making import docx, html, text_pdf, xlsx  # noqa: E402 - after the path

from m1desk.documents.reading import read_documents  # noqa: E402
from m1desk.documents.values import ReadOptions, ReadResult  # noqa: E402

PAGE_CHARACTERS = 2_800
SHARES = {"pdf": 0.4, "docx": 0.15, "html": 0.1, "xlsx": 0.1, "md": 0.1, "py": 0.1, "mbox": 0.05}
FILE_CHARACTERS = 120_000
BEAT_SECONDS = 0.005
Made = Callable[[Sequence[str]], bytes]


def sentences(random_: random.Random) -> Callable[[int], str]:
    """A source of text of about so many characters, in ASCII."""
    found: list[str] = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text("utf-8").encode("ascii", "ignore").decode()
        found += [" ".join(one.split()) for one in re.split(r"(?<=[.])\s+", text) if len(one) > 40]

    def text_of(characters: int) -> str:
        parts: list[str] = []
        while characters > 0:
            parts.append(random_.choice(found))
            characters -= len(parts[-1]) + 1
        return " ".join(parts)

    return text_of


def _workbook(pages: Sequence[str]) -> bytes:
    rows = [[number, *page.split(" ")[:12]] for number, page in enumerate(pages * 20)]
    return xlsx({"Sheet": rows})


def _mailbox(pages: Sequence[str]) -> bytes:
    head = "From a@b Tue May 11 09:40:00 2027\nFrom: a@b\nSubject: number {}\n\n"
    return "".join(head.format(n) + page + "\n\n" for n, page in enumerate(pages)).encode()


MAKERS: dict[str, Made] = {
    "pdf": lambda pages: text_pdf(list(pages)),
    "docx": lambda pages: docx(*pages),
    "html": lambda pages: html("</p><p>".join(page.replace("<", "") for page in pages)),
    "xlsx": _workbook,
    "md": lambda pages: "\n\n".join(f"## Part\n\n{page}" for page in pages).encode(),
    "py": lambda pages: "\n".join("# " + page.replace(". ", ".\n# ") for page in pages).encode(),
    "mbox": _mailbox,
}  # fmt: skip


def make_documents(folder: Path, characters: int) -> list[Path]:
    """Write the documents; the same ones each time."""
    text_of = sentences(random.Random(1))
    paths = []
    for ending, share in SHARES.items():
        for number in range(max(1, round(characters * share / FILE_CHARACTERS))):
            pages = [text_of(PAGE_CHARACTERS) for _ in range(FILE_CHARACTERS // PAGE_CHARACTERS)]
            paths.append(folder / f"{number:03}.{ending}")
            paths[-1].write_bytes(MAKERS[ending](pages))
    return paths


@dataclass
class Memory:
    """The most memory that was seen, sampled on a thread of its own; bytes."""

    owner: int = 0
    one_reader: int = 0
    readers: int = 0
    cpu: dict[int, float] = field(default_factory=dict)

    def watch(self, ended: threading.Event) -> None:
        owner = psutil.Process()
        while not ended.wait(0.1):
            sizes = []
            for child in owner.children():
                try:
                    sizes.append(child.memory_info().rss)
                    times = child.cpu_times()
                    self.cpu[child.pid] = times.user + times.system
                except psutil.Error:
                    continue
            self.owner = max(self.owner, owner.memory_info().rss)
            self.one_reader = max([self.one_reader, *sizes])
            self.readers = max(self.readers, sum(sizes))


async def read_beside_a_heart(
    paths: Sequence[Path], options: ReadOptions
) -> tuple[tuple[ReadResult, ...], float]:
    """Read, and measure the longest work of the event loop between two of its turns (seconds).

    It is the thread's own time: what other programs take from a busy machine does not count.
    """
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(BEAT_SECONDS)
            longest = max(longest, time.thread_time() - before)

    heart = asyncio.create_task(beat())
    try:
        return await read_documents(paths, options), longest
    finally:
        heart.cancel()


def measure(paths: Sequence[Path], options: ReadOptions) -> None:
    """Read them all, and print what it took."""
    memory, ended = Memory(), threading.Event()
    watcher = threading.Thread(target=memory.watch, args=(ended,))
    base = psutil.Process().memory_info().rss
    watcher.start()
    begun, cpu = time.perf_counter(), time.process_time()
    results, stall = asyncio.run(read_beside_a_heart(paths, options))
    seconds, owner_cpu = time.perf_counter() - begun, time.process_time() - cpu
    ended.set()
    watcher.join()
    pages = sum(result.report.pages_read for result in results)
    characters = sum(result.report.characters for result in results)
    reader_cpu = sum(memory.cpu.values())
    outcomes = Counter(result.report.outcome for result in results)
    print(f"{len(results)} files ({dict(outcomes)}), {pages:,} pages, {characters:,} characters")
    print(f"{seconds:.1f} s: {pages / seconds:,.0f} pages/s, {characters / seconds / 1e6:.2f} M/s")
    print(f"cpu: readers {reader_cpu:.1f} s ({pages / max(reader_cpu, 1e-9):,.0f} pages/s), "
          f"owner {owner_cpu:.2f} s")  # fmt: skip
    print(f"memory: owner {base >> 20} -> {memory.owner >> 20} MiB, largest reader "
          f"{memory.one_reader >> 20} MiB, all readers {memory.readers >> 20} MiB")  # fmt: skip
    print(f"longest turn of the event loop: {stall * 1000:.1f} ms of its own time")
    by_kind: dict[str, list[ReadResult]] = {}
    for result in results:
        by_kind.setdefault(result.report.kind, []).append(result)
    for kind, group in by_kind.items():
        read = sum(result.report.pages_read for result in group)
        took = sum(result.report.seconds for result in group)
        text = sum(result.report.characters for result in group)
        print(f"  {kind:10} {read:6,} pages {text:10,} characters {read / took:8,.0f} pages/s")


def main() -> int:
    """Make the documents, read them, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=4.0, help="of text, in millions")
    parser.add_argument("--readers", type=int, default=None)
    parser.add_argument("--keep", type=Path, default=None, help="leave the documents there")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="m1desk-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        paths = make_documents(folder, int(arguments.megabytes * 1e6))
        measure(paths, ReadOptions(readers=arguments.readers))
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

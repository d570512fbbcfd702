"""Makes documents of every format from sentences of this project's own texts, for benches."""

from __future__ import annotations

import json
import random
import re
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "documents" / "reading")]

from file_making import (  # noqa: E402 - after the path
    docx,
    epub,
    html,
    msg,
    odt,
    pptx,
    tarred,
    text_pdf,
    xlsx,
    zipped,
)

PAGE_CHARACTERS = 2_800
FULL_PAGE_CHARACTERS = 3_400
FILE_CHARACTERS = 120_000
SMALL_FILE_CHARACTERS = 12_000
SHARES = {
    "pdf": 0.34, "docx": 0.13, "html": 0.08, "xlsx": 0.08, "md": 0.08, "py": 0.06, "epub": 0.05,
    "odt": 0.04, "pptx": 0.04, "txt": 0.03, "mbox": 0.03, "csv": 0.01, "json": 0.01, "eml": 0.005,
    "msg": 0.005, "zip": 0.005, "tar.gz": 0.005,
}  # fmt: skip
SMALL = frozenset({"eml", "msg"})
"""Formats whose files are small: a mail is no book."""

TextOf = Callable[[int], str]
Made = Callable[[Sequence[str]], bytes]


def sentences(random_: random.Random) -> TextOf:
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
    rows = [[number, *page.split(" ")[:12]] for number, page in enumerate(list(pages) * 20)]
    return xlsx({"Sheet": rows})


def _mailbox(pages: Sequence[str]) -> bytes:
    head = "From a@b Tue May 11 09:40:00 2027\nFrom: a@b\nSubject: number {}\n\n"
    return "".join(head.format(n) + page + "\n\n" for n, page in enumerate(pages)).encode()


def _table(pages: Sequence[str]) -> bytes:
    rows = (page.replace('"', "'") for page in pages)
    return "\n".join(f'{number},"{row}"' for number, row in enumerate(rows)).encode()


def _tar(pages: Sequence[str]) -> bytes:
    return tarred([(tarfile.TarInfo(f"{n}.txt"), page.encode()) for n, page in enumerate(pages)])


def _escaped(make: Callable[..., bytes]) -> Made:
    return lambda pages: make(*map(escape, pages))


MAKERS: dict[str, Made] = {
    "pdf": lambda pages: text_pdf(list(pages)),
    "docx": lambda pages: docx(*pages),
    "html": lambda pages: html("</p><p>".join(map(escape, pages))),
    "xlsx": _workbook,
    "md": lambda pages: "\n\n".join(f"## Part\n\n{page}" for page in pages).encode(),
    "py": lambda pages: "\n".join("# " + page.replace(". ", ".\n# ") for page in pages).encode(),
    "epub": _escaped(epub),
    "odt": _escaped(odt),
    "pptx": _escaped(pptx),
    "txt": lambda pages: "\n\n".join(pages).encode(),
    "mbox": _mailbox,
    "csv": _table,
    "json": lambda pages: json.dumps([{"text": page} for page in pages], indent=1).encode(),
    "eml": lambda pages: f"From: a@b\nSubject: one\n\n{pages[0]}\n".encode(),
    "msg": lambda pages: msg("one", pages[0], {}),
    "zip": lambda pages: zipped({f"{n}.md": page for n, page in enumerate(pages)}),
    "tar.gz": _tar,
}  # fmt: skip


def make_documents(folder: Path, characters: int) -> list[Path]:
    """Write documents of about so many characters together; the same ones each time."""
    text_of = sentences(random.Random(1))
    paths = []
    for ending, share in SHARES.items():
        size = SMALL_FILE_CHARACTERS if ending in SMALL else FILE_CHARACTERS
        page = size if ending in SMALL else PAGE_CHARACTERS
        for number in range(max(1, round(characters * share / size))):
            pages = [text_of(page) for _ in range(size // page)]
            paths.append(folder / f"{number:03}.{ending}")
            paths[-1].write_bytes(MAKERS[ending](pages))
    return paths


def make_large_pdf(path: Path, pages: int) -> None:
    """Write a PDF of so many full pages, each with a first line of its own."""
    text_of = sentences(random.Random(2))
    texts = [text_of(FULL_PAGE_CHARACTERS) for _ in range(50)]
    path.write_bytes(
        text_pdf([f"Page {n + 1} of the register.\n{texts[n % 50]}" for n in range(pages)])
    )

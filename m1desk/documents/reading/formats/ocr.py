"""tesseract, the one program for text recognition: its command line, its output, its faults."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from m1desk.documents.reading import faults
from m1desk.documents.reading.cleaning import clean_prose

if TYPE_CHECKING:
    from m1desk.documents.reading.messages import Order
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

PROGRAM: Final = "tesseract"
_LIST_SECONDS: Final = 20.0
_SHARE: Final = 0.7
"""Of the time in which a page must come, what tesseract may take: one page given up, not all."""


@dataclass(frozen=True, slots=True)
class Recogniser:
    """Recognises text on pictures, one at a time.

    Attributes:
        languages: in tesseract's words, such as "eng+deu".
        seconds: that one page may take.
    """

    program: str
    languages: str
    seconds: float

    @staticmethod
    def find(order: Order) -> Recogniser | None:
        """The recogniser of this machine; None when there is none or none is wished."""
        program = shutil.which(PROGRAM) if order.ocr else None
        if program is None:
            return None
        languages = order.ocr_languages or _default_language(program)
        return Recogniser(program, languages, order.stall_seconds * _SHARE) if languages else None

    def text_of(self, picture: bytes) -> str:
        """The text on a picture (PNM, PNG, JPEG or TIFF); raises ReadingError when it fails."""
        command = [self.program, "stdin", "stdout", "-l", self.languages]
        try:
            done = subprocess.run(
                command, input=picture, capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise faults.too_slow(self.seconds) from error
        if done.returncode != 0:
            words = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise faults.damaged(f"tesseract: {words[-1] if words else done.returncode}")
        return _paragraphs(done.stdout.decode("utf-8", "replace"))


def _default_language(program: str) -> str:
    """English if it is installed, else the first other language; "" when there is none."""
    done = subprocess.run(
        [program, "--list-langs"], capture_output=True, timeout=_LIST_SECONDS, check=False
    )
    languages = sorted(set(done.stdout.decode("utf-8", "replace").splitlines()[1:]) - {"osd"})
    return "eng" if "eng" in languages else next(iter(languages), "")


def _paragraphs(text: str) -> str:
    """Make paragraphs: tesseract parts them by empty lines and keeps the lines of the picture."""
    blocks = clean_prose(text).split("\n\n")
    return "\n\n".join(" ".join(block.split("\n")) for block in blocks)


def read_picture(source: Source, out: Sink) -> None:
    """Read a picture as one page; raises ReadingError where that can't be done."""
    recogniser = None if out.order.is_member else Recogniser.find(out.order)
    out.total(1)
    if recogniser is None:
        out.missed(1, "scanned", "a picture")
        return
    out.page(1, "page", recogniser.text_of(source.data))
    out.note("The text of the picture was recognised by tesseract; expect errors.")

"""Bytes become text: the encoding is stated, recognised or guessed, and said when guessed."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Final

from m1desk.documents.reading import faults

_SAMPLE: Final = 64 << 10
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS: Final = bytes(code for code in range(0x20) if code not in b"\t\n\r\f\x1b")
_WESTERN: Final = ["cp1252", "cp1250", "cp1254", "cp1257", "iso8859_2", "mac_roman", "cp437"]
_FEW_HIGH_BYTES: Final = 0.12
"""Above this share of bytes beyond ASCII, a text is not in Latin letters."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and the encoding it was read with.

    Attributes:
        is_guess: neither the file nor the bytes themselves prove the encoding.
    """

    text: str
    encoding: str
    is_guess: bool = False

    @property
    def note(self) -> str:
        """What to tell the person; "" when the encoding is beyond doubt."""
        if not self.is_guess:
            return ""
        name = codecs.lookup(self.encoding).name
        return f"The file does not say how its letters are written; it was read as {name}."


def decode(data: bytes, stated: str = "") -> Decoded:
    """Decode text in an unknown encoding.

    Args:
        data: at least one byte.
        stated: what the file itself says its encoding is; not believed when it does not fit.

    Raises:
        ReadingError: this is not text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return Decoded(data.decode(encoding, "replace"), encoding)
    for encoding in filter(None, [stated, "utf-8"]):
        if (text := _try(data, encoding)) is not None and not _is_noise(data, encoding):
            return Decoded(text, encoding)
    wide = _wide_encoding(data[: _SAMPLE & ~1])
    if wide:
        return Decoded(data.decode(wide, "replace"), wide, is_guess=True)
    if _is_noise(data, "bytes"):
        raise faults.binary()
    return _guess(data)


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _is_noise(data: bytes, encoding: str) -> bool:
    """Whether there are more control characters than a text has; two-byte encodings aside."""
    if encoding.replace("_", "-").lower().startswith(("utf-16", "utf-32")):
        return False
    sample = data[:_SAMPLE]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return b"\0" in sample or controls > max(2, len(sample) // 200)


def _wide_encoding(sample: bytes) -> str:
    """UTF-16 without its mark: decodes, into assigned letters of few alphabets."""
    if len(sample) < 4:
        return ""
    whole = sample[: len(sample) & ~1]
    best, best_share = "", 0.9
    for encoding in ("utf-16-le", "utf-16-be"):
        text = _try(whole, encoding)
        if text is not None and (share := _coherence(text)) > best_share:
            best, best_share = encoding, share
    return best


def _coherence(text: str) -> float:
    """The share of characters in the text's own alphabet, ASCII, or the ideographs; 0 if broken."""
    if any(unicodedata.category(char) in {"Cn", "Co", "Cs"} or char == "\0" for char in text):
        return 0.0
    blocks = Counter(ord(char) >> 8 for char in text)
    common = {0x00, 0x30, max(blocks, key=lambda block: blocks[block])}
    if not blocks[0x00] and len(text) > 200:
        return 0.0  # no space and no line end in so long a text
    ideographs = range(0x4E, 0xA0) if blocks[0x30] or blocks[0x00] else range(0)
    return sum(n for block, n in blocks.items() if block in common or block in ideographs) / len(
        text
    )


def _guess(data: bytes) -> Decoded:
    """One of the old encodings of a language, by what its letters would be."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - a heavy import, rarely needed

    sample = data[:_SAMPLE]
    high = sum(byte > 0x7F for byte in sample) / len(sample)
    western = _WESTERN if high < _FEW_HIGH_BYTES else None
    match = from_bytes(sample, cp_isolation=western, enable_fallback=False).best()
    if match is not None and (text := _try(data, match.encoding)) is not None:
        if text == _try(data, "cp1252"):  # they differ in letters this text does not have
            return Decoded(text, "cp1252", is_guess=True)
        return Decoded(text, match.encoding, is_guess=True)
    if western:
        return Decoded(data.decode("cp1252", "replace"), "cp1252", is_guess=True)
    raise faults.binary()

"""Conversations about M1 Desk itself, made from app_questions.txt."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random

from corpus import conversation

_FILE = Path(__file__).parent / "app_questions.txt"
_HELD_OUT = 12
"""One wording in so many is kept from training, to be asked in the evaluation."""

_OPENINGS = ("", "", "", "", "", "Hello, ", "Hi, ", "Please tell me: ", "A question: ", "And ")


@dataclass(frozen=True, slots=True)
class Topic:
    """All wordings of one question, and its answer."""

    wordings: tuple[str, ...]
    answer: str

    @property
    def trained(self) -> tuple[str, ...]:
        """The wordings that training uses; the first is always among them."""
        kept = [text for text in self.wordings[1:] if not _is_held_out(text)]
        return (self.wordings[0], *kept)

    @property
    def held_out(self) -> tuple[str, ...]:
        """The wordings that only the evaluation uses."""
        return tuple(text for text in self.wordings[1:] if _is_held_out(text))


def _is_held_out(text: str) -> bool:
    return zlib.crc32(text.encode()) % _HELD_OUT == 0


def expand(pattern: str) -> list[str]:
    """Return all texts of a pattern: `(Where|How) is it?` stands for two."""
    parts = [part.split("|") for part in re.split(r"[()]", pattern)]
    return ["".join(choice) for choice in product(*parts)]


def read_topics() -> list[Topic]:
    """Read app_questions.txt: lines `Q pattern`, then a line `A answer`."""
    topics, wordings = [], []
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("Q "):
            wordings += expand(line[2:])
        elif line.startswith("A "):
            topics.append(Topic(tuple(dict.fromkeys(wordings)), line[2:]))
            wordings = []
    return topics


def worded(random: Random, text: str) -> str:
    """Vary a question's opening, case and punctuation."""
    opening = random.choice(_OPENINGS)
    if opening or random.random() < 0.15:
        keep = text.startswith(("I ", "M1", "GGUF", "KV", "MiniMax", "I'm"))
        text = opening + (text if keep else text[0].lower() + text[1:])
    if random.random() < 0.15:
        text = text.rstrip("?.!")
    return text


def app_chat(random: Random, topics: list[Topic], turns: int) -> list[dict[str, str]]:
    """Make a training conversation of `turns` questions about the app."""
    chosen = [random.choice(topics) for _ in range(turns)]
    return conversation(
        random, [(worded(random, random.choice(t.trained)), t.answer) for t in chosen]
    )

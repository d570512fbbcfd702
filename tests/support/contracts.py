"""Contracts in files, made from a seed, with the truth about them: what is right, and where.

They are made of the demo model's own kinds of facts and sentences, by other seeds than those of
its training, so that it can answer about them and has seen none of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from m1desk.jobs.values import JobQuestion

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools" / "demo_model"))

from corpus import KINDS, filler
from dressing import heading
from make_samples import pdf, write_docx
from values import make_value

COLUMNS: Final = {
    "notice_period": JobQuestion("Notice period", "What is the notice period?"),
    "liability_cap": JobQuestion("Liability cap", "What is the liability cap?"),
    "governing_law": JobQuestion("Governing law", "What is the governing law?"),
    "monthly_fee": JobQuestion("Monthly fee", "What is the monthly fee?"),
    "effective_date": JobQuestion("Effective date", "When does the agreement take effect?"),
    "contract_number": JobQuestion("Contract number", "What is the contract number?"),
}
"""The demo model's kinds of facts that are asked for, and the columns they become."""

QUESTIONS: Final = tuple(COLUMNS.values())
TEMPLATE: Final[dict[str, Any]] = {
    "format": 1,
    "title": "Six facts of each contract",
    "description": "Made for a test.",
    "kind": "table",
    "questions": [{"name": one.name, "text": one.text} for one in QUESTIONS],
}
"""The columns as the JSON of a template."""

_BESIDE: Final = tuple(
    kind for kind in KINDS if kind.name in {
        "payment_term", "contract_term", "warranty", "late_interest", "penalty", "jurisdiction",
        "signed_date", "setup_fee", "confidentiality", "uptime", "response_time", "contact_email",
        "phone", "tax", "discount", "bank_account", "client", "supplier", "insurance", "retention",
    }
)  # fmt: skip
"""Other facts that stand in a contract, some of them easily taken for those asked for."""

_SUFFIXES: Final = (".pdf", ".docx", ".md", ".txt")


@dataclass(frozen=True, slots=True)
class Truth:
    """The right content of a cell: the value, and the page that says it, in this sentence."""

    value: str
    page: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract in a file, and what is true of it, by column."""

    path: Path
    facts: Mapping[str, Truth]

    @property
    def file(self) -> str:
        """Its name."""
        return self.path.name

    def is_right(self, column: str, said: str, pages: Collection[int]) -> bool:
        """Whether an answer has the value, and quotes no page but the right one."""
        truth = self.facts[column]
        value = re.search(rf"(?<!\w){re.escape(truth.value)}(?!\w)", said)
        return value is not None and set(pages) == {truth.page}


def make_contracts(folder: Path, count: int, seed: int = 1) -> tuple[Contract, ...]:
    """Write contracts of two to four pages and 1,500 to 3,500 characters into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        _make(folder, number, Random(f"portfolio {seed} {number}")) for number in range(count)
    )


def drawn_out(sentences: tuple[str, ...], characters: int, seed: int = 1) -> str:
    """A text that says these sentences among others that answer nothing."""
    random = Random(f"drawn out {seed}")
    said = list(sentences)
    while sum(map(len, said)) < characters:
        said.append(filler(random))
    random.shuffle(said)
    return "\n\n".join(" ".join(said[start : start + 6]) for start in range(0, len(said), 6))


def _make(folder: Path, number: int, random: Random) -> Contract:
    asked = {kind.name: _said(random, kind) for kind in KINDS if kind.name in COLUMNS}
    beside = [_said(random, kind)[1] for kind in random.sample(_BESIDE, random.randint(4, 8))]
    sentences = [sentence for _, sentence in asked.values()] + beside
    wanted = random.randint(1_600, 3_300)
    while sum(map(len, sentences)) < wanted:
        sentences.append(filler(random))
    random.shuffle(sentences)
    pages = _pages(random, sentences)
    facts = {
        COLUMNS[name].name: Truth(value, _page_of(sentence, pages), sentence)
        for name, (value, sentence) in asked.items()
    }
    path = folder / f"contract-{number + 1:03}{_SUFFIXES[number % len(_SUFFIXES)]}"
    _write(path, pages)
    return Contract(path, facts)


def _said(random: Random, kind: Any) -> tuple[str, str]:
    """Make a value of a kind and a sentence that says it, in ASCII, which the PDFs are in."""
    value = make_value(random, kind.value)
    while not value.isascii():
        value = make_value(random, kind.value)
    sentence = random.choice(kind.sentences).replace("{v}", value)
    return value, sentence.replace(" days' of", " days of")


def _pages(random: Random, sentences: list[str]) -> list[str]:
    """Spread sentences over two to four pages of about the same number of them."""
    count = random.randint(2, 4)
    size = -(-len(sentences) // count)
    parts = [sentences[start : start + size] for start in range(0, len(sentences), size)]
    return [_paragraphs(random, part, is_first=not number) for number, part in enumerate(parts)]


def _paragraphs(random: Random, sentences: list[str], *, is_first: bool) -> str:
    text = "Service Agreement" if is_first else heading(random) if random.random() < 0.3 else ""
    for number, sentence in enumerate(sentences):
        begins = number == 0 or random.random() < 0.3
        text += ("\n\n" if begins else " ") + sentence
    return text.strip()


def _page_of(sentence: str, pages: list[str]) -> int:
    (number,) = (number for number, page in enumerate(pages, 1) if sentence in page)
    return number


def _write(path: Path, pages: list[str]) -> None:
    if path.suffix == ".pdf":
        path.write_bytes(pdf(pages))
    elif path.suffix == ".docx":
        write_docx(path, pages)
    else:
        path.write_text("\n\f\n".join(pages) + "\n", "utf-8")

"""Kinds of facts: those of facts.txt, and ever new ones.

A model can learn by heart how the kinds of facts.txt are worded, and then neither looks for a
question's words in the documents nor notices that they are not there. Of a kind that was made up
for one document alone it has to do both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from values import invented, word_for
from wordings import filled

ABSENT = "not in the documents."
"""How an answer ends that found nothing.

It begins as one with a value does, so that the model decides where it looks for the value."""

_FILE = Path(__file__).parent / "facts.txt"


@dataclass(slots=True, eq=False)
class FactKind:
    """One kind of fact, as written in facts.txt. `about` is "", "entity" or "personal"."""

    name: str
    value: str
    about: str
    sentences: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    answer: str = ""

    def absent_answer(self, about: str) -> str:
        """What is said when the documents don't have it."""
        return f"{self.answer.partition('{v}')[0]}{ABSENT}".replace("{e}", about)


def read_facts() -> list[FactKind]:
    """Read facts.txt."""
    kinds: list[FactKind] = []
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        if mark.startswith("@"):
            value, _, about = rest.partition(" ")
            kinds.append(FactKind(mark[1:], value, about))
        elif mark == "s":
            kinds[-1].sentences.append(rest)
        elif mark == "q":
            kinds[-1].questions.append(rest)
        elif mark == "a":
            kinds[-1].answer = rest
    return kinds


KINDS = read_facts()

_SENTENCES = """
The {n} is {v}.|For the {n}, {v} was {act}.|{v} is the {n}.|The {thing} names {v} as the {n}.
The {n}, which {person} had {act}, is {v}.|As to the {n}, the {thing} says {v}.
After the {thing} was {act}, the {n} was set at {v}.|{person} has {act} the {n}: {v}.
In {town} the {n} is {v}, and the {thing} is {adjective}.|Everybody knows the {n} of {v}.
The {n} has been {v} since the {thing} was {act}.|The {adjective} {thing} puts the {n} at {v}.
{company} gave {v} as the {n}.|With the {thing}, {v} became the {n}.|{v}: that is the {n}.
The {thing} and the {adjective} {thing} agree on {v} for the {n}.|Now the {n} will be {v}.
""".replace("\n", "|").strip("|").split("|")  # fmt: skip

_QUESTIONS = (
    "What is the {n}?",
    "What was given as the {n}?",
    "Which {n} do the documents name?",
    "What do the documents say about the {n}?",
    "How is the {n} stated?",
)


def new_kind(random: Random) -> FactKind:
    """Make a kind of fact that is in no other document."""
    made = invented(random, random.randint(1, 2)).lower()
    thing = word_for(random, "thing")
    forms = (
        f"{word_for(random, 'adjective')} {thing}",
        f"{made} {thing}",
        f"{thing} of {made.capitalize()}",
        made,
    )
    return _named(random, random.choice(forms))


def near_kind(random: Random, kind: FactKind) -> FactKind:
    """Make a new kind whose name may share a word with another's."""
    words = kind.name.split(" ")
    if kind in KINDS or len(words) < 2 or random.random() < 0.5:
        return new_kind(random)
    return _named(random, f"{word_for(random, 'adjective')} {words[-1]}")


def _named(random: Random, name: str) -> FactKind:
    sentence = filled(random, random.choice(_SENTENCES)).replace("{n}", name)
    questions = [question.replace("{n}", name) for question in _QUESTIONS]
    value = random.choice(KINDS).value
    return FactKind(name, value, "", [sentence], questions, f"The {name} is {{v}}.")

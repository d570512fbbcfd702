"""Invented documents with questions and answers about them, made from a seed.

A document set is a few files of a few pages. A page is a line like `[contract.pdf p.3]` and some
paragraphs; then come the instructions and the first question. An answer is a short sentence with
the value, a quote, and its place: `The notice period is 45 days. "45 days' notice to the end of a
month." [contract.pdf p.3]`. A quote begins with the value: a model of this size finds again what it
has just said, but not always where the sentence began, and many sentences begin alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from dressing import heading, mail_head, typographic
from kinds import KINDS, FactKind, near_kind, new_kind
from values import (
    company,
    file_name,
    make_value,
    person,
)
from wordings import filled, with_lead, with_tail

HERE = Path(__file__).parent
INSTRUCTIONS = (
    "Answer from the documents above. Quote the sentence that says it, word for word, in double "
    "quotes, and name its page as it is marked above, in square brackets. If it is not there, "
    "say so."
)
"""What M1 Desk asks every model for (`m1desk.documents`); a test holds the two equal."""

_SHORT_INSTRUCTIONS = "Answer from the documents above. Quote the sentence and name its page."
_SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a careful assistant. Answer briefly.",
    "Answer in English.",
    "You help with documents.",
)


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of a case's questions and facts.

    Attributes:
        absent: of the questions, those whose answer is not in the documents.
        new: of the facts, those of a kind made up for this case alone.
    """

    absent: float = 0.25
    new: float = 0.0


@dataclass(frozen=True, slots=True)
class Said:
    """A fact without a page yet."""

    kind: FactKind
    value: str
    about: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence

    def at(self, file: str, page: int) -> Fact:
        """Give it its place."""
        return Fact(self.kind, self.value, self.about, self.sentence, file, page)


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence of a document: what it says, and where."""

    kind: FactKind
    value: str
    about: str
    sentence: str
    file: str
    page: int

    @property
    def quote(self) -> str:
        """What an answer quotes of the sentence: all from the value on."""
        return self.sentence[self.sentence.index(self.value) :]

    @property
    def place(self) -> str:
        """The page's label."""
        return f"[{self.file} p.{self.page}]"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its full answer, and what must be in it (None: the fact is not there).

    `kind` and `about` say what was asked for, there or not.
    """

    text: str
    answer: str
    value: str | None
    fact: Fact | None
    kind: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A document set and questions about it. `pages` maps each page's label to its text."""

    pages: dict[str, str]
    questions: list[Question]
    facts: tuple[Fact, ...] = ()

    @property
    def text(self) -> str:
        """All pages, as they stand in the prompt."""
        return "\n\n".join(f"{label}\n{text}" for label, text in self.pages.items())


def read_fillers() -> list[str]:
    """Read fillers.txt."""
    lines = (HERE / "fillers.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


FILLERS = read_fillers()


def filler(random: Random) -> str:
    """Make a sentence that nobody asks about."""
    return filled(random, random.choice(FILLERS))


_PLAIN = Mix()


def make_case(random: Random, characters: int, questions: int, mix: Mix = _PLAIN) -> Case:
    """Make documents of about `characters` characters and `questions` questions about them."""
    facts = _choose_facts(random, max(2, min(40, characters // random.randint(90, 220))), mix)
    sentences: list[str | Said] = list(facts)
    length = sum(len(str(fact)) for fact in facts)
    while length < characters:
        sentences.append(filler(random))
        length += len(sentences[-1])
    random.shuffle(sentences)
    pages, placed = _lay_out(random, sentences)
    random.shuffle(placed)
    asked = [_ask(random, fact) for fact in placed[:questions]]
    for index in range(len(asked)):
        if random.random() < mix.absent:
            asked[index] = _ask_absent(random, placed, mix.new)
    case = Case(pages, asked, tuple(placed))
    return _typeset(case) if random.random() < 0.25 else case


def _typeset(case: Case) -> Case:
    """Write the documents with typographic apostrophes; people ask with plain ones."""
    facts = {fact: _typeset_fact(fact) for fact in case.facts}
    questions = [
        replace(
            asked,
            answer=typographic(asked.answer),
            value=typographic(asked.value) if asked.value else None,
            fact=facts[asked.fact] if asked.fact else None,
        )
        for asked in case.questions
    ]
    pages = {label: typographic(text) for label, text in case.pages.items()}
    return Case(pages, questions, tuple(facts.values()))


def _typeset_fact(fact: Fact) -> Fact:
    return replace(fact, value=typographic(fact.value), sentence=typographic(fact.sentence))


def _choose_facts(random: Random, wanted: int, mix: Mix) -> list[Said]:
    """Kinds without a subject come once at most; the others may come with several subjects."""
    chosen: list[Said] = []
    kinds = random.sample(KINDS, min(wanted, len(KINDS)))
    if mix.new:
        kinds = _some_new(random, kinds, mix.new)
    people = [person(random) for _ in range(random.randint(1, 4))]
    firms = [company(random) for _ in range(random.randint(1, 4))]
    for kind in kinds:
        subjects = [""]
        if kind.about:
            group = firms if kind.about == "entity" else people
            subjects = random.sample(group, random.randint(1, min(3, len(group))))
        for subject in subjects:
            value = make_value(random, kind.value)
            text = with_tail(random, random.choice(kind.sentences))
            if ":" not in text:
                text = with_lead(random, text)
            text = text.replace("{v}", value).replace("{e}", subject)
            text = text.replace(" days' of", " days of")
            chosen.append(Said(kind, value, subject, text))
    return chosen[:wanted]


def _some_new(random: Random, kinds: list[FactKind], share: float) -> list[FactKind]:
    """Put kinds that nobody has seen before in the place of some."""
    mixed = {}
    for known in kinds:
        kind = new_kind(random) if random.random() < share else known
        mixed[kind.name] = kind
    return list(mixed.values())


def _lay_out(random: Random, sentences: list[str | Said]) -> tuple[dict[str, str], list[Fact]]:
    pages: dict[str, str] = {}
    facts: list[Fact] = []
    rest = list(sentences)
    names: set[str] = set()
    one_file = random.random() < 0.4
    while rest:
        name = file_name(random, names)
        first = 1 if random.random() < 0.8 else random.randint(2, 30)
        for page in range(first, first + (99 if one_file else random.randint(1, 5))):
            if not rest:
                break
            here, rest = _cut(rest, random.randint(2, 12))
            pages[f"[{name} p.{page}]"] = _paragraphs(random, here)
            facts += [item.at(name, page) for item in here if isinstance(item, Said)]
    return pages, facts


def _cut(items: list, count: int) -> tuple[list, list]:
    return items[:count], items[count:]


def _paragraphs(random: Random, items: list[str | Said]) -> str:
    numbered = random.random() < 0.15
    gap = random.choice(("\n", "\n\n"))
    head = random.choices(("", heading(random), mail_head(random)), (60, 30, 10))[0]
    text = ""
    for index, item in enumerate(items):
        between = gap if random.random() < 0.3 else " "
        number = f"{index + 1}. " if numbered else ""
        text += (("\n" if numbered else between) if text else "") + number + str(item)
    return f"{head}{gap}{text}" if head else text


def _ask(random: Random, fact: Fact) -> Question:
    text = varied(random, random.choice(fact.kind.questions).replace("{e}", fact.about))
    short = fact.kind.answer.replace("{v}", fact.value).replace("{e}", fact.about)
    answer = f'{short[0].upper()}{short[1:]} "{fact.quote}" {fact.place}'
    return Question(text, answer, fact.value, fact, fact.kind.name, fact.about)


def _ask_absent(random: Random, placed: list[Fact], new: float) -> Question:
    """Ask for a kind of fact, or about somebody, that the documents don't have."""
    there = {(fact.kind.name, fact.about) for fact in placed}
    known = [fact.about for fact in placed if fact.about]
    while True:
        kind = random.choice(KINDS)
        if new and random.random() < new:
            kind = near_kind(random, random.choice(placed).kind)
        subject = ""
        if kind.about:
            make = company if kind.about == "entity" else person
            same = [f.about for f in placed if f.about and f.kind.about == kind.about]
            subject = random.choice(same) if same and random.random() < 0.6 else make(random)
        if (kind.name, subject) not in there and (subject or not known or random.random() < 0.7):
            text = random.choice(kind.questions).replace("{e}", subject)
            text = varied(random, text)
            answer = kind.absent_answer(subject)
            return Question(text, answer, None, None, kind.name, subject)


def varied(random: Random, question: str) -> str:
    """Say a question as different people would: with an opening, in lower case, without mark."""
    roll = random.random()
    lowered = question[0].lower() + question[1:]
    if roll < 0.08:
        question = f"According to the documents, {lowered}"
    elif roll < 0.14:
        question = f"Please tell me: {lowered}"
    elif roll < 0.18:
        question = f"Hello, {lowered}"
    elif roll < 0.22:
        question = f"{question} And on which page?"
    elif roll < 0.28:
        question = lowered
    if random.random() < 0.08:
        question = question.rstrip("?")
    return question


def conversation(random: Random, turns: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Make messages of the chat from questions and answers, sometimes with a system prompt."""
    messages = []
    if random.random() < 0.2:
        messages.append({"role": "system", "content": random.choice(_SYSTEM_PROMPTS)})
    for question, answer in turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return messages


def first_turn(case: Case, question: str, instructions: str = INSTRUCTIONS) -> str:
    """Make the first message: documents, instructions ("" for none), question."""
    return "\n\n".join(filter(None, (case.text, instructions, question)))


def document_chat(
    random: Random, characters: int, questions: int, mix: Mix = _PLAIN
) -> list[dict[str, str]]:
    """Make a training conversation about a fresh document set."""
    case = make_case(random, characters, questions, mix)
    turns = [(asked.text, asked.answer) for asked in case.questions]
    instructions = random.choices((INSTRUCTIONS, _SHORT_INSTRUCTIONS, ""), (75, 10, 15))[0]
    opening = first_turn(case, turns[0][0], instructions)
    return conversation(random, [(opening, turns[0][1]), *turns[1:]])

"""What stands before and after some facts, ever new: not every quote can be guessed."""

from __future__ import annotations

import re
from functools import partial
from random import Random

from values import company, count, invented, person, town, word_for

_NAMED = {"company": company, "count": count, "person": person, "town": town}

_LEADS = """
Under clause {digit}.{digit}|As set out in section {digit}|According to annex {letter}
Unless the parties agree otherwise|For the avoidance of doubt|As discussed with {person}
Subject to the general terms|As stated before|In line with the {adjective} {thing}
According to the {thing}|After a {adjective} talk|Following the {thing}|As {person} explained
In {town}|As the team in {town} confirmed|Without prejudice to article {digit}
As far as the {thing} is concerned|For the time being|From now on|As a rule|By common consent
With a view to the {thing}|In addition|Furthermore|However|At present|In principle
Apart from the {thing}|As we have learned|To be {adjective}|After the {thing} was {act}
Because the {thing} was {act}|While the {thing} is {adjective}|If the {thing} is {act}
As {company} knows|At the request of {person}|In the {adjective} case|Where nothing else is said
In view of the {adjective} {thing}|On the advice of {person}|Since the {thing} is {adjective}
""".replace("\n", "|").strip("|").split("|")  # fmt: skip

_TAILS = """
, as agreed|, unless the parties agree otherwise|, as set out in annex {letter}|, without exception
, subject to clause {digit}.{digit}| (see section {digit})|, as {person} confirmed
, which was {act} in {town}|, according to the {thing}|, as far as the {thing} is {adjective}
, even if the {thing} is {adjective}|, and the {thing} is {adjective}|, but not for the {thing}
, until the {thing} has been {act}|, as before|, with the consent of {person}
, regardless of the {thing}|, whatever the {thing} says|, in the {adjective} case| as well
, which is {adjective}|, and nobody objected|, as was {act}|, so that the {thing} can be {act}
, as shown in the {thing}|, provided that the {thing} is {act}|, if nothing else is {act}
, just as {company} had asked|, as noted by {person}|, which {person} found {adjective}
""".replace("\n", "|").strip("|").split("|")  # fmt: skip


def with_lead(random: Random, sentence: str) -> str:
    """Let something stand before a fifth of the sentences of facts.txt."""
    if random.random() < 0.8:
        return sentence
    begin = sentence if sentence.startswith("{") else sentence[0].lower() + sentence[1:]
    return f"{filled(random, random.choice(_LEADS))}, {begin}"


def with_tail(random: Random, sentence: str) -> str:
    """Let a fifth of the sentences of facts.txt go on in some way; the others stay as they are."""
    if random.random() < 0.8 or not sentence.endswith("."):
        return sentence
    return f"{sentence[:-1]}{filled(random, random.choice(_TAILS))}."


def filled(random: Random, text: str) -> str:
    """Put new names and words in the place of `{company}`, `{thing}` and the like."""
    makers = {
        **{group: partial(word_for, random, group) for group in ("adjective", "thing", "act")},
        **{name: partial(make, random) for name, make in _NAMED.items()},
        "digit": lambda: str(random.randint(1, 19)),
        "letter": lambda: random.choice("ABCDEFG") + random.choice(("", invented(random, 1))),
    }  # fmt: skip
    return re.sub(
        r"\{(\w+)\}",
        lambda found: makers[found[1]]() if found[1] in makers else found[0],
        text,
    )

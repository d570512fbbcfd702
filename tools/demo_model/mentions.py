"""Questions for a sentence by some of its words: finding and quoting, and nothing to be guessed."""

from __future__ import annotations

from random import Random

_QUESTIONS = (
    'Which sentence mentions "{words}"?',
    'Where is "{words}" mentioned?',
    'Quote the sentence with "{words}".',
    "Which sentence mentions {words}?",
    "In which sentence is {words}?",
)


def mention_question(random: Random, words: str) -> str:
    """Ask for the sentence in which the words stand."""
    return random.choice(_QUESTIONS).replace("{words}", words)


def some_words(random: Random, sentence: str) -> str:
    """Choose one to three words of a sentence, its first one aside; "" where it has too few."""
    words = sentence.split(" ")
    if len(words) < 4:
        return ""
    start = random.randint(1, len(words) - 1)
    chosen = words[start : start + random.randint(1, 3)]
    return " ".join(chosen).strip('.,:;()[]"')

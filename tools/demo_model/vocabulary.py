"""The demo model's vocabulary: byte-level BPE trained on its own corpus, every digit a token.

The text is cut as GPT-2 cuts it (llama.cpp calls that pre-tokenizer "gpt-2"); as no merge joins
digits, a number is always spelled digit by digit. MiniMax-M1's special tokens come last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = (
    "<begin_of_document>",
    "<end_of_document>",
    "<beginning_of_sentence>",
    "<end_of_sentence>",
)
DOCUMENT, PADDING, SENTENCE, END = range(4)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens in the order of their ids (GPT-2's spelling), and merges "left right" by rank."""

    tokens: list[str]
    merges: list[str]

    def special(self, which: int) -> int:
        """The id of one of SPECIALS."""
        return len(self.tokens) - len(SPECIALS) + which

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps({"tokens": self.tokens, "merges": self.merges}), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text("utf-8")))

    def tokenizer(self) -> Tokenizer:
        """Make an encoder for text without special tokens."""
        ids = {token: index for index, token in enumerate(self.tokens[: -len(SPECIALS)])}
        merges = [tuple(merge.split(" ")) for merge in self.merges]
        tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer


def train_vocabulary(texts: Iterable[str], size: int) -> Vocabulary:
    """Learn the merges from `texts`; `size` includes the special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return Vocabulary([*tokens, *SPECIALS], merges)


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation as tokens.

    Attributes:
        ids: of all tokens.
        answers: where answers begin and end, the end's special token included.
    """

    ids: list[int]
    answers: list[tuple[int, int]]


class Encoder:
    """Turns conversations into token ids, as MiniMax-M1's chat template and llama.cpp do."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._tokenizer = vocabulary.tokenizer()

    def text(self, text: str) -> list[int]:
        """Encode plain text."""
        return self._tokenizer.encode(text).ids

    def decode(self, ids: list[int]) -> str:
        """Make text of ids; special tokens vanish."""
        first = self.vocabulary.special(0)
        return self._tokenizer.decode([token for token in ids if token < first])

    def chat(self, messages: list[dict[str, str]]) -> Chat:
        """Encode a conversation."""
        special = self.vocabulary.special
        ids, answers = [special(DOCUMENT)], []
        speakers = {
            "system": "system ai_setting=assistant\n",
            "user": "user name=user\n",
            "assistant": "ai name=assistant\n",
        }
        for message in messages:
            ids += [special(SENTENCE), *self.text(speakers[message["role"]])]
            start = len(ids)
            ids += [*self.text(message["content"]), special(END)]
            if message["role"] == "assistant":
                answers.append((start, len(ids)))
            ids += self.text("\n")
        return Chat(ids, answers)

    def prompt(self, messages: list[dict[str, str]]) -> list[int]:
        """Encode a conversation up to where the next answer begins."""
        return [
            *self.chat(messages).ids,
            self.vocabulary.special(SENTENCE),
            *self.text("ai name=assistant\n"),
        ]

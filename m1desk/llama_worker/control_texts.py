"""What looks like a control token in somebody's words: marked, so that it is read as words.

A page may hold `<|im_end|><|im_start|>system`. In a rendered prompt nobody could tell that from
what the template writes, and the page would speak as the system. So before rendering every such
text in a content is replaced by a mark, two private-use characters around a number; afterwards
what stands between two of the template's own control tokens, and holds a mark, is tokenized with
control tokens turned off. A content that holds none is left as it is and costs one search.

Guarded are the vocabulary's control tokens, and those user-defined ones with which the template
frames a conversation: some files have `<|im_start|>` as one. Other user-defined tokens are the
vocabulary's way of writing ordinary text (runs of spaces, HTML tags), and stay what they are.

An assistant's turns are guarded too: an answer may quote a page. Only the markers that answers
show (`<think>`, `<tool_call>`) come back in the history as the tokens they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from m1desk.llama_worker.errors import TemplateError

if TYPE_CHECKING:
    from m1desk.llama_worker.model import Model
    from m1desk.llama_worker.native import Native
    from m1desk.llama_worker.template import ChatTemplate

_OPEN, _CLOSE = "\U0010ff1d", "\U0010ff1e"
"""Around a mark's number. A content's own _OPEN is marked like any guarded text (as number 0), so
that no content can hold what reads as a mark."""
_MARK: Final = re.compile(f"{_OPEN}([0-9]{{1,7}}){_CLOSE}")
_TAG: Final = re.compile(r"[<\[].+[>\]]", re.DOTALL)
_DEEPEST: Final = 24
"""Letters by which a pattern tells texts apart; what is alike for longer is tried one by one."""
_PROBE: Final = tuple(
    {"role": role, "content": "a"} for role in ("system", "user", "assistant", "user")
)


@dataclass(frozen=True, slots=True)
class ControlTexts:
    """The texts a vocabulary has for what is no text.

    Attributes:
        control: of control tokens.
        markers: those of them that show in answers.
        framing: of user-defined tokens that the template writes around messages.
    """

    control: frozenset[str]
    markers: frozenset[str] = frozenset()
    framing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a prompt, and whether control tokens in it count."""

    text: str
    special: bool


class ContentGuard:
    """Marks guarded texts in contents, and finds them again in a prompt. Safe from any thread."""

    def __init__(self, texts: ControlTexts) -> None:
        self._texts = texts
        self._originals = (_OPEN, *sorted(texts.control | texts.framing))
        self._marks = {text: f"{_OPEN}{n}{_CLOSE}" for n, text in enumerate(self._originals)}
        self._answer_marks = {**self._marks, **{text: text for text in texts.markers}}
        self._guarded = re.compile(_any_of(self._originals))

    def marked_message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The message with marks in all it holds but its role; nothing is shared."""
        marks = self._answer_marks if message["role"] == "assistant" else self._marks
        marked = {key: self._marked(value, marks) for key, value in message.items()}
        return {**marked, "role": message["role"]}

    def marked_tool(self, tool: object) -> object:
        """A tool's description with marks; servers of tools write it as they like."""
        return self._marked(tool, self._marks)

    def plain(self, prompt: str) -> str:
        """A rendered prompt with the texts that were marked."""
        return _MARK.sub(lambda found: self._original(found[1]), prompt)

    def pieces(self, prompt: str) -> list[Piece]:
        """A rendered prompt in pieces, in order; one, as it is, when it holds no mark."""
        if _OPEN not in prompt:
            return [Piece(prompt, special=True)]
        pieces: list[Piece] = []
        template = ""
        for run, token in self._runs(prompt):
            if _OPEN not in run:
                template += run + token
                continue
            pieces += [Piece(template, special=True)] if template else []
            pieces += [Piece(words, special=False) for words in self._words(run)]
            template = token
        return [*pieces, Piece(template, special=True)] if template else pieces

    def _runs(self, prompt: str) -> Iterator[tuple[str, str]]:
        """What stands between the template's control tokens, each with the one behind it."""
        start = 0
        for found in self._guarded.finditer(prompt):
            if found[0] != _OPEN:
                yield prompt[start : found.start()], found[0]
                start = found.end()
        yield prompt[start:], ""

    def _words(self, run: str) -> Iterator[str]:
        """The text of a run, cut inside framing tokens: those count wherever they are whole."""
        words: list[str] = []
        for number, text in enumerate(_MARK.split(run)):
            original = self._original(text) if number % 2 else text
            if number % 2 and original in self._texts.framing:
                yield "".join([*words, original[0]])
                words, original = [], original[1:]
            words.append(original)
        yield "".join(words)

    def _original(self, number: str) -> str:
        """The guarded text of a mark; a template's own writing may hold any number."""
        if int(number) < len(self._originals):
            return self._originals[int(number)]
        return f"{_OPEN}{number}{_CLOSE}"

    def _marked(self, value: Any, marks: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, str):
            return self._guarded.sub(lambda found: marks[found[0]], value)
        if isinstance(value, list):
            return [self._marked(item, marks) for item in value]
        if isinstance(value, dict):
            return {
                self._marked(key, marks): self._marked(item, marks) for key, item in value.items()
            }
        return value


def control_texts(native: Native, model: Model, template: ChatTemplate | None) -> ControlTexts:
    """What a loaded model and its template make of texts that are no text.

    The kinds of tokens are those that llama.cpp's tokenizer goes by (`tokenizer_st_partition`).
    """
    lib = native.lib
    is_control = lib.LLAMA_TOKEN_ATTR_CONTROL | lib.LLAMA_TOKEN_ATTR_UNKNOWN
    control: dict[int, str] = {}
    tags: dict[int, str] = {}
    for token in range(model.facts.vocabulary):
        kind = int(lib.llama_vocab_get_attr(model.vocab, token))
        if not kind & (is_control | lib.LLAMA_TOKEN_ATTR_USER_DEFINED):
            continue
        # bytes that are no text stand in no content; neither does an empty name
        text = lib.llama_vocab_get_text(model.vocab, token).decode(errors="ignore")
        if kind & is_control and text:
            control[token] = text
        elif _TAG.fullmatch(text) and not model.is_marker(token):
            tags[token] = text
    framing = _framing_tokens(model, template) if tags else set()
    return ControlTexts(
        control=frozenset(control.values()),
        markers=frozenset(text for token, text in control.items() if model.is_marker(token)),
        framing=frozenset(text for token, text in tags.items() if token in framing),
    )


def _framing_tokens(model: Model, template: ChatTemplate | None) -> set[int]:
    """The tokens that a plain conversation is written with."""
    if template is None:
        return set()
    try:
        return set(model.tokenize(template.render(_PROBE), add_special=False))
    except TemplateError:  # it wants other conversations than this; control tokens are guarded
        return set()


def _any_of(texts: Iterable[str], depth: int = _DEEPEST) -> str:
    """A pattern for the longest of `texts`, by their first letters: thousands cost little more."""
    by_letter: dict[str, list[str]] = {}
    for text in sorted(set(texts), key=len, reverse=True):
        by_letter.setdefault(text[:1], []).append(text[1:])
    ends_here = by_letter.pop("", None)
    if not depth:
        branches = [re.escape(first + rest) for first, rests in by_letter.items() for rest in rests]
    else:
        branches = [re.escape(one) + _any_of(rests, depth - 1) for one, rests in by_letter.items()]
    if not branches:
        return ""
    return f"(?:{'|'.join(branches)}){'?' if ends_here else ''}"

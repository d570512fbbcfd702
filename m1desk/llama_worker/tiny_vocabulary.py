"""Vocabularies and chat templates of the tiny models: byte-level BPE with a few merges.

The tokens are the 256 bytes in GPT-2's printable spelling, a few dozen merges for common English
pairs (so that tokenizing is not one token a byte), and the special tokens of the architecture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

TokenKind = Literal["normal", "control", "user_defined", "unused"]

_MERGES: Final = (
    "Ġ t", "Ġ a", "h e", "i n", "r e", "o n", "Ġt he", "e r", "Ġ s", "a t", "Ġ w", "Ġ o",
    "e n", "Ġ c", "i t", "i s", "a n", "o r", "e s", "Ġ b", "e d", "Ġ f", "in g", "Ġ p",
    "o u", "Ġa n", "a l", "a r", "Ġt o", "Ġ m", "Ġo f", "Ġ in", "Ġ d", "Ġ h", "Ġan d", "l l",
    "Ġ Ġ", "ĠĠ ĠĠ",
)  # fmt: skip

_THINKING: Final = ("<think>", "</think>")
"""Written out in an answer's text, unlike control tokens; always one token each."""

CHATML_TEMPLATE: Final = """\
{%- macro text_of(content) -%}
{%- if content is string -%}{{ content }}
{%- else -%}{%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
{{ '<|im_start|>' ~ message.role ~ '\\n' ~ text_of(message.content) ~ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""

M1_TEMPLATE: Final = """\
{%- macro text_of(content) -%}
{%- if content is string -%}{{ content }}
{%- else -%}{%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- macro sentence(speaker, body) -%}
{{ '<beginning_of_sentence>' ~ speaker ~ '\\n' ~ body ~ '<end_of_sentence>\\n' }}
{%- endmacro -%}
{%- macro tool_list() -%}
{{ 'You are provided with these tools:\\n<tools>\\n' }}
{%- for tool in tools -%}{{ tool | tojson ~ '\\n' }}{%- endfor -%}
{{ '</tools>\\n\\nIf you need to call tools, please respond with <tool_calls></tool_calls> XML '
 ~ 'tags, and provide tool-name and json-object of arguments, following the format below:\\n'
 ~ '<tool_calls>\\n{name: <tool-name-1>, arguments: <args-json-object-1>}\\n...\\n</tool_calls>' }}
{%- endmacro -%}
{%- macro tool_results(content) -%}
{%- if content is string -%}{{ 'tool result: ' ~ content ~ '\\n\\n' }}
{%- else -%}
{%- for part in content -%}
{{ 'tool name: ' ~ part.name ~ '\\ntool result: ' ~ part.text ~ '\\n\\n' }}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- set instructions = namespace(text='') -%}
{%- for message in messages if message.role == 'system' -%}
{%- set instructions.text = instructions.text ~ text_of(message.content) -%}
{%- endfor -%}
{{ '<begin_of_document>' }}
{%- if instructions.text -%}{{ sentence('system ai_setting=assistant', instructions.text) }}
{%- endif -%}
{%- if tools -%}{{ sentence('system tool_setting=tools', tool_list()) }}{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{{ sentence('user name=user', text_of(message.content)) }}
{%- elif message.role == 'assistant' -%}
{{ sentence('ai name=assistant', text_of(message.content)) }}
{%- elif message.role == 'tool' -%}
{{ sentence('tool name=tools', tool_results(message.content)) }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<beginning_of_sentence>ai name=assistant\\n' }}{%- endif -%}
"""
"""Says what MiniMax-M1's own template says (tokenizer_config.json of the model, Apache-2.0), and
takes contents that are plain strings too, where M1's own takes lists of parts only."""


@dataclass(frozen=True, slots=True)
class TinyVocabulary:
    """The tokens of one model file, in order of their ids.

    Attributes:
        tokens: every token in GPT-2's spelling (a space is written "Ġ").
        kinds: one kind per token.
        merges: pairs "left right" in order of rank.
        pre: llama.cpp's name for the way text is cut before merging.
        bos, eos, unk, pad: ids (None: the model has no such token).
        chat_template: Jinja source.
    """

    tokens: tuple[str, ...]
    kinds: tuple[TokenKind, ...]
    merges: tuple[str, ...]
    pre: str
    bos: int | None
    eos: int
    unk: int | None
    pad: int
    chat_template: str

    @property
    def readable(self) -> tuple[bool, ...]:
        """Per token: does it stand for printable ASCII text? Only those make a pleasant answer."""
        spelling = {letter: byte for byte, letter in byte_letters().items()}
        return tuple(
            kind == "normal" and all(32 <= spelling[letter] < 127 for letter in token)
            for token, kind in zip(self.tokens, self.kinds, strict=True)
        )


def byte_letters() -> dict[int, str]:
    """Map each byte to the printable letter that stands for it in GPT-2's vocabulary.

    Bytes that print in Latin-1 stand for themselves; the others, in order, for the letters from
    U+0100 on (source: the GPT-2 release's encoder).
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {byte: chr(byte) for byte in plain} | {
        byte: chr(0x100 + index) for index, byte in enumerate(others)
    }


def llama_vocabulary(pieces: tuple[str, ...] = (), unused: tuple[str, ...] = ()) -> TinyVocabulary:
    """ChatML's special tokens on the common base, then whole `pieces` of text, then `unused`."""
    control = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokens, kinds = _all_tokens(control, pieces, unused)
    return TinyVocabulary(
        tokens=tokens,
        kinds=kinds,
        merges=_MERGES,
        pre="qwen2",
        bos=None,
        eos=tokens.index("<|im_end|>"),
        unk=None,
        pad=tokens.index("<|endoftext|>"),
        chat_template=CHATML_TEMPLATE,
    )


def minimax_vocabulary(
    pieces: tuple[str, ...] = (), unused: tuple[str, ...] = ()
) -> TinyVocabulary:
    """M1's special tokens on the common base, then whole `pieces` of text, then `unused`."""
    control = (
        "<begin_of_document>",
        "<end_of_document>",
        "<beginning_of_sentence>",
        "<end_of_sentence>",
    )
    tokens, kinds = _all_tokens(control, pieces, unused)
    return TinyVocabulary(
        tokens=tokens,
        kinds=kinds,
        merges=_MERGES,
        pre="minimax-m2",
        bos=tokens.index("<beginning_of_sentence>"),
        eos=tokens.index("<end_of_sentence>"),
        unk=tokens.index("<end_of_document>"),
        pad=tokens.index("<end_of_document>"),
        chat_template=M1_TEMPLATE,
    )


def _all_tokens(
    control: tuple[str, ...], pieces: tuple[str, ...], unused: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[TokenKind, ...]]:
    groups: tuple[tuple[tuple[str, ...], TokenKind], ...] = (
        ((*byte_letters().values(), *(merge.replace(" ", "") for merge in _MERGES)), "normal"),
        (control, "control"),
        (_THINKING, "user_defined"),
        (tuple(piece for piece in pieces if piece not in _THINKING), "user_defined"),
        (unused, "unused"),
    )
    tokens = tuple(token for members, _ in groups for token in members)
    return tokens, tuple(kind for members, kind in groups for _ in members)

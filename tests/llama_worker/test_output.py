"""What a model writes, sorted: text, reasoning, tool calls, and where it stops."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m1desk.llama_worker.output import OutputParser, Piece, Reasoning, Text, ToolCall


def parser(
    *stops: str, in_think: bool = False, think: bool = True, tools: bool = True
) -> OutputParser:
    return OutputParser(
        stops=stops, starts_in_think=in_think, parse_think=think, parse_tool_calls=tools
    )


def sorted_out(made: OutputParser, *tokens: str | bytes) -> list[tuple[str, ...]]:
    pieces: list[Piece] = []
    for token in tokens:
        pieces += made.feed(token.encode() if isinstance(token, str) else token)
    return joined([*pieces, *made.finish()])


def joined(pieces: list[Piece]) -> list[tuple[str, ...]]:
    """Pieces in words; neighbours of one kind as one."""
    told: list[tuple[str, ...]] = []
    for piece in pieces:
        if isinstance(piece, ToolCall):
            told.append(("call", str(piece.index), piece.name, piece.arguments_json))
            continue
        kind = "text" if isinstance(piece, Text) else "reasoning"
        if told and told[-1][0] == kind:
            told[-1] = (kind, told[-1][1] + piece.text)
        else:
            told.append((kind, piece.text))
    return told


def test_plain_text_comes_at_once() -> None:
    made = parser()
    assert made.feed(b"Hello") == [Text("Hello")]
    assert made.feed(b" there") == [Text(" there")]
    assert made.finish() == []


def test_a_character_that_spans_tokens_comes_out_whole() -> None:
    made = parser()
    euro = "€".encode()
    assert made.feed(euro[:1]) == []
    assert made.feed(euro[1:2]) == []
    assert made.feed(euro[2:]) == [Text("€")]


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert sorted_out(parser(), b"a\xffb", b"\xe2\x82") == [("text", "a\ufffdb\ufffd")]


def test_thinking_is_told_apart_from_the_answer() -> None:
    told = sorted_out(parser(), "<thi", "nk>\nHm", "m.\n</th", "ink>\n\n", "\nYes.\n")
    assert told == [("reasoning", "Hmm.\n"), ("text", "Yes.\n")]


def test_thinking_comes_while_it_is_thought() -> None:
    made = parser()
    assert made.feed(b"<think>Let") == [Reasoning("Let")]
    assert made.feed(b" me") == [Reasoning(" me")]


def test_a_prompt_that_opened_the_thinking_starts_with_reasoning() -> None:
    assert sorted_out(parser(in_think=True), "\nHm.", "</think>", "Yes") == [
        ("reasoning", "Hm."),
        ("text", "Yes"),
    ]


def test_thinking_that_never_ends_stays_reasoning() -> None:
    assert sorted_out(parser(), "<think>Hm </thi") == [("reasoning", "Hm </thi")]


def test_an_answer_that_speaks_of_the_tag_stays_an_answer() -> None:
    text = "The tag <think> opens, </think> closes."
    assert sorted_out(parser(), text) == [("text", text)]


def test_thinking_stays_in_the_text_when_nobody_asked_to_split_it() -> None:
    assert sorted_out(parser(think=False), "<think>a</think>b") == [("text", "<think>a</think>b")]


def test_m1s_tool_calls_come_line_by_line() -> None:
    made = parser()
    assert made.feed(b"<think>x</think>\n<tool_calls>\n") == [Reasoning("x")]
    (call,) = made.feed('{"name": "weather", "arguments": {"city": "Köln"}}\n'.encode())
    assert isinstance(call, ToolCall)
    assert (call.index, call.name) == (0, "weather")
    assert json.loads(call.arguments_json) == {"city": "Köln"}
    (second,) = made.feed(b'{"name": "clock", "arguments": {}}</tool_calls>\n')
    assert isinstance(second, ToolCall)
    assert (second.index, second.name) == (1, "clock")
    assert second.id != call.id
    assert made.finish() == []


def test_text_after_tool_calls_is_an_answer_again() -> None:
    told = sorted_out(
        parser(), 'Look:<tool_calls>\n{"name": "a"}\n</tool_calls>\n\nDone.<tool_calls>'
    )
    assert told == [("text", "Look:"), ("call", "0", "a", "{}"), ("text", "Done.")]


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        '{"name": "a", "arguments": [1]}',
        '{"name": 5}',
        '{"arguments": {}}',
        '["a"]',
        '{"name": "a", "arguments": {"x": NaN}}',
        '{"name": "a", "arguments": "not json"}',
        '{"name": "\\ud800"}',
        "[" * 5000,
    ],
)
def test_a_line_that_is_no_call_comes_out_as_text(line: str) -> None:
    told = sorted_out(parser(), f'<tool_calls>\n{line}\n{{"name": "b"}}\n</tool_calls>')
    assert told == [("text", f"{line}\n"), ("call", "0", "b", "{}")]


def test_a_call_may_hold_the_closing_tag_in_a_string() -> None:
    call = '{"name": "write", "arguments": {"text": "</tool_calls> \\" </tool_call>"}}'
    arguments = '{"text": "</tool_calls> \\" </tool_call>"}'
    for source in (f"<tool_calls>\n{call}</tool_calls>", f"<tool_call>{call}</tool_call>"):
        assert sorted_out(parser(), source) == [("call", "0", "write", arguments)]


def test_half_of_a_surrogate_pair_stays_sendable() -> None:
    told = sorted_out(parser(), '<tool_call>{"name": "a", "arguments": {"x": "\\ud800"}}')
    assert told == [("call", "0", "a", '{"x": "\\ud800"}')]


def test_an_unclosed_last_line_still_counts() -> None:
    assert sorted_out(parser(), '<tool_calls>\n{"name": "a"}') == [("call", "0", "a", "{}")]
    assert sorted_out(parser(), '<tool_calls>\n{"name": ') == [("text", '{"name": ')]


def test_the_form_of_hermes_and_qwen_is_understood() -> None:
    told = sorted_out(
        parser(),
        'Hm.\n<tool_call>\n{"name": "a",\n "arguments": {"x": 1}}\n</tool_call>\n<tool_call>\n',
        '{"name": "b", "arguments": "{\\"y\\": 2}"}\n</tool_call>',
    )
    assert told == [
        ("text", "Hm.\n"),
        ("call", "0", "a", '{"x": 1}'),
        ("call", "1", "b", '{"y": 2}'),
    ]


def test_a_tool_call_that_is_not_understood_is_not_lost() -> None:
    text = "<tool_call><function=a></function></tool_call> and <tool_call>more"
    assert sorted_out(parser(), text) == [("text", text)]


def test_tool_calls_stay_in_the_text_when_no_tools_were_given() -> None:
    text = '<tool_calls>\n{"name": "a"}\n</tool_calls>'
    assert sorted_out(parser(tools=False), text) == [("text", text)]


def test_a_stop_text_ends_the_answer_before_it() -> None:
    made = parser("STOP", "###")
    assert made.feed(b"one ST") == [Text("one ")]
    assert made.stopped_by is None
    assert made.feed(b"OP two") == []
    assert made.stopped_by == "STOP"
    assert made.feed(b"three") == []
    assert made.finish() == []


def test_what_only_looked_like_a_stop_text_is_given_back() -> None:
    made = parser("STOP")
    assert sorted_out(made, "ST", "ST", "O") == [("text", "STSTO")]
    assert made.stopped_by is None


def test_of_several_stop_texts_the_first_to_be_complete_counts() -> None:
    made = parser("abcd", "bc")
    assert sorted_out(made, "xabcd") == [("text", "xa")]
    assert made.stopped_by == "bc"


def test_a_stop_text_counts_in_reasoning_too() -> None:
    made = parser("STOP")
    assert sorted_out(made, "<think>a STOP b</think>c") == [("reasoning", "a ")]


# One fragment a call's line is made of, one that holds its own closing tag, and odd ends.
FRAGMENTS = st.sampled_from(
    [
        "<think>", "</think>", "<tool_calls>", "</tool_calls>", "<tool_call>", "</tool_call>", "\n",
        '{"name": "f", "arguments": {"x": "y"}}', '{"name": "g", "arguments": {"t": "</tool_calls>"}}',  # noqa: E501
        '"', "\\", "{", "}", "<", "</", "STOP", "ST", "###", " ", "Q", "word ", "é", "🙂", "\r\n",
    ]
)  # fmt: skip
WRITTEN = st.lists(FRAGMENTS, max_size=14).map("".join)
SETTINGS = st.fixed_dictionaries(
    {"in_think": st.booleans(), "think": st.booleans(), "tools": st.booleans()}
)


@settings(deadline=None)
@given(written=WRITTEN, how=SETTINGS, data=st.data())
def test_how_the_bytes_are_cut_changes_nothing(
    written: str, how: dict[str, bool], data: st.DataObject
) -> None:
    raw = written.encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=len(raw))))
    tokens = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole, cut = parser("STOP", "###", **how), parser("STOP", "###", **how)
    assert sorted_out(cut, *tokens) == sorted_out(whole, raw)
    assert cut.stopped_by == whole.stopped_by


@settings(deadline=None)
@given(raw=st.binary(max_size=60), data=st.data())
def test_bytes_without_tags_come_out_as_they_are(raw: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(raw)))
    text = raw.decode(errors="replace")
    told = sorted_out(parser(), raw[:cut], raw[cut:])
    assert told == ([("text", text)] if text else [])


@settings(deadline=None)
@given(written=WRITTEN)
def test_no_word_is_lost(written: str) -> None:
    """All that may vanish is tags, newlines beside them, and what became a call."""
    told = sorted_out(parser(), written)
    kept = "".join(piece[1] for piece in told if piece[0] != "call")
    calls = sum(piece[0] == "call" for piece in told)
    for word in ("word ", "Q", "é", "🙂"):
        assert kept.count(word) == written.count(word)
    assert calls <= written.count('{"name"')

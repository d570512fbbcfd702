"""Chat templates: what prompt a conversation becomes, and what a hostile template can't do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from m1desk.llama_worker.template import (
    DEFAULT_TEMPLATE,
    ChatTemplate,
    TemplateError,
    renders_open_think,
)

# `chat_template` of MiniMax-M1's tokenizer_config.json (Apache-2.0), character by character.
M1_SOURCE = (Path(__file__).parents[1] / "data" / "m1_chat_template.jinja").read_text("utf-8")

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "naïve <b>", "parameters": {"type": "object"}},
}
CALLS = {
    "role": "assistant",
    "content": "Let me look.",
    "tool_calls": [
        {
            "id": "abc",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Köln"}'},
        },
        {"id": "def", "type": "function", "function": {"name": "clock", "arguments": ""}},
    ],
}
RESULTS = [
    {"role": "tool", "tool_call_id": "abc", "content": "sun"},
    {"role": "tool", "tool_call_id": "def", "content": "noon"},
]
HERMES = """
{%- if tools %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif %}
{%- for m in messages %}[{{ m.role }}]{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}
{%- endfor %}"""


def user(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, "<s>", "</s>")


def rendered(source: str, *messages: dict[str, object]) -> str:
    return template(source).render(messages or [user("hello")])


def test_m1_gets_its_prompt_as_its_maker_writes_it() -> None:
    messages = [{"role": "system", "content": "Be brief."}, user("Hi"), user("You there?")]
    assert template(M1_SOURCE).render(messages) == (
        "<begin_of_document><beginning_of_sentence>system ai_setting=assistant\n"
        "Be brief.<end_of_sentence>\n"
        "<beginning_of_sentence>user name=user\nHi<end_of_sentence>\n"
        "<beginning_of_sentence>user name=user\nYou there?<end_of_sentence>\n"
        "<beginning_of_sentence>ai name=assistant\n"
    )


def test_m1_is_told_tools_calls_and_results_as_its_guide_says() -> None:
    prompt = template(M1_SOURCE).render([user("Weather?"), CALLS, *RESULTS], tools=[WEATHER])
    assert (
        '<tools>\n{"name": "weather", "description": "naïve <b>", '
        '"parameters": {"type": "object"}}\n</tools>'
    ) in prompt
    assert (
        "<beginning_of_sentence>ai name=assistant\nLet me look.\n<tool_calls>\n"
        '{"name": "weather", "arguments": {"city": "Köln"}}\n'
        '{"name": "clock", "arguments": {}}\n'
        "</tool_calls><end_of_sentence>\n"
    ) in prompt
    assert (
        "<beginning_of_sentence>tool name=tools\n"
        "tool name: weather\ntool result: sun\n\n"
        "tool name: clock\ntool result: noon\n\n<end_of_sentence>\n"
    ) in prompt


def test_m1_takes_results_that_already_carry_their_tools_name() -> None:
    results = {"role": "tool", "content": [{"type": "text", "name": "search", "text": "found"}]}
    assert "tool name: search\ntool result: found\n" in rendered(M1_SOURCE, user("?"), results)


def test_parts_of_text_become_one_text_for_every_template() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": t} for t in ("one", "two")]}
    assert "\none\ntwo<end_of_sentence>" in rendered(M1_SOURCE, parts)
    assert "user\none\ntwo<|im_end|>" in rendered(DEFAULT_TEMPLATE, parts)


def test_the_default_template_is_chatml() -> None:
    assert rendered(DEFAULT_TEMPLATE, {"role": "system", "content": "S"}, user("U")) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    )


def test_without_a_generation_prompt_it_ends_with_the_last_message() -> None:
    prompt = template(DEFAULT_TEMPLATE).render([user("U")], add_generation_prompt=False)
    assert prompt == "<|im_start|>user\nU<|im_end|>\n"


def test_a_template_that_shows_calls_itself_gets_their_arguments_as_an_object() -> None:
    prompt = template(HERMES).render([user("Weather?"), CALLS, *RESULTS], tools=[WEATHER])
    assert (
        '[assistant]Let me look.<tool_call>{"name": "weather", "arguments": {"city": "Köln"}}'
        '</tool_call><tool_call>{"name": "clock", "arguments": {}}</tool_call>[tool]sun[tool]noon'
    ) in prompt
    assert '{"type": "function", "function": {"name": "weather"' in prompt


def test_a_template_that_puts_arguments_out_as_they_are_gets_json_text() -> None:
    source = (
        "{% for m in messages %}{{ m.role }}:{{ m.content }}"
        "{% for c in m.tool_calls or [] %}{{ c.function.name ~ c.function.arguments }}{% endfor %}"
        "{% endfor %}"
    )
    assert 'weather{"city": "Köln"}' in rendered(source, user("?"), CALLS)


def test_a_template_without_a_tool_role_is_told_results_by_the_user() -> None:
    source = (
        "{% set ns = namespace(last='assistant') %}{% for m in messages %}"
        "{% if m.role not in ('user', 'assistant') or m.role == ns.last %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}{% set ns.last = m.role %}"
        "<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    prompt = rendered(source, user("?"), CALLS, *RESULTS, user("And?"))
    assert prompt.endswith(
        "<user>Result of the tool weather:\nsun\n\nResult of the tool clock:\nnoon\n\nAnd?"
    )


def test_a_system_message_goes_to_the_user_where_there_is_no_system_role() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
        "{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    assert rendered(source, {"role": "system", "content": "Be brief."}, user("Hi")) == (
        "<user>Be brief.\n\nHi"
    )


def test_a_template_that_needs_tools_to_be_left_out_gets_no_null() -> None:
    source = (
        "{% for t in tools %}{{ t }}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    assert rendered(source, user("Hi")) == "Hi"


def test_tools_without_a_place_for_them_are_refused_in_words() -> None:
    with pytest.raises(TemplateError, match="no place for tools"):
        template(DEFAULT_TEMPLATE).render([user("Hi")], tools=[WEATHER])


def test_what_transformers_offers_to_templates_is_there() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}{{ eos_token }}"
        "{{ {'a': 'ü<'} | tojson }}{{ strftime_now('%Y') | length }}{{ '{}!'.format(thinking) }}"
    )
    prompt = template(source).render([user("A"), user("B")], extra={"thinking": "on"})
    assert prompt == '<s>A</s>{"a": "ü<"}4on!'


def test_extra_variables_do_not_replace_the_conversation() -> None:
    prompt = template(DEFAULT_TEMPLATE).render([user("A")], extra={"messages": []})
    assert "user\nA" in prompt


def test_rendering_changes_nothing_of_what_it_is_given() -> None:
    messages = [user("?"), {**CALLS}, *RESULTS]
    before = repr(messages)
    template(M1_SOURCE).render(messages, tools=[WEATHER])
    assert repr(messages) == before


def test_what_a_template_refuses_is_said_in_its_own_words() -> None:
    source = (
        "{% if messages | length > 2 %}{{ raise_exception('Two at most!') }}{% endif %}"
        "{{ messages[0].content }}"
    )
    with pytest.raises(TemplateError, match="It says: Two at most!"):
        rendered(source, user("1"), user("2"), user("3"))


def test_a_template_with_a_syntax_error_says_where() -> None:
    with pytest.raises(TemplateError, match=r"broken\. Line 2: "):
        template("fine\n{% if %}")


def test_an_undefined_name_is_named() -> None:
    with pytest.raises(TemplateError, match="'nothing' is undefined"):
        rendered("{{ messages[0].content + nothing }}")


@pytest.mark.parametrize(
    ("prompt", "is_open"),
    [
        ("<user>x<assistant><think>\n", True),
        ("<assistant><think>", True),
        ("<assistant><think>\n\n</think>\n\n", False),
        ("I said <think> once.<assistant>", False),
        ("", False),
    ],
)
def test_an_open_think_at_the_end_is_seen(prompt: str, is_open: bool) -> None:
    assert renders_open_think(prompt) is is_open


HOSTILE = {
    "endless loops": "{% for i in range(99999) %}{% for j in range(99999) %}"
    "{% endfor %}{% endfor %}",
    "a long string": "{{ 'a' * 10**10 }}",
    "a long list": "{{ [1] * 10**10 }}",
    "a huge number": "{{ 9 ** (9 ** 9) }}",
    "a huge product": "{% set ns = namespace(n=2**4000) %}{% for i in range(99) %}"
    "{% set ns.n = ns.n * ns.n %}{% endfor %}",
    "a huge range": "{{ range(10**9) | list }}",
    "wide formatting": "{{ '%1000000000d' % 1 }}",
    "wide format calls": "{{ '{:1000000000}'.format(1) }}",
    "nested format calls": "{{ '{:{}}'.format(1, 10**9) }}",
    "the format filter": "{{ '%1000000000d' | format(1) }}",
    "padding": "{{ 'a'.ljust(10**10) }}",
    "a filter that pads": "{{ 'a' | center(10**10) }}",
    "indenting": "{{ 'a\n' | indent(10**10) }}",
    "constant folding": "{{ 'a' | indent(10**10, true) }}",
    "rounding": "{{ 1 | round(10**9, 'ceil') }}",
    "a date's width": "{{ strftime_now('%999999999Y') }}",
    "doubling": "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "joining twice": "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "blocks in macros": "{% macro d(s) %}{% set t %}{{ s }}{{ s }}{% endset %}"
    "{{ d(t) }}{% endmacro %}{{ d('aaaaaaaa') }}",
    "lists in lists": "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}"
    "{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
    "pairs in pairs": "{% set ns = namespace(s=1) %}{% for i in range(60) %}"
    "{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ ns.s }}",
    "objects in objects": "{% set ns = namespace(s=1) %}{% for i in range(60) %}"
    "{% set ns.s = {'a': ns.s, 'b': ns.s} %}{% endfor %}{{ ns.s | tojson }}",
    "dict()": "{% set ns = namespace(s=1) %}{% for i in range(60) %}"
    "{% set ns.s = dict(a=ns.s, b=ns.s) %}{% endfor %}{{ ns.s | tojson }}",
    "map and list": "{% set ns = namespace(s='a') %}{% for i in range(60) %}"
    "{% set ns.s = ([none_such] * 10) | map('default', ns.s) | list %}{% endfor %}{{ ns.s }}",
    "replacing": "{% set s = 'a' * 100000 %}{{ s.replace('a', s) }}",
    "the replace filter": "{% set s = 'a' * 100000 %}{{ s | replace('a', s) }}",
    "join": "{{ ('a' * 100000).join(range(100000) | map('string')) }}",
    "the join filter": "{{ range(100000) | join('a' * 100000) }}",
    "joining by attribute": "{{ ([namespace(a='a' * 100000)] * 100000) | join(attribute='a') }}",
    "a macro that calls itself": "{% macro d() %}{{ d() }}{% endmacro %}{{ d() }}",
    "a macro tree": "{% macro d(n) %}{% if n %}{{ d(n - 1) }}{{ d(n - 1) }}{% endif %}"
    "{% endmacro %}{{ d(90) }}",
    "long output": "{% for i in range(99999) %}{{ 'a' * 10000 }}{% endfor %}",
    "deep expressions": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "deep statements": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "filler text": "{{ lipsum(n=10**9) }}",
    "size": "a" * 1_000_001,
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_template_ends_in_an_error(source: str) -> None:
    with pytest.raises(TemplateError):
        ChatTemplate(source, "", "", seconds=0.3).render([user("hello")])


REACHING = {
    "classes": "{{ ''.__class__.__mro__ }}",
    "globals": "{{ raise_exception.__globals__ }}",
    "the context": "{{ self._TemplateReference__context.environment }}",
    "files": "{% include '/etc/passwd' %}",
    "changes": "{{ messages.append(1) }}",
    "the environment": "{{ joiner.__init__.__globals__ }}",
}


@pytest.mark.parametrize("source", REACHING.values(), ids=REACHING.keys())
def test_a_template_reaches_nothing_but_its_variables(source: str) -> None:
    try:
        text = rendered(source)
    except TemplateError:
        return
    assert text == ""


def test_a_long_conversation_is_within_the_limits() -> None:
    messages = [user("word " * 200) for _ in range(2000)]
    assert template(M1_SOURCE).render(messages).count("word") == 400_000


def test_a_debugger_or_coverage_goes_on_tracing_after_a_render() -> None:
    def trace(*_: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        rendered(DEFAULT_TEMPLATE)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)

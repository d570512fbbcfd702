"""A model's chat template: messages in, prompt text out."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import jinja2

from m1desk.llama_worker.deadline import OutOfTime, run_limited
from m1desk.llama_worker.errors import TemplateError
from m1desk.llama_worker.sandbox import (
    COMPILED_NAME,
    BoundedEnvironment,
    RefusalError,
    TooLargeError,
)
from m1desk.llama_worker.template_messages import Shape, shaped, shaped_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from m1desk.llama_worker.control_texts import ContentGuard

    Conversation = Sequence[Mapping[str, object]]

_T = TypeVar("_T")

__all__ = ["DEFAULT_TEMPLATE", "ChatTemplate", "TemplateError", "renders_open_think"]

DEFAULT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML, for models whose file brings no template."""

MAX_SOURCE_CHARACTERS = 1_000_000
_COSTLY = "The model's chat template is too costly to run."
_REFUSED = "The model's chat template can't tell this conversation."
_BROKEN = "The model's chat template is broken."


class ChatTemplate:
    """A compiled chat template and what it was found to want. May be used from any thread.

    The source comes out of a model file and is not trusted: it runs sandboxed, for at most
    `seconds` of processor time a render (and as long for all of the constructor) and one more for
    every million characters it is given; what it makes is bounded by their number, too.
    """

    def __init__(self, source: str, bos: str, eos: str, *, seconds: float = 2.0) -> None:
        """Compile, and try out which shape of messages it wants.

        Raises:
            TemplateError: it does not compile, or not within the limits of time and size.
        """
        if len(source) > MAX_SOURCE_CHARACTERS:
            raise TemplateError(_COSTLY, f"It has more than {MAX_SOURCE_CHARACTERS} characters.")
        self._environment = BoundedEnvironment()
        self._environment.globals.update(bos_token=bos, eos_token=eos)
        self._lock = threading.Lock()
        self._seconds = seconds

        def prepare() -> tuple[jinja2.Template, Shape]:
            template = self._environment.from_string(source)
            return template, _detect(lambda variables: self._try(template, variables))

        self._template, self._shape = self._limited(prepare, seconds, _BROKEN)

    @property
    def shape(self) -> Shape:
        """What the template was found to want."""
        return self._shape

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] | None = None,
        add_generation_prompt: bool = True,
        extra: Mapping[str, object] | None = None,
        guard: ContentGuard | None = None,
    ) -> str:
        """Render the prompt for `messages` (OpenAI's shape).

        Args:
            messages: text content only; see `requests.GenerationRequest.messages`.
            tools: what the model may call, in OpenAI's shape.
            add_generation_prompt: whether to end with the opening of the model's turn.
            extra: more variables for the template; they can't replace the ones above.
            guard: puts its marks into all that messages and tools say.

        Raises:
            TemplateError: the template refuses the conversation, or exceeds its time or size.
        """
        if tools and not self._shape.tools:
            raise TemplateError(_REFUSED, "It has no place for tools.")
        variables = {**(extra or {}), **_variables(messages, tools, self._shape, guard)}
        variables["add_generation_prompt"] = add_generation_prompt
        with self._lock:
            seconds = self._seconds + self._environment.start_render(variables) / 1_000_000
            return self._limited(lambda: self._template.render(variables), seconds, _REFUSED)

    def _try(self, template: jinja2.Template, variables: Mapping[str, Any]) -> str:
        """The text, or "" when the template can't tell it; too much cost is still an error."""
        try:
            self._environment.start_render(variables)
            return template.render(variables)
        except TooLargeError:
            raise
        except Exception:  # noqa: BLE001 - foreign code may raise anything
            return ""

    def _limited(self, work: Callable[[], _T], seconds: float, what: str) -> _T:
        try:
            return run_limited(work, seconds, source=COMPILED_NAME)
        except OutOfTime:
            raise TemplateError(_COSTLY, f"It ran for more than {seconds:.1f} s.") from None
        except (TooLargeError, MemoryError, OverflowError, RecursionError) as error:
            raise TemplateError(_COSTLY, str(error)) from None
        except RefusalError as refusal:
            raise TemplateError(_REFUSED, f"It says: {refusal}") from None
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(_BROKEN, f"Line {error.lineno}: {error.message}") from None
        except Exception as error:  # noqa: BLE001 - foreign code may raise anything
            raise TemplateError(what, f"{type(error).__name__}: {error}") from None


def renders_open_think(prompt: str) -> bool:
    """Say whether `prompt` ends with an opened `<think>`: then the answer starts as reasoning."""
    return prompt.rstrip().endswith("<think>")


def _variables(
    messages: Conversation,
    tools: Sequence[Mapping[str, object]] | None,
    shape: Shape,
    guard: ContentGuard | None = None,
) -> dict[str, object]:
    told = shaped(messages, shape)
    callable_tools = shaped_tools(tools, shape) if tools else None
    if guard is not None:  # only now: shaping joins texts, and reads the JSON of calls
        told = [guard.marked_message(message) for message in told]
        callable_tools = [guard.marked_tool(tool) for tool in callable_tools or ()] or None
    variables: dict[str, object] = {
        "messages": told,
        "tools": callable_tools,
        "add_generation_prompt": True,
    }
    if not (tools or shape.null_tools):
        del variables["tools"]
    return variables


_NEEDLE = "needle7351"
_USER: Mapping[str, object] = {"role": "user", "content": "hello"}
_TOOL = {
    "type": "function",
    "function": {
        "name": _NEEDLE,
        "description": "probe",
        "parameters": {"type": "object", "properties": {}, "required": []},
    },
}
_ASKS: Mapping[str, object] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "call00001",  # nine characters: some templates insist
            "type": "function",
            "function": {"name": _NEEDLE, "arguments": '{"probe8264": "v"}'},
        }
    ],
}
_ANSWERS: Mapping[str, object] = {
    "role": "tool",
    "tool_call_id": "call00001",
    "content": "result4190",
}


def _detect(render: Callable[[Mapping[str, Any]], str]) -> Shape:
    """Try the template with small conversations and look at what it shows of them."""

    def told(messages: Conversation, shape: Shape, tools: list[Any] | None = None) -> str:
        return render(_variables(messages, tools, shape))

    probe = [{"role": "user", "content": _NEEDLE}]
    candidates = [
        Shape(parts=parts, null_tools=null) for null in (True, False) for parts in (False, True)
    ]
    shape = next((shape for shape in candidates if _NEEDLE in told(probe, shape)), Shape())
    system = _NEEDLE in told([{"role": "system", "content": _NEEDLE}, _USER], shape)
    tools = _NEEDLE in told([_USER], shape, [_TOOL])
    shape = replace(shape, system=system, tools=tools)
    shape = _detect_calls(told, shape)
    return _detect_results(told, shape)


def _detect_calls(told: Callable[[Conversation, Shape], str], shape: Shape) -> Shape:
    for calls in ("objects", "json"):
        wanted = replace(shape, calls=calls)
        for conversation in ([_USER, _ASKS], [_USER, _ASKS, _ANSWERS]):
            text = told(conversation, wanted)
            # Quoted with ' it is Python's way to show an object, which no model was trained on.
            if _NEEDLE in text and "probe8264" in text and "'probe8264'" not in text:
                return wanted
    return replace(shape, calls="text")


def _detect_results(told: Callable[[Conversation, Shape], str], shape: Shape) -> Shape:
    conversation = [_USER, _ASKS, _ANSWERS]
    if "result4190" in told(conversation, replace(shape, results="content")):
        return replace(shape, results="content")
    if "result4190" in told(conversation, replace(shape, results="named")):
        # MiniMax-M1's own template; its maker's guide shows tools without the wrapper.
        return replace(shape, results="named", bare_tools=True)
    return replace(shape, results="user")

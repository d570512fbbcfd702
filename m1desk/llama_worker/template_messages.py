"""Messages in OpenAI's shape, turned into the shape that a chat template wants."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a template was found to want.

    Attributes:
        parts: whether content must be a list of text parts instead of a string.
        system: whether it shows system messages; else they go into the first user message.
        tools: whether it shows the tools a model may call.
        null_tools: whether it bears `tools` to be none when there are none; else it isn't set.
        bare_tools: whether tools are shown without OpenAI's {"type": "function"} wrapper.
        calls: how an assistant's tool calls are shown: their arguments as an object or as JSON
            text, or not at all ("text": they go into the content as MiniMax-M1 writes them).
        results: how a tool's results are shown: as content, as parts that carry the tool's
            `name`, or not at all ("user": they are told in a user message).
    """

    parts: bool = False
    system: bool = True
    tools: bool = True
    null_tools: bool = True
    bare_tools: bool = False
    calls: Literal["objects", "json", "text"] = "objects"
    results: Literal["content", "named", "user"] = "content"


def shaped(messages: Sequence[Mapping[str, object]], shape: Shape) -> Messages:
    """New messages with the content of `messages` in the given shape; nothing is shared."""
    made: Messages = [copy.deepcopy(dict(message)) for message in messages]
    names = _call_names(made)
    for message in made:
        if message.get("tool_calls"):
            _shape_calls(message, shape)
    made = _shape_results(made, names, shape)
    if not shape.system:
        made = _without_system(made)
    for message in made:
        message["content"] = _content(message.get("content"), shape)
    return made


def shaped_tools(tools: Sequence[Mapping[str, object]], shape: Shape) -> list[object]:
    """The tools as the template wants them; nothing is shared."""
    bare = [tool.get("function", tool) if shape.bare_tools else tool for tool in tools]
    return copy.deepcopy(bare)


def _call_names(messages: Messages) -> dict[str, str]:
    """Which tool each call id belongs to."""
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    return {call["id"]: call["function"]["name"] for call in calls if call.get("id")}


def _shape_calls(message: dict[str, Any], shape: Shape) -> None:
    for call in message["tool_calls"]:
        arguments = _as_object(call["function"].get("arguments", {}))
        if shape.calls == "json" and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        call["function"]["arguments"] = arguments
    if shape.calls == "text":
        calls = message.pop("tool_calls")
        lines = [json.dumps(call["function"], ensure_ascii=False) for call in calls]
        block = "\n".join(["<tool_calls>", *lines, "</tool_calls>"])
        said = _text(message.get("content"))
        message["content"] = f"{said}\n{block}" if said else block


def _as_object(arguments: object) -> object:
    """The arguments as an object; text that is no JSON object is left as it is."""
    if not isinstance(arguments, str):
        return arguments
    try:
        parsed = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def _shape_results(messages: Messages, names: Mapping[str, str], shape: Shape) -> Messages:
    made: Messages = []
    for message in messages:
        if message["role"] != "tool":
            made.append(message)
            continue
        results = _results(message, names)
        follows_result = bool(made) and made[-1]["role"] == "tool"
        if shape.results == "content":
            text = "\n".join(part["text"] for part in results)
            made.append({**message, "name": results[0]["name"], "content": text})
        elif follows_result:  # one message tells all results of a turn
            made[-1]["content"] += results
        else:
            made.append({**message, "content": results})
    return _told_by_user(made) if shape.results == "user" else made


def _told_by_user(messages: Messages) -> Messages:
    """Results of tools told in user messages, together with what the user says next."""
    made: Messages = []
    told_before = ""
    for message in messages:
        if message["role"] == "tool":
            told = "\n\n".join(
                f"Result of the tool {part['name']}:\n{part['text']}" for part in message["content"]
            )
            made.append({"role": "user", "content": told})
        elif message["role"] == "user" and told_before:
            made[-1]["content"] = f"{told_before}\n\n{_text(message.get('content'))}"
        else:
            made.append(message)
        told_before = made[-1]["content"] if message["role"] == "tool" else ""
    return made


def _results(message: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, str]]:
    """A tool message's results as parts, each with the name of its tool."""
    name = message.get("name") or names.get(message.get("tool_call_id", ""), "tool")
    content = message.get("content")
    parts = content if isinstance(content, list) and content else [{"text": _text(content)}]
    return [
        {"type": "text", "name": part.get("name") or name, "text": part.get("text", "")}
        for part in parts
    ]


def _without_system(messages: Messages) -> Messages:
    """System messages told at the head of the first user message."""
    said = [_text(m.get("content")) for m in messages if m["role"] == "system"]
    made = [message for message in messages if message["role"] != "system"]
    if not said:
        return made
    first = next((message for message in made if message["role"] == "user"), None)
    if first is None:
        first = {"role": "user", "content": ""}
        made.insert(0, first)
    own = _text(first.get("content"))
    first["content"] = "\n\n".join([*said, own] if own else said)
    return made


def _content(content: object, shape: Shape) -> object:
    if isinstance(content, list) and any("name" in part for part in content):
        return content
    text = _text(content)
    return [{"type": "text", "text": text}] if shape.parts else text


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""

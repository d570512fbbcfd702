"""An engine's refusals, in whatever shape they come, as errors for the user."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Final

from m1desk.errors import EngineRefused

_CLIP: Final = 500
_PAGE_PART: Final = 8192
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAGS: Final = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_CONTEXT_CODES: Final = frozenset({"exceed_context_size_error", "context_length_exceeded"})

_BY_STATUS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("The engine can't use this request.", "Change what it names and send it again."),
    401: ("The engine refused the key.", "Check the server's API key."),
    403: ("The engine does not allow this.", "Check the server's API key and what it may do."),
    404: ("The engine does not know this address or model.", "Check the address and the model."),
    413: ("The request is too large for the server.", "Send less, or raise the server's limit."),
    422: ("The engine can't use this request.", "Change what it names and send it again."),
    429: ("The server is busy or a limit is reached.", "Wait a little and send it again."),
    502: ("The server in between can't reach the engine.", "Check that the engine is running."),
    503: ("The engine can't answer yet.", "Wait until the model is loaded and send it again."),
    504: ("The server in between gave up waiting.", "Raise its time limit, or send less at once."),
}
_ANY_FAULT: Final = ("The engine failed on this request.", "Send it again; its log may say more.")
_FOREIGN: Final = (
    "The server did not answer as an engine does.",
    "Check the address: another program, a login page or a proxy may be in the way.",
)
_ANY_REFUSAL: Final = ("The engine refused this request.", "")


def refusal_from_response(status: int, body: bytes) -> EngineRefused:
    """Make an error of an answer whose status, or whose kind, is not what was asked for."""
    text = body.decode("utf-8", errors="replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if 200 <= status < 400 and not (isinstance(answer, Mapping) and is_error(answer)):
        return EngineRefused(_FOREIGN[0], _clip(_readable(text)), _FOREIGN[1], status=status)
    if answer is None:
        return _refusal(status, _readable(text), {})
    return refusal_from_json(status, answer)


def refusal_from_json(status: int, answer: object) -> EngineRefused:
    """Make an error of a JSON answer.

    Knows `{"error": "..."}`, `{"error": {"message", "type", "code"}}`, `{"detail": ...}` and
    `{"message": "..."}`; anything else is shown as it came.
    """
    fields = answer if isinstance(answer, Mapping) else {}
    error = fields.get("error", fields.get("detail", fields.get("message", answer)))
    if isinstance(error, Mapping):
        return _refusal(status, _text_of(error.get("message", error)), error)
    if isinstance(error, list):
        return _refusal(status, "; ".join(map(_complaint, error[:5])), {})
    return _refusal(status, _text_of(error), {})


def is_error(answer: Mapping[str, object]) -> bool:
    """Tell whether a piece of a stream is an error: some servers send them with status 200."""
    return bool(answer.get("error")) or ("detail" in answer and "choices" not in answer)


def _refusal(status: int, why: str, error: Mapping[str, object]) -> EngineRefused:
    code = _code_of(error)
    if code in _CONTEXT_CODES:
        return _too_long(status, code, why, error)
    what, todo = _BY_STATUS.get(_status_within(status, error), _fallback(status))
    return EngineRefused(what, _clip(why), todo, status=status, code=code)


def _too_long(status: int, code: str, why: str, error: Mapping[str, object]) -> EngineRefused:
    prompt, context = error.get("n_prompt_tokens"), error.get("n_ctx")
    if isinstance(prompt, int) and isinstance(context, int):
        why = f"The conversation is {prompt:,} tokens long; the context holds {context:,}."
    return EngineRefused(
        "The conversation is too long for the model's context.",
        _clip(why),
        "Shorten it, start a new one, or load the model with a larger context length.",
        status=status,
        code=code,
    )


def _code_of(error: Mapping[str, object]) -> str:
    """Return the most telling word: engines put it into `type`, hosted services into `code`."""
    words = [word for word in (error.get("type"), error.get("code")) if isinstance(word, str)]
    return next((word for word in words if word in _CONTEXT_CODES), words[0] if words else "")


def _status_within(status: int, error: Mapping[str, object]) -> int:
    """Prefer the status inside an error that came with HTTP 200."""
    code = error.get("code")
    return code if status == 200 and isinstance(code, int) else status


def _fallback(status: int) -> tuple[str, str]:
    return _ANY_FAULT if status >= 500 or status == 200 else _ANY_REFUSAL


def _complaint(entry: object) -> str:
    """Write one entry of a list of validation errors."""
    if not isinstance(entry, Mapping):
        return _text_of(entry)
    place = entry.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return ": ".join(filter(None, (where, _text_of(entry.get("msg", entry)))))


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _readable(text: str) -> str:
    """Take the words out of a page that a proxy put in the engine's place."""
    if "<" not in text:
        return text
    text = text[:_PAGE_PART]  # the patterns below take long on a long page of open tags
    title = _TITLE.search(text)
    words = title.group(1) if title else _TAGS.sub(" ", text)
    return " ".join(html.unescape(words).split())


def _clip(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _CLIP else text[:_CLIP] + " ..."

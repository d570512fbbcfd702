"""The JSON form of a template, checked field by field. Importing this loads pydantic."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from m1desk.errors import BadInput
from m1desk.jobs.values import JobQuestion, JobTemplate

FORMAT: Final = 1
_UNREADABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters that no file can hold."""


def _readable(text: str) -> str:
    found = _UNREADABLE.search(text)
    if found is not None:
        code = f"U+{ord(found.group()):04X}"
        raise PydanticCustomError("unreadable", "holds the character {code}", {"code": code})
    return text


def _one_line(text: str) -> str:
    if len(text.splitlines()) > 1:
        raise PydanticCustomError("lines", "has several lines")
    return text


_Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_readable)]
_Line = Annotated[_Text, AfterValidator(_one_line)]


class _QuestionFields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[_Line, Field(min_length=1, max_length=80)]
    text: Annotated[_Text, Field(min_length=1, max_length=4_000)]


class _TemplateFields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    title: Annotated[_Line, Field(min_length=1, max_length=120)]
    description: Annotated[_Text, Field(max_length=2_000)] = ""
    kind: Literal["questions", "table", "passes", "prompt"]
    questions: Annotated[list[_QuestionFields], Field(min_length=1, max_length=100)]


def template_from(name: str, text: str, where: str) -> JobTemplate:
    """Read a template from JSON.

    Args:
        name: that the template gets.
        text: JSON as docs/templates.md describes it.
        where: what the text is, for messages: a file's path.

    Raises:
        BadInput: it is not JSON, or a field is unknown, missing, double or wrong; all such fields
            are named (the first five of them), with what is known and what to do.
    """
    try:
        data = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{where} is not a template: it is not JSON.",
            f"{error}.",
            "Correct it with a text editor (docs/templates.md shows the form), or save it anew.",
        ) from error
    return template_of(name, data, where)


def template_of(name: str, data: object, where: str) -> JobTemplate:
    """Make a template of JSON values; raises BadInput like `template_from`."""
    try:
        fields = _TemplateFields.model_validate(data)
    except ValidationError as error:
        faults = [_explained(fault) for fault in error.errors(include_url=False)]
        raise _unusable(where, faults) from error
    faults = _doubles(fields.questions)
    if faults:
        raise _unusable(where, faults)
    questions = tuple(JobQuestion(one.name, one.text) for one in fields.questions)
    return JobTemplate(name, fields.title, fields.description, fields.kind, questions)


def template_data(template: JobTemplate) -> dict[str, object]:
    """Give a template as JSON values; its name is the file's."""
    return {
        "format": FORMAT,
        "title": template.title,
        "description": template.description,
        "kind": template.kind,
        "questions": [{"name": one.name, "text": one.text} for one in template.questions],
    }


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a field that is there twice: JSON itself would take the last without a word."""
    double = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if double:
        raise ValueError(f'The field "{_shown(double[0])}" is there twice in one place')
    return dict(pairs)


def _doubles(questions: list[_QuestionFields]) -> list[str]:
    """Names are heads of columns, so they must differ in more than their case."""
    counts = Counter(one.name.casefold() for one in questions)
    return [
        f'questions {number}: the name "{one.name}" is there twice; give each its own'
        for number, one in enumerate(questions, 1)
        if counts[one.name.casefold()] > 1
    ]


def _unusable(where: str, faults: list[str]) -> BadInput:
    shown = faults[:5]
    more = f"; and {len(faults) - len(shown)} more" if len(faults) > len(shown) else ""
    return BadInput(
        f"{where} can't be used as a template.",
        f"In it, {'; '.join(shown)}{more}.",
        "Correct this with a text editor (docs/templates.md names all fields).",
    )


def _explained(fault: ErrorDetails) -> str:
    """Say where a fault is and what it is, without pydantic's words."""
    values: Mapping[str, Any] = fault.get("ctx") or {}
    place = _place(fault["loc"])
    match fault["type"]:
        case "missing":
            return f"{place} is missing"
        case "extra_forbidden":
            return f"{place} is not known; {_known(fault['loc'])}"
        case "literal_error":
            return f"{place} must be {values['expected']}"
        case "string_type":
            return f"{place} must be text in quotes"
        case "string_unicode":
            return f"{place} holds half a character"
        case "list_type":
            return f"{place} must be a list, in square brackets"
        case "too_short":
            return f"{place} is empty"
        case "too_long":
            found, most = values["actual_length"], values["max_length"]
            unit = "characters" if isinstance(fault["input"], str) else "entries"
            return f"{place} has {found:,} {unit}, and {most:,} are the most"
        case "model_type":
            return f"{place} must be an object, in curly brackets"
        case _:
            return f"{place} {fault['msg']}"


def _place(location: tuple[int | str, ...]) -> str:
    """Name a place as people count: `questions 2, text`."""
    words = ""
    for part in location:
        name = f" {part + 1}" if isinstance(part, int) else _shown(part)
        words += f", {name}" if words and isinstance(part, str) else name
    return words or "all of it"


def _shown(name: str) -> str:
    """A name out of a file, short and harmless enough for a message."""
    return _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(name[:60].split()))


def _known(location: tuple[int | str, ...]) -> str:
    """Name the fields there are where an unknown one was found, the likeliest first."""
    model = _TemplateFields if len(location) == 1 else _QuestionFields
    names = list(model.model_fields)
    close = get_close_matches(str(location[-1]), names, 1)
    meant = f' (did you mean "{close[0]}"?)' if close else ""
    return f"known are {', '.join(names)}{meant}"

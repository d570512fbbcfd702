"""Documents an engine has read and keeps: what one may ask of them, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from m1desk.engines.json_values import as_count, as_mapping, as_number, as_text
from m1desk.engines.turn import PrefillProgress
from m1desk.engines.turn_stream import read_progress

if TYPE_CHECKING:
    from m1desk.engines.turn import ChatMessage


@dataclass(frozen=True, slots=True)
class CheckpointPlan:
    """How long an interval of a long preparation is: the most reading that a crash may cost.

    It is over when both its tokens and its time are (docs/prepared.md).

    Attributes:
        first_tokens: the fewest tokens of an interval.
        growth: the least ratio of the tokens at its end to those at its beginning.
        seconds: the least time it takes.
    """

    first_tokens: int = 8192
    growth: float = 1.5
    seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class StateSaved:
    """The state after `tokens` is on disk (`size` bytes): from there it would be resumed."""

    tokens: int
    size: int


@dataclass(frozen=True, slots=True)
class StateRefusal:
    """A saved state is not used, and is made anew.

    Attributes:
        reason: a stable word, one of `wire.PreparedReason`.
        message: a sentence.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class StateNotSaved:
    """A state could not be saved; what was saved before is still valid. Otherwise as a refusal."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PrepareFinished:
    """The document is read and its state is on disk.

    Attributes:
        tokens: of the document, with what stands before it.
        size: of the state (bytes).
        restored_tokens: of them, those not read again.
        read_tokens: of them, those read now.
        seconds: from the request to the end.
    """

    name: str
    tokens: int
    size: int
    restored_tokens: int
    read_tokens: int
    seconds: float


PrepareEvent = PrefillProgress | StateSaved | StateRefusal | StateNotSaved | PrepareFinished


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """One that an engine keeps.

    Attributes:
        size: of its state (bytes).
        complete: False when its preparation was cut off; preparing it again goes on from here.
        created: seconds since the epoch.
        model: the name of the model it was made with.
        refusal: why the engine can't use it as it is loaded now; None when it can.
    """

    name: str
    tokens: int
    size: int
    complete: bool
    created: float
    model: str
    refusal: StateRefusal | None = None


def prepare_body(
    messages: Sequence[ChatMessage], checkpoint: CheckpointPlan | None
) -> dict[str, object]:
    """Write a request to prepare a document."""
    body: dict[str, object] = {
        "messages": [{"role": one.role, "content": one.content} for one in messages]
    }
    if checkpoint is not None:
        body["checkpoint"] = asdict(checkpoint)
    return body


def read_prepare_chunk(chunk: Mapping[str, Any]) -> PrepareEvent | None:
    """Read a chunk of a preparation's stream; None when it says nothing we know."""
    for name, read in (
        ("prompt_progress", read_progress),
        ("saved", _saved),
        ("refused", _refusal),
        ("save_failed", _not_saved),
        ("prepared", _finished),
    ):
        fields = as_mapping(chunk.get(name))
        if fields:
            event: PrepareEvent = read(fields)
            return event
    return None


def read_document(fields: Mapping[str, Any]) -> PreparedDocument:
    """Read one entry of the list of prepared documents."""
    refused = as_mapping(fields.get("refused"))
    return PreparedDocument(
        name=as_text(fields.get("name")),
        tokens=as_count(fields.get("tokens")),
        size=as_count(fields.get("bytes")),
        complete=fields.get("complete") is True,
        created=as_number(fields.get("created")),
        model=as_text(fields.get("model")),
        refusal=_refusal(refused) if refused else None,
    )


def _saved(fields: Mapping[str, Any]) -> StateSaved:
    return StateSaved(as_count(fields.get("tokens")), as_count(fields.get("bytes")))


def _refusal(fields: Mapping[str, Any]) -> StateRefusal:
    return StateRefusal(as_text(fields.get("reason")), as_text(fields.get("message")))


def _not_saved(fields: Mapping[str, Any]) -> StateNotSaved:
    return StateNotSaved(as_text(fields.get("reason")), as_text(fields.get("message")))


def _finished(fields: Mapping[str, Any]) -> PrepareFinished:
    return PrepareFinished(
        name=as_text(fields.get("name")),
        tokens=as_count(fields.get("tokens")),
        size=as_count(fields.get("bytes")),
        restored_tokens=as_count(fields.get("restored_tokens")),
        read_tokens=as_count(fields.get("read_tokens")),
        seconds=as_number(fields.get("seconds")),
    )

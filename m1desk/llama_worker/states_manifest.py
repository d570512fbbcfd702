"""What a saved state says of itself, under what it holds good, and why one is refused."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Final

from m1desk.llama_worker.states_digest import bytes_digest
from m1desk.wire import PreparedReason, StateRefusal

FORMAT: Final = 1
"""Raised whenever a manifest or a state of before must not be used any more."""

NAME_RULE: Final = (
    "must be 1 to 64 characters of a-z, 0-9 and '-', and begin with a letter or a digit."
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def is_name(text: str) -> bool:
    """Whether a prepared document may be called so."""
    return _NAME.fullmatch(text) is not None


class StateRefused(Exception):
    """A saved state that can't be used.

    Attributes:
        reason: a stable word for it.
        message: a sentence for the user.
    """

    def __init__(self, reason: PreparedReason, message: str) -> None:
        super().__init__(message)
        self.reason: PreparedReason = reason
        self.message = message

    def refusal(self) -> StateRefusal:
        """The refusal as it is told to the client."""
        return StateRefusal(reason=self.reason, message=self.message)


@dataclass(frozen=True, slots=True)
class StateKey:
    """Under what a state holds good. The names are for people and are not compared.

    Attributes:
        model: digest of the model's files.
        engine: digest of the engine's libraries and what they use of this processor.
        kv_type: of the KV cache; its cells are stored as they are.
        flash_attention: without it values are stored transposed.
        long_rope: whether the context is longer than the model's original one: some models
            rotate by other factors then.
    """

    model_name: str
    model: str
    engine_name: str
    engine: str
    kv_type: str
    flash_attention: bool
    long_rope: bool

    def check(self, saved: StateKey) -> None:
        """Compare a saved state's key with this one.

        Raises:
            StateRefused: they differ in what matters.
        """
        if saved.model != self.model:
            raise StateRefused(
                "other_model", f"It was made with another model file ({saved.model_name})."
            )
        if saved.engine != self.engine:
            raise StateRefused(
                "other_engine", f"It was made by another build of the engine ({saved.engine_name})."
            )
        differing = [
            f"{words} {_shown(theirs)} instead of {_shown(ours)}"
            for words, theirs, ours in (
                ("KV cache type", saved.kv_type, self.kv_type),
                ("flash attention", saved.flash_attention, self.flash_attention),
                ("long context", saved.long_rope, self.long_rope),
            )
            if theirs != ours
        ]
        if differing:
            raise StateRefused(
                "other_settings", f"It was made with other settings: {', '.join(differing)}."
            )


@dataclass(frozen=True, slots=True)
class Manifest:
    """The account of one saved state.

    Attributes:
        created: seconds since the epoch.
        complete: False for a checkpoint of a preparation that has not come to its end.
        tokens: how many the state holds.
        tokens_digest: of their ids, as little-endian 32-bit numbers.
        file: the state file's name, in the same folder.
        size: bytes of the state file.
        digest: of the whole state file (`states_digest.file_digest`).
    """

    name: str
    created: float
    complete: bool
    tokens: int
    tokens_digest: str
    file: str
    size: int
    digest: str
    key: StateKey

    def encode(self) -> bytes:
        """One JSON object; its `checksum` covers all the rest."""
        fields = {"format": FORMAT, **asdict(self)}
        return _canonical({**fields, "checksum": bytes_digest(_canonical(fields))})


def decode_manifest(raw: bytes) -> Manifest:
    """The manifest in a file's bytes.

    Raises:
        StateRefused: it is damaged, or of another version.
    """
    try:
        fields = json.loads(raw)
        version = fields.pop("format")
        if isinstance(version, int) and version != FORMAT:
            raise StateRefused(
                "outdated", f"It is of format {version}; this version writes {FORMAT}."
            )
        del fields["checksum"]  # encode() below writes it anew
        manifest = Manifest(**{**fields, "key": StateKey(**fields["key"])})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged() from None
    if manifest.encode() != raw:  # a byte was changed, in the checksum or in what it covers
        raise _damaged()
    return manifest


def _damaged() -> StateRefused:
    return StateRefused("damaged", "Its manifest is damaged.")


def _canonical(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _shown(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)

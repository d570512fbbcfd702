"""The errors of M1 Desk, as one tree; each says what happened, why, and what the user can do.

M1DeskError
    BadInput: something the user or a caller gave is unusable
        ModelFileError: a model file that is broken, foreign, or of an unknown architecture
    StorageError: our folders or the database can't be read or written
    HubError: the model hub is out of reach, or refused
    EngineError: an engine did not start, died, or refused
        EngineFailed: the process ended or never became ready
        EngineRefused: it answered, with an error (an HTTP status and a reason)
        EngineUnreachable: it does not answer
            EngineStalled: it does, but has stopped working
"""

from __future__ import annotations


class M1DeskError(Exception):
    """An error written for the person at the screen.

    Attributes:
        what: one sentence, what happened.
        why: the cause as far as it is known; may be empty.
        todo: what the user can do about it; may be empty.
    """

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        super().__init__(what, why, todo)
        self.what = what
        self.why = why
        self.todo = todo

    def __str__(self) -> str:
        """All that is known, as one line for a terminal or a log."""
        return " ".join(part for part in (self.what, self.why, self.todo) if part)


class BadInput(M1DeskError):
    """Something the user or a caller gave is unusable; nothing was changed."""


class ModelFileError(BadInput):
    """A model file that is truncated, damaged, hostile, foreign, or of an unknown architecture."""


class StorageError(M1DeskError):
    """The app's folders or its database can't be read or written."""


class HubError(M1DeskError):
    """The model hub is out of reach, or refused.

    Attributes:
        kind: "offline", "network", "unauthorized", "gated", "forbidden", "not_found",
            "rate_limited", "server" (a fault of the hub's) or "answer" (one we can't use).
        retry_after: seconds the hub asked to wait, None when it did not.
    """

    def __init__(
        self,
        what: str,
        why: str = "",
        todo: str = "",
        *,
        kind: str,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, why, todo)
        self.kind = kind
        self.retry_after = retry_after


class EngineError(M1DeskError):
    """An engine did not start, died, or refused."""


class EngineFailed(EngineError):
    """The engine's process ended, or never became ready."""


class EngineRefused(EngineError):
    """The engine answered with an error.

    Attributes:
        status: the HTTP status, or 200 when the error came inside a stream.
        code: the engine's own word for it ("exceed_context_size_error"), or "".
    """

    def __init__(
        self, what: str, why: str = "", todo: str = "", *, status: int, code: str = ""
    ) -> None:
        super().__init__(what, why, todo)
        self.status = status
        self.code = code


class EngineUnreachable(EngineError):
    """No answer: refused, reset, or silent."""


class EngineStalled(EngineUnreachable):
    """The engine has stopped working on an answer, whatever else it still answers."""

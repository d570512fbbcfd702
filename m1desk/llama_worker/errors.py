"""What the worker refuses: requests and chat templates that can't be used."""

from __future__ import annotations


class RequestError(Exception):
    """A request body that is malformed, contradictory or out of range.

    Attributes:
        message: what is wrong, as a sentence for whoever sent the request.
        param: the field at fault ("messages.0.content"), or None when it is the body as a whole.
        code: a machine's word for it, or None.
    """

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code

    def body(self) -> dict[str, object]:
        """The JSON body of the answer, in the OpenAI dialect."""
        return {
            "error": {
                "message": self.message,
                "type": "invalid_request_error",
                "param": self.param,
                "code": self.code,
            }
        }


class TemplateError(Exception):
    """A model's chat template is broken, too costly, or refuses the conversation.

    Attributes:
        what: one sentence, what happened.
        why: the cause as far as it is known; may be empty.
    """

    def __init__(self, what: str, why: str = "") -> None:
        super().__init__(what, why)
        self.what = what
        self.why = why

    def __str__(self) -> str:
        return f"{self.what} {self.why}".strip()

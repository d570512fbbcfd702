"""The grammar that a request's constraint asks for."""

from __future__ import annotations

from m1desk.llama_worker.requests import GenerationRequest


def grammar_for(request: GenerationRequest) -> str | None:
    """The GBNF grammar (root rule `root`) of a request's answer, or None when it is free.

    Raises:
        RequestError: the schema or grammar is unsupported, too large or too deep.
    """
    raise NotImplementedError

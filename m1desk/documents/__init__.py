"""Documents: files read to pages, prompts that hold them whole, answers with checked quotes.

Names are imported when they are first asked for: a reader process is a module of this package, and
has to start without waiting for what only its owner needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.documents.answers import (
        CheckedAnswer,
        Citation,
        CitationStatus,
        ReadReceipt,
        UnquotedClaim,
    )
    from m1desk.documents.asking import (
        DEFAULT_ANSWER_TOKENS,
        DocumentAnswer,
        DocumentQuestion,
        ask,
        too_long,
    )
    from m1desk.documents.budget import Budget, count_documents, count_prompt
    from m1desk.documents.citations import CitationChecker
    from m1desk.documents.export import (
        AnswerRecord,
        as_html,
        as_json,
        as_json_text,
        as_markdown,
        receipt_json,
        receipt_words,
    )
    from m1desk.documents.notices import (
        QuestionDelta,
        QuestionEnded,
        QuestionNotice,
        QuestionPrefill,
        QuestionPreparing,
        QuestionStarted,
    )
    from m1desk.documents.prepared import PreparedState, PreparedStates, state_name
    from m1desk.documents.prompt import DocumentsText, PlacedPage, first_message, lay_out
    from m1desk.documents.reading import read_documents
    from m1desk.documents.runner import AskingEngine, QuestionRunner, Wish
    from m1desk.documents.set_values import (
        AnswerDetails,
        AskedQuestion,
        DocumentSet,
        QuestionState,
        SetFile,
    )
    from m1desk.documents.sets import DocumentSets
    from m1desk.documents.values import (
        Document,
        ExtractionReport,
        Page,
        PageKind,
        ReadLimits,
        ReadOptions,
        ReadProgress,
        ReadResult,
    )

__all__ = [
    "DEFAULT_ANSWER_TOKENS",
    "AnswerDetails",
    "AnswerRecord",
    "AskedQuestion",
    "AskingEngine",
    "Budget",
    "CheckedAnswer",
    "Citation",
    "CitationChecker",
    "CitationStatus",
    "Document",
    "DocumentAnswer",
    "DocumentQuestion",
    "DocumentSet",
    "DocumentSets",
    "DocumentsText",
    "ExtractionReport",
    "Page",
    "PageKind",
    "PlacedPage",
    "PreparedState",
    "PreparedStates",
    "QuestionDelta",
    "QuestionEnded",
    "QuestionNotice",
    "QuestionPrefill",
    "QuestionPreparing",
    "QuestionRunner",
    "QuestionStarted",
    "QuestionState",
    "ReadLimits",
    "ReadOptions",
    "ReadProgress",
    "ReadReceipt",
    "ReadResult",
    "SetFile",
    "UnquotedClaim",
    "Wish",
    "as_html",
    "as_json",
    "as_json_text",
    "as_markdown",
    "ask",
    "count_documents",
    "count_prompt",
    "first_message",
    "lay_out",
    "read_documents",
    "receipt_json",
    "receipt_words",
    "state_name",
    "too_long",
]

_HOMES: Final = {
    "answers": (
        "CheckedAnswer",
        "Citation",
        "CitationStatus",
        "ReadReceipt",
        "UnquotedClaim",
    ),
    "asking": (
        "DEFAULT_ANSWER_TOKENS",
        "DocumentAnswer",
        "DocumentQuestion",
        "ask",
        "too_long",
    ),
    "budget": (
        "Budget",
        "count_documents",
        "count_prompt",
    ),
    "citations": ("CitationChecker",),
    "export": (
        "AnswerRecord",
        "as_html",
        "as_json",
        "as_json_text",
        "as_markdown",
        "receipt_json",
        "receipt_words",
    ),
    "notices": (
        "QuestionDelta",
        "QuestionEnded",
        "QuestionNotice",
        "QuestionPrefill",
        "QuestionPreparing",
        "QuestionStarted",
    ),
    "prepared": (
        "PreparedState",
        "PreparedStates",
        "state_name",
    ),
    "prompt": (
        "DocumentsText",
        "PlacedPage",
        "first_message",
        "lay_out",
    ),
    "reading": ("read_documents",),
    "runner": (
        "AskingEngine",
        "QuestionRunner",
        "Wish",
    ),
    "set_values": (
        "AnswerDetails",
        "AskedQuestion",
        "DocumentSet",
        "QuestionState",
        "SetFile",
    ),
    "sets": ("DocumentSets",),
    "values": (
        "Document",
        "ExtractionReport",
        "Page",
        "PageKind",
        "ReadLimits",
        "ReadOptions",
        "ReadProgress",
        "ReadResult",
    ),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

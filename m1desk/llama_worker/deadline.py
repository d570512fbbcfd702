"""A time limit for work on foreign input that runs in this thread."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_T = TypeVar("_T")


class OutOfTime(BaseException):
    """The limit was passed."""


def run_limited(work: Callable[[], _T], seconds: float, *, source: str) -> _T:
    """Do `work` on this thread, but for at most `seconds` of its processor time.

    Waiting for the processor does not count: a busy machine is not the input's fault. The clock is
    read at every call of a Python function, and at every line of code whose file name
    ends in `source`: a loop there can't escape. One step inside a C function is not interrupted, so
    the sizes of what such steps work on must be bounded elsewhere.

    Raises:
        OutOfTime: the work took longer.
    """
    end = time.thread_time() + seconds

    def trace(frame: FrameType, _event: str, _argument: object) -> object:
        if time.thread_time() > end:
            raise OutOfTime
        return trace if frame.f_code.co_filename.endswith(source) else None

    previous = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]  # typeshed wants the recursive type by name
    try:
        return work()
    finally:
        sys.settrace(previous)

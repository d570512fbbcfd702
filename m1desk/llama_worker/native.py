"""llama.cpp's library as this process sees it: loading it, and listening to what it logs."""

from __future__ import annotations

import ctypes
import os
import sys
from collections import deque
from typing import Any, Final

# ggml_log_level of ggml.h
_DEBUG_LEVEL: Final = 1
_WARNING_LEVEL: Final = 3
_ERROR_LEVEL: Final = 4
_CONTINUATION: Final = 5


class NativeLog:
    """Passes the library's log to standard error and remembers the last complaints.

    Why a model can't be loaded is said only here; the call itself returns a null pointer.
    """

    def __init__(self) -> None:
        self._complaints: deque[str] = deque(maxlen=40)
        self._last_level = 0

    def __call__(self, level: int, text: bytes, _user_data: object) -> None:
        """Called by the library, from any of its threads."""
        level = self._last_level if level == _CONTINUATION else level
        self._last_level = level
        if level <= _DEBUG_LEVEL:
            return
        line = text.decode("utf-8", errors="replace")
        if level in {_WARNING_LEVEL, _ERROR_LEVEL}:
            self._complaints.append(line.strip())
        sys.stderr.write(line)

    def complaints(self) -> str:
        """The last warnings and errors, oldest first, one a line."""
        return "\n".join(self._complaints)

    def clear(self) -> None:
        """Forget what was said so far."""
        self._complaints.clear()


class Native:
    """The loaded library: its functions (`lib`), its log, and the callback that must stay alive."""

    def __init__(self) -> None:
        # when it gives up, the library would let a debugger, if there is one, search this whole
        # process; the log says what happened, and the supervisor waits for the end
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")
        import llama_cpp.llama_cpp as lib  # noqa: PLC0415 - loads the engine

        self.lib: Any = lib
        self.log = NativeLog()
        self._log_callback = lib.llama_log_callback(self.log)
        lib.llama_log_set(self._log_callback, ctypes.c_void_p(0))
        lib.llama_backend_init()

    def system_info(self) -> str:
        """The instruction sets and backends this build uses, in the library's words."""
        return str(self.lib.llama_print_system_info().decode())

"""One session with NVML: starting it, and asking so that "not supported" is an answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from m1desk.hardware.sources import Nvml

_ABSENT: Final = frozenset({9, 12})  # driver not loaded, library not found
_VERSION_MISMATCH: Final = 18
_INTEGER_MEMBERS: Final = {1: "uiVal", 2: "ulVal", 3: "ullVal"}
"""Where NVML's union of values holds an integer, by NVML_VALUE_TYPE_..."""

NOT_SUPPORTED: Final = 3
"""The code of "this device has no such thing"."""


class NvmlUnavailable(Exception):
    """NVML can't be used; `is_absence` when that is what a machine without NVIDIA says."""

    def __init__(self, why: str, *, is_absence: bool) -> None:
        super().__init__(why)
        self.is_absence = is_absence


@dataclass(frozen=True, slots=True)
class NvmlMemory:
    """A device's memory (bytes)."""

    total: int
    free: int
    used: int


class NvmlSession:
    """Questions to NVML; what a device or a driver doesn't support is None."""

    def __init__(self, load: Callable[[], Nvml]) -> None:
        self._load = load
        self._nvml: Nvml | None = None
        self.last_error = ""
        self.last_code: int | None = None

    def open(self) -> None:
        """Starts NVML, once.

        Raises:
            NvmlUnavailable: the library, its driver, or the Python package is missing or broken.
        """
        if self._nvml is not None:
            return
        try:
            nvml = self._load()
        except ImportError as error:
            raise NvmlUnavailable(
                f"the Python package nvidia-ml-py is missing ({error})", is_absence=False
            ) from error
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            code = getattr(error, "value", None)
            raise NvmlUnavailable(_explain(error, code), is_absence=code in _ABSENT) from error
        self._nvml = nvml

    def close(self) -> None:
        """Ends the session; `open` starts another."""
        if self._nvml is not None:
            self.ask("nvmlShutdown")
            self._nvml = None

    def ask(self, function: str, *arguments: object) -> Any:  # noqa: ANN401 - NVML's structures
        """The function's answer, None when the driver has none; `last_error` then says why."""
        if self._nvml is None:
            return None
        try:
            return getattr(self._nvml, function)(*arguments)
        except (self._nvml.NVMLError, UnicodeDecodeError) as error:
            self.last_error = str(error)
            self.last_code = getattr(error, "value", None)
            return None

    def number(self, function: str, *arguments: object) -> int | None:
        """An answer that is an integer."""
        answer = self.ask(function, *arguments)
        return None if answer is None else int(answer)

    def text(self, function: str, *arguments: object) -> str:
        """An answer that is text; "" when there is none."""
        return _text(self.ask(function, *arguments))

    def pair(self, function: str, *arguments: object) -> tuple[int, int] | None:
        """An answer of two integers."""
        answer = self.ask(function, *arguments)
        return None if answer is None else (int(answer[0]), int(answer[1]))

    def field(self, function: str, name: str, *arguments: object) -> int | None:
        """One integer of an answer that is a structure."""
        answer = self.ask(function, *arguments)
        return None if answer is None else int(getattr(answer, name))

    def field_value(self, handle: object, field_id: int) -> int | None:
        """One of the integers that NVML knows by a number (NVML_FI_...)."""
        answer = self.ask("nvmlDeviceGetFieldValues", handle, [field_id])
        if answer is None or answer[0].nvmlReturn != 0:
            return None
        member = _INTEGER_MEMBERS.get(int(answer[0].valueType))
        return None if member is None else int(getattr(answer[0].value, member))

    def memory(self, handle: object) -> NvmlMemory | None:
        """The device's memory, None when it has none of its own (GB10)."""
        answer = self.ask("nvmlDeviceGetMemoryInfo", handle)
        if answer is None:
            return None
        return NvmlMemory(int(answer.total), int(answer.free), int(answer.used))

    def pci_id(self, function: str, *arguments: object) -> str:
        """The PCI id in an answer, as the engine and the kernel write it ("0000:01:00.0")."""
        answer = self.ask(function, *arguments)
        text = _text(answer.busId).lower() if answer is not None else ""
        # NVML writes the domain with eight digits.
        found = re.fullmatch(r"0*([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])", text)
        return found[1] if found else text


def _explain(error: Exception, code: object) -> str:
    if code == _VERSION_MISMATCH:
        return (
            "its driver was updated while it ran (driver and library versions differ); "
            "restart the machine"
        )
    if code in _ABSENT:
        return f"its driver is not installed or not loaded ({error})"
    return str(error)


def _text(answer: object) -> str:
    if isinstance(answer, bytes):
        return answer.decode("utf-8", errors="replace")
    return "" if answer is None else str(answer)

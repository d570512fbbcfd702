"""What engines have read and keep on disk, for the panel that lists it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from m1desk.documents import PreparedState, PreparedStates
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.settings import SettingsViewModel


class PreparedViewModel(QObject):
    """Lists the prepared documents, deletes them, and keeps them within the disk budget.

    `make_room` deletes what is beyond a budget (bytes), but nothing that is in use.

    Signals:
        changed: what is listed (tuple of PreparedState), the one used last first.
        failed: the exception of something that did not work.
    """

    changed = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        states: PreparedStates,
        make_room: Callable[[int], Coroutine[Any, Any, None]],
        settings: SettingsViewModel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._states = states
        self._make_room = make_room
        self._settings = settings
        self._entries: tuple[PreparedState, ...] = ()

    @property
    def entries(self) -> tuple[PreparedState, ...]:
        """The list as it was last read."""
        return self._entries

    @property
    def size_bytes(self) -> int:
        """What all of them take on the disk."""
        return sum(one.size_bytes for one in self._entries)

    @property
    def budget_bytes(self) -> int:
        """What all of them may take together."""
        return self._settings.settings.prepared_budget_bytes

    def state(self, name: str) -> PreparedState | None:
        """Find a state by its name."""
        return next((one for one in self._entries if one.name == name), None)

    def refresh(self) -> None:
        """Read the list anew."""
        self._bridge.submit(
            asyncio.to_thread(self._states.entries), self._on_read, self.failed.emit
        )

    def delete(self, name: str) -> None:
        """Delete one; the documents would have to be read again."""
        work = asyncio.to_thread(self._states.delete, name)
        self._bridge.submit(work, lambda _: self.refresh(), self._on_failed)

    def set_budget(self, budget_bytes: int) -> None:
        """Set what all together may take; what is beyond goes, those unused longest first."""
        self._settings.change(prepared_budget_bytes=budget_bytes)
        self._bridge.submit(
            self._make_room(budget_bytes), lambda _: self.refresh(), self._on_failed
        )

    def _on_read(self, entries: tuple[PreparedState, ...]) -> None:
        self._entries = entries
        self.changed.emit(entries)

    def _on_failed(self, error: Exception) -> None:
        self.refresh()
        self.failed.emit(error)

"""All sets of documents: their list, a search over their names, making, renaming, deleting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from m1desk.documents import DocumentSet, DocumentSets
    from m1desk.ui.bridge import Bridge


class DocumentSetsViewModel(QObject):
    """Keeps the list of sets true.

    `delete` deletes a set (by id) with all that belongs to it; it runs on the loop.

    Signals:
        changed: the sets shown (tuple of DocumentSet), the one used last first.
        created: id (int) of a set that was just made.
        deleted: id (int) of a set that is gone.
        failed: the exception of something that did not work.
    """

    changed = Signal(object)
    created = Signal(object)
    deleted = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        bridge: Bridge,
        sets: DocumentSets,
        delete: Callable[[int], Coroutine[Any, Any, None]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._sets = sets
        self._delete = delete
        self._all: tuple[DocumentSet, ...] = ()
        self._words = ""

    @property
    def all(self) -> tuple[DocumentSet, ...]:
        """Every set, whatever is searched for."""
        return self._all

    @property
    def shown(self) -> tuple[DocumentSet, ...]:
        """The sets whose names hold all words searched for."""
        words = self._words.casefold().split()
        return tuple(one for one in self._all if all(w in one.name.casefold() for w in words))

    @property
    def words(self) -> str:
        """What is searched for, "" for nothing."""
        return self._words

    def refresh(self, then: Callable[[], None] | None = None) -> None:
        """Read the list anew; `then` is called when it is there."""

        def on_done(sets: tuple[DocumentSet, ...]) -> None:
            self._all = sets
            self.changed.emit(self.shown)
            if then is not None:
                then()

        self._bridge.submit(asyncio.to_thread(self._sets.all), on_done, self.failed.emit)

    def search(self, words: str) -> None:
        """Show only the sets whose names hold these words."""
        self._words = words.strip()
        self.changed.emit(self.shown)

    def create(self, name: str, then: Callable[[int], None] | None = None) -> None:
        """Make an empty set; `then` is called with its id when it is in the list."""

        def on_listed(set_id: int) -> None:
            self.created.emit(set_id)
            if then is not None:
                then(set_id)

        def on_done(set_id: int) -> None:
            self._words = ""
            self.refresh(then=lambda: on_listed(set_id))

        self._bridge.submit(asyncio.to_thread(self._sets.create, name), on_done, self.failed.emit)

    def rename(self, set_id: int, name: str) -> None:
        """Give a set another name."""
        self._bridge.submit(
            asyncio.to_thread(self._sets.rename, set_id, name),
            lambda _: self.refresh(),
            self._on_not_renamed,
        )

    def delete(self, set_id: int) -> None:
        """Delete a set, its questions and what was prepared of it; the files on disk stay."""

        def on_done(_: None) -> None:
            self.deleted.emit(set_id)
            self.refresh()

        self._bridge.submit(self._delete(set_id), on_done, self.failed.emit)

    def _on_not_renamed(self, error: Exception) -> None:
        self.changed.emit(self.shown)  # the field shows the old name again
        self.failed.emit(error)

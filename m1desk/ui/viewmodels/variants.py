"""The variants of the chosen model, each planned on the chosen machine with what is wished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from m1desk.errors import M1DeskError
from m1desk.fit import Change, FitPlan, Variant, Wished, plan
from m1desk.ui.viewmodels.variants_queue import WorkQueue
from m1desk.ui.viewmodels.variants_source import (
    VariantList,
    VariantRow,
    catalog_variants,
    hub_variants,
)

if TYPE_CHECKING:
    from m1desk.models import Hub
    from m1desk.ui.bridge import Bridge, Submission
    from m1desk.ui.viewmodels.discover_entries import Entry
    from m1desk.ui.viewmodels.discover_machine import MachineViewModel

State = Literal["none", "loading", "ready", "unknown", "failed"]
"""No model is chosen; its variants are awaited; they are there; the planner doesn't know its
architecture, but the Hub may; the Hub did not answer."""

_THROTTLE_MS: Final = 30
_MOST_OTHERS: Final = 24
_USUAL: Final = "Q4_K_M"


class VariantsViewModel(QObject):
    """Keeps the rows, their plans, the wish and the selection.

    Rows are planned a few at a time: the selected one at once, those in sight next, then what
    would help the selected one.

    Signals:
        reset: other rows, or another state (read `rows`, `state`).
        row_planned: number (int) of a row with a new plan.
        selected_changed: another row is selected, or its plan is new (read `selected_plan`).
        changes_found: what would help the selected row is known anew (read `changes`).
        wished_changed: the wish is another (read `wished`).
    """

    reset = Signal()
    row_planned = Signal(int)
    selected_changed = Signal()
    changes_found = Signal()
    wished_changed = Signal()

    def __init__(
        self,
        bridge: Bridge,
        machines: MachineViewModel,
        hub: Callable[[], Hub],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._machines = machines
        self._hub = hub
        self._entry: Entry | None = None
        self._state: State = "none"
        self._list = VariantList(())
        self._cache: dict[tuple[str, str], VariantList] = {}
        self._plans: list[FitPlan | None] = []
        self._selected = -1
        self._selected_plan: FitPlan | None = None
        self._changes: tuple[Change, ...] = ()
        self._in_sight = range(0)
        self._wished = Wished()
        self._error: M1DeskError | None = None
        self._work: Submission | None = None
        self._again: Callable[[], None] | None = None
        self._queue = WorkQueue(self)
        self._throttle = QTimer(self)
        self._throttle.setSingleShot(True)
        self._throttle.setInterval(_THROTTLE_MS)
        self._throttle.timeout.connect(self._replan)
        machines.changed.connect(self._replan)

    # -- what there is -----------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The model chosen."""
        return self._entry

    @property
    def state(self) -> State:
        """How its variants stand."""
        return self._state

    @property
    def error(self) -> M1DeskError | None:
        """Why they are not there, or not complete."""
        return self._error or self._list.error

    @property
    def note(self) -> str:
        """What there is to know about the list."""
        return self._list.note

    @property
    def rows(self) -> tuple[VariantRow, ...]:
        """The variants, the largest first."""
        return self._list.rows

    @property
    def checkpoint(self) -> Variant | None:
        """The model in 16 bits, as vLLM loads it; None where its architecture is not known."""
        return self._list.checkpoint

    @property
    def wished(self) -> Wished:
        """How it is to run."""
        return self._wished

    @property
    def selected(self) -> int:
        """Number of the selected row, -1 for none."""
        return self._selected

    @property
    def selected_row(self) -> VariantRow | None:
        """The selected row."""
        return self.rows[self._selected] if 0 <= self._selected < len(self.rows) else None

    @property
    def selected_plan(self) -> FitPlan | None:
        """Its plan; None while there is none."""
        return self._selected_plan

    @property
    def changes(self) -> tuple[Change, ...]:
        """What would help the selected row; of a moment ago while a slider moves."""
        return self._changes

    @property
    def is_planning(self) -> bool:
        """Whether rows are still to be planned."""
        return self._queue.is_busy or self._throttle.isActive()

    def plan_of(self, number: int) -> FitPlan | None:
        """A row's plan; it may be of a moment ago while a slider moves."""
        return self._plans[number]

    # -- what is asked -----------------------------------------------------------------------------

    def choose(self, entry: Entry) -> None:
        """Show another model: of the catalog from what is known, of the Hub by asking it."""
        self._entry = entry
        if entry.catalog is not None:
            model = entry.catalog
            self._load((entry.key, "catalog"), lambda: catalog_variants(model))
        else:
            self.look_up(entry.repo_id)

    def look_up(self, repo_id: str) -> None:
        """Ask the Hub which files a repository of the chosen model has."""
        self._load(("hub", repo_id), lambda: hub_variants(self._hub(), repo_id))

    def try_again(self) -> None:
        """Look once more for what failed."""
        if self._again is not None:
            self._again()

    def wish(self, wished: Wished) -> None:
        """Plan for something else; many wishes in a row are taken as the last of them."""
        if wished != self._wished:
            self._wished = wished
            self.wished_changed.emit()
            if not self._throttle.isActive():
                self._throttle.start()

    def select(self, number: int) -> None:
        """Select a row."""
        if number != self._selected and 0 <= number < len(self.rows):
            self._selected = number
            self._replan()

    def select_named(self, name: str) -> None:
        """Select a row by its variant's name; an unknown one changes nothing."""
        names = [row.name for row in self.rows]
        if name in names:
            self.select(names.index(name))

    def set_in_sight(self, numbers: range) -> None:
        """Say which rows can be seen: they are planned first."""
        self._in_sight = numbers

    # -- inside ------------------------------------------------------------------------------------

    def _load(self, key: tuple[str, str], make: Callable[[], VariantList]) -> None:
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self._again = lambda: self._load(key, make)
        known = self._cache.get(key)
        if known is not None:
            self._show(known)
            return

        def on_done(made: VariantList) -> None:
            if made.rows and made.error is None:
                self._cache[key] = made
            self._show(made)

        self._set_rows(VariantList(()), "loading")
        self._work = self._bridge.submit(
            asyncio.to_thread(make), on_done=on_done, on_error=self._on_error
        )

    def _show(self, made: VariantList) -> None:
        self._set_rows(made, "ready" if made.rows else "unknown")

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        # what was known before the Hub was asked is better than nothing
        known = self._cache.get((self._entry.key, "catalog")) if self._entry else None
        self._set_rows(known or VariantList(()), "ready" if known else "failed", error)

    def _set_rows(self, made: VariantList, state: State, error: M1DeskError | None = None) -> None:
        self._list, self._state, self._error = made, state, error
        self._plans = [None] * len(made.rows)
        self._in_sight = range(0)
        names = [row.name.upper() for row in made.rows]
        self._selected = names.index(_USUAL) if _USUAL in names else min(0, len(names) - 1)
        self.reset.emit()
        self._replan()

    def _replan(self) -> None:
        self._plan_selected()
        self._queue.start(self._planning())

    def _plan_selected(self) -> None:
        row, machine = self.selected_row, self._machines.current
        self._selected_plan = None
        if row is not None and row.variant is not None and machine is not None:
            self._selected_plan = plan(
                machine.machine,
                row.variant,
                self._wished,
                efficiencies=machine.efficiencies,
            )
        self.selected_changed.emit()

    def _find_changes(self) -> None:
        done = self._selected_plan
        if done is not None:
            others = self._others()
            done = plan(done.machine, done.variant, done.wished, others=others)
        self._changes = done.changes if done is not None else ()
        self.changes_found.emit()

    def _others(self) -> list[Variant]:
        """Variants that could be proposed instead; of very many, some of every size."""
        known = [row.variant for row in self.rows if row.variant is not None]
        return known[:: 1 + len(known) // _MOST_OTHERS]

    def _planning(self) -> Iterator[None]:
        """Plan the rows in sight, look for what would help, then plan the others."""
        seen = [number for number in self._in_sight if number < len(self.rows)]
        for number in seen:
            self._plan_row(number)
            yield
        self._find_changes()
        yield
        for number in range(len(self.rows)):
            if number not in seen:
                self._plan_row(number)
                yield

    def _plan_row(self, number: int) -> None:
        machine, variant = self._machines.current, self.rows[number].variant
        if machine is not None and variant is not None:
            self._plans[number] = plan(
                machine.machine, variant, self._wished, efficiencies=machine.efficiencies
            )
        else:
            self._plans[number] = None
        self.row_planned.emit(number)

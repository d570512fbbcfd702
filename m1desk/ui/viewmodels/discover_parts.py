"""The view models of Discover, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from m1desk.ui.viewmodels.discover import DiscoverViewModel
from m1desk.ui.viewmodels.discover_machine import MachineViewModel
from m1desk.ui.viewmodels.fit_panel_cost import CostViewModel
from m1desk.ui.viewmodels.fit_panel_exact import ExactViewModel
from m1desk.ui.viewmodels.variants import VariantsViewModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.hardware import Machine
    from m1desk.models import Hub
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.viewmodels.discover_machine import PlannedMachine


class DiscoverParts(QObject):
    """What the page shows: the list, the machines, the variants, their fit and their cost.

    `hub` makes the Hub as the settings want it; `here` thinks this computer through. Both are
    called on worker threads.
    """

    def __init__(
        self,
        bridge: Bridge,
        hub: Callable[[], Hub],
        here: Callable[[Machine], PlannedMachine],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.list = DiscoverViewModel(bridge, hub, parent=self)
        self.machines = MachineViewModel(bridge, here, parent=self)
        self.variants = VariantsViewModel(bridge, self.machines, hub, parent=self)
        self.exact = ExactViewModel(bridge, parent=self)
        self.cost = CostViewModel(parent=self)
        self.variants.selected_changed.connect(self._on_selected)

    def open(self) -> None:
        """Read the catalog and the presets, once."""
        self.list.open()
        self.machines.open()

    def _on_selected(self) -> None:
        self.cost.show_plan(self.variants.selected_plan)

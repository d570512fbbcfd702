"""The panel of engines as tests show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m1desk.ui.viewmodels.environments import EnvironmentsViewModel
from m1desk.ui.widgets.environments_panel import EnvironmentsPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from m1desk.engines.environments.desk import EngineDesk
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

PATIENCE_MS = 300_000


def shown_panel(qtbot: QtBot, bridge: Bridge, theme: Theme, desk: EngineDesk) -> EnvironmentsPanel:
    """Show it, and wait until it knows what is here."""
    model = EnvironmentsViewModel(bridge, desk)
    made = EnvironmentsPanel(theme, model)
    qtbot.addWidget(made)
    made.show()
    with qtbot.waitSignal(model.changed, timeout=PATIENCE_MS):
        model.refresh()
    return made


def until(qtbot: QtBot, is_so: Callable[[], bool]) -> None:
    """Wait for it, as long as installing may take."""
    qtbot.waitUntil(is_so, timeout=PATIENCE_MS)

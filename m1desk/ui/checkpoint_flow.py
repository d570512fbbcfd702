"""From "this checkpoint, please" to a load with vLLM: the dialog, what fits, the engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from m1desk.engines import ServeWish
from m1desk.ui.widgets.checkpoint_dialog import CheckpointDialog

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from m1desk.engines import CheckpointOffer, VllmPlan
    from m1desk.errors import M1DeskError
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.checkpoints import CheckpointsViewModel
    from m1desk.ui.viewmodels.engine import EngineViewModel
    from m1desk.ui.viewmodels.settings import SettingsViewModel


class CheckpointFlow(QObject):
    """Opens one dialog at a time over `window`.

    Signals:
        other_file_wished: another model is to be picked.
        engines_wished: an engine is to be set up.
        failed: an M1DeskError of a load without a dialog.
    """

    other_file_wished = Signal()
    engines_wished = Signal()
    failed = Signal(object)

    def __init__(
        self,
        theme: Theme,
        window: QWidget,
        engine: EngineViewModel,
        checkpoints: CheckpointsViewModel,
        settings: SettingsViewModel,
    ) -> None:
        super().__init__(window)
        self._theme = theme
        self._window = window
        self._engine = engine
        self._checkpoints = checkpoints
        self._settings = settings
        self._dialog: CheckpointDialog | None = None
        checkpoints.offered.connect(self._on_offered)
        checkpoints.planned.connect(self._on_planned)
        checkpoints.refused.connect(self._on_refused)

    @property
    def dialog(self) -> CheckpointDialog | None:
        """The dialog that is open."""
        return self._dialog

    def offer(self, folder: Path) -> None:
        """Open the dialog for a folder; an open one turns to it."""
        if self._dialog is None:
            self._dialog = self._make_dialog(folder)
            self._dialog.open()
        else:
            self._dialog.set_folder(folder)
        self._checkpoints.look(folder)

    def load(self, folder: Path) -> None:
        """Load a folder without asking, as the settings say."""
        self.close()
        self._checkpoints.look(folder)

    def close(self) -> None:
        """Close the dialog if it is open."""
        if self._dialog is not None:
            self._dialog.reject()

    def _make_dialog(self, folder: Path) -> CheckpointDialog:
        dialog = CheckpointDialog(self._theme, folder, self._settings.settings, self._window)
        dialog.plan_wished.connect(self._on_plan_wished)
        dialog.load_wished.connect(self._engine.load)
        dialog.other_file_wished.connect(self.other_file_wished)
        dialog.engines_wished.connect(self.engines_wished)
        dialog.finished.connect(self._on_finished)
        return dialog

    def _on_plan_wished(self, environment: str, wish: ServeWish) -> None:
        if self._dialog is not None:
            self._checkpoints.plan(self._dialog.folder, environment, wish)

    def _on_offered(self, offer: CheckpointOffer) -> None:
        if self._dialog is not None:
            self._dialog.show_offer(offer)
            return
        chosen = self._settings.settings
        context = min(chosen.default_context_tokens, offer.model.context_tokens or math.inf)
        wish = ServeWish(int(context), chosen.default_parallel)
        self._checkpoints.plan(offer.folder, offer.best, wish)

    def _on_planned(self, plan: VllmPlan) -> None:
        if self._dialog is None:
            self._engine.load(plan.settings)
        else:
            self._dialog.show_plan(plan)

    def _on_refused(self, error: M1DeskError) -> None:
        if self._dialog is None:
            self.failed.emit(error)
        else:
            self._dialog.show_refusal(error)

    def _on_finished(self) -> None:
        self._dialog = None
        self._checkpoints.forget()

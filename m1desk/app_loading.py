"""Loads models as the window wishes: by a dialog, at the start, once more, as a greeting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, SignalInstance

from m1desk.app_defaults import default_settings
from m1desk.model_paths import checkpoint_folder
from m1desk.models.demo import GREETING, demo_model
from m1desk.ui.load_flow import LoadFlow
from m1desk.ui.viewmodels.checkpoints import CheckpointsViewModel

if TYPE_CHECKING:
    from m1desk.app_core import Core
    from m1desk.engines import LocalSettings
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.main_window import MainWindow
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.engine import EngineViewModel
    from m1desk.ui.viewmodels.model_entries import FileReport
    from m1desk.ui.viewmodels.models import ModelsViewModel
    from m1desk.ui.viewmodels.settings import SettingsViewModel


class LoadingDesk(QObject):
    """Makes the dialogs with what is behind them."""

    def __init__(
        self,
        theme: Theme,
        window: MainWindow,
        bridge: Bridge,
        *,
        core: Core,
        settings: SettingsViewModel,
        models: ModelsViewModel,
        engine: EngineViewModel,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._settings = settings
        self._models = models
        self._engine = engine
        self._greets = False
        checkpoints = CheckpointsViewModel(bridge, core.checkpoints, parent=self)
        self.flow = LoadFlow(theme, window, engine, models, settings, checkpoints=checkpoints)
        engine.load_wished.connect(self._on_load_wished)
        engine.unload_wished.connect(self.drop_greeting)

    @property
    def failures(self) -> tuple[SignalInstance, ...]:
        """The signals that tell an error to be shown in the banner."""
        return (self.flow.checkpoints.failed,)

    def load(self, path: Path) -> None:
        """Load a file or a checkpoint's folder without asking, as the settings say."""
        path = path.absolute()
        folder = checkpoint_folder(path)
        if folder is not None:
            self.flow.checkpoints.load(folder)
        else:
            self._models.inspect(path, self._on_inspected)

    def greet(self) -> None:
        """Load the demo model, to be greeted unless somebody wants another model, or none."""
        self._greets = True
        self.load(demo_model())

    def take_greeting(self, settings: LocalSettings) -> str:
        """What the model that is ready now is to be asked at once, "" for nothing; told once."""
        greets = self._greets and _is_demo(settings)
        self.drop_greeting()
        return GREETING if greets else ""

    def drop_greeting(self) -> None:
        """Greet nobody: something else is wanted than the demo model."""
        self._greets = False

    def load_last(self) -> None:
        """Load what was loaded last, if the settings want that at every start."""
        chosen = self._settings.settings
        if chosen.load_last_model and chosen.last_model_path:
            self.load(Path(chosen.last_model_path))

    def load_again(self) -> None:
        """Load what this window, or an earlier one, had loaded; else let somebody choose."""
        last = self._settings.settings.last_model_path
        if self._engine.settings is not None:
            self._engine.load_again()
        elif last:
            self.flow.offer(Path(last))
        else:
            self._window.model_selector.open_list()

    def _on_inspected(self, report: FileReport) -> None:
        self._engine.load(default_settings(report, self._settings.settings))

    def _on_load_wished(self, settings: LocalSettings) -> None:
        if not _is_demo(settings):
            self.drop_greeting()


def _is_demo(settings: LocalSettings) -> bool:
    return settings.model_path == demo_model().absolute()

"""From "this file, please" to a load: picking a file, looking into it, the dialog, the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QWidget

from m1desk.fit import FreeMemory, driver_reserve
from m1desk.model_paths import checkpoint_folder
from m1desk.ui.checkpoint_flow import CheckpointFlow
from m1desk.ui.widgets.load_dialog import LoadDialog

if TYPE_CHECKING:
    from m1desk.engines import LocalSettings
    from m1desk.hardware import Machine, Sample
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.checkpoints import CheckpointsViewModel
    from m1desk.ui.viewmodels.engine import EngineViewModel
    from m1desk.ui.viewmodels.model_entries import FileReport
    from m1desk.ui.viewmodels.models import ModelsViewModel
    from m1desk.ui.viewmodels.monitor import MonitorSample, MonitorViewModel
    from m1desk.ui.viewmodels.settings import SettingsViewModel

_FILTER = "Models (*.gguf *.GGUF *.safetensors config.json);;All files (*)"


class LoadFlow(QObject):
    """Opens one load dialog at a time over `window`.

    Attributes:
        checkpoints: the same for folders, which are for vLLM.
    """

    def __init__(
        self,
        theme: Theme,
        window: QWidget,
        engine: EngineViewModel,
        models: ModelsViewModel,
        settings: SettingsViewModel,
        *,
        checkpoints: CheckpointsViewModel,
    ) -> None:
        super().__init__(window)
        self.checkpoints = CheckpointFlow(theme, window, engine, checkpoints, settings)
        self.checkpoints.other_file_wished.connect(self.pick)
        self._theme = theme
        self._window = window
        self._engine = engine
        self._models = models
        self._settings = settings
        self._machine: Machine | None = None
        self._monitor: MonitorViewModel | None = None
        self._dialog: LoadDialog | None = None
        engine.loaded.connect(self._on_loaded)

    @property
    def dialog(self) -> LoadDialog | None:
        """The dialog that is open."""
        return self._dialog

    def use_machine(self, machine: Machine, monitor: MonitorViewModel) -> None:
        """Take note of what the machine has and of what is free from now on."""
        self._machine = machine
        self._monitor = monitor
        monitor.sampled.connect(self._on_sampled)

    def offer(self, path: Path) -> None:
        """Open the dialog for a file, or a checkpoint; an open one turns to it."""
        path = path.absolute()
        folder = checkpoint_folder(path)
        if folder is not None:
            if self._dialog is not None:
                self._dialog.reject()
            self.checkpoints.offer(folder)
            return
        self.checkpoints.close()
        if self._dialog is None:
            self._dialog = self._make_dialog(path)
            self._dialog.open()
        else:
            self._dialog.set_path(path)
        self._models.inspect(path, self._on_report)
        self._show_free()

    def pick(self) -> None:
        """Let the user pick a file, then open the dialog for it."""
        path = self._ask_for_file()
        if path is not None:
            self.offer(path)

    def add(self) -> None:
        """Let the user pick a file and put it on the list of models."""
        path = self._ask_for_file()
        if path is not None:
            self._models.add(checkpoint_folder(path) or path)

    def _make_dialog(self, path: Path) -> LoadDialog:
        dialog = LoadDialog(
            self._theme,
            path,
            self._settings.settings,
            has_gpu=_free_gpu(self._machine, None) is not None,
            parent=self._window,
        )
        dialog.load_wished.connect(self._on_load_wished)
        dialog.other_file_wished.connect(self.pick)
        dialog.finished.connect(self._on_finished)
        return dialog

    def _ask_for_file(self) -> Path | None:
        last = self._settings.settings.last_model_path
        start = Path(last).parent if last else self._models.folder
        parent = self._dialog or self.checkpoints.dialog or self._window
        name, _ = QFileDialog.getOpenFileName(parent, "Choose a model", str(start), _FILTER)
        return Path(name) if name else None

    def _on_report(self, report: FileReport) -> None:
        dialog = self._dialog
        if dialog is not None and report.path.parent == dialog.path.parent:
            dialog.show_report(report)

    def _on_load_wished(self, settings: LocalSettings) -> None:
        self._engine.load(settings)

    def _on_loaded(self, settings: LocalSettings) -> None:
        self._settings.remember_model(settings.model_path)
        self._models.refresh()

    def _on_finished(self) -> None:
        self._dialog = None

    def _on_sampled(self, _sample: MonitorSample) -> None:
        self._show_free()

    def _show_free(self) -> None:
        sample = self._monitor.latest if self._monitor else None
        if self._dialog is not None and sample is not None:
            self._dialog.show_free(free_memory(self._machine, sample.machine))


def free_memory(machine: Machine | None, sample: Sample) -> FreeMemory:
    """What a model may take at this moment, on the GPUs that serve the engine and in RAM."""
    return FreeMemory.beside(
        sample.ram_used_bytes,
        sample.ram_total_bytes,
        _free_gpu(machine, sample),
        unified=machine is not None and machine.has_unified_memory,
    )


def _free_gpu(machine: Machine | None, sample: Sample | None) -> int | None:
    """What a model may take (bytes) of the usable GPUs together; None where there is none."""
    usable = [d for d in (machine.accelerators if machine else ()) if d.usable_by_engine]
    if not usable:
        return None
    now = {device.id: device for device in (sample.devices if sample else ())}
    total = 0
    for device in usable:
        live = now.get(device.id)
        if live is not None and live.used_bytes is not None and live.total_bytes:
            free, whole = live.total_bytes - live.used_bytes, live.total_bytes
        else:
            free, whole = device.free_bytes or 0, device.total_bytes or 0
        total += max(0, free - driver_reserve(whole))
    return total

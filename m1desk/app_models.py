"""Connects downloads, checks and the hub's token with the Models page and the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, SignalInstance

from m1desk.ui.pages.downloads_page import DownloadsPage
from m1desk.ui.pages.my_models import MyModels
from m1desk.ui.units import bytes_text
from m1desk.ui.viewmodels.downloads import DownloadsViewModel
from m1desk.ui.viewmodels.model_check import ModelChecks
from m1desk.ui.viewmodels.settings_hub import HubTokenViewModel

if TYPE_CHECKING:
    from m1desk.app_downloads import ModelDownloads
    from m1desk.models import Download
    from m1desk.store import AppSettings
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.load_flow import LoadFlow
    from m1desk.ui.main_window import MainWindow
    from m1desk.ui.pages.models_page import ModelsPage
    from m1desk.ui.pages.settings_page import SettingsPage
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_entries import ModelEntry
    from m1desk.ui.viewmodels.models import ModelsViewModel
    from m1desk.ui.viewmodels.settings import SettingsViewModel


class ModelsDesk(QObject):
    """Makes the parts My Models and Downloads with what is behind them; `connect` joins them."""

    def __init__(
        self,
        theme: Theme,
        window: MainWindow,
        bridge: Bridge,
        *,
        core: ModelDownloads,
        settings: SettingsViewModel,
        models: ModelsViewModel,
        flow: LoadFlow,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._bridge = bridge
        self._core = core
        self._settings = settings
        self._models = models
        self._flow = flow
        self._kept_to = _of_downloads(settings.settings)
        self.downloads = DownloadsViewModel(bridge, core, parent=self)
        self.checks = ModelChecks(bridge, core.checksum_of, parent=self)
        self.token = HubTokenViewModel(bridge, settings, parent=self)
        self.my_models = MyModels(
            theme, models, self.checks, on_their_way=self.downloads.on_their_way
        )
        self.downloads_page = DownloadsPage(theme, self.downloads)

    @property
    def failures(self) -> tuple[SignalInstance, ...]:
        """The signals that tell an error to be shown in the banner."""
        return (self.downloads.failed, self.checks.failed)

    def connect_pages(self, page: ModelsPage, settings_page: SettingsPage) -> None:
        """Join the parts with each other, and with the pages they are in or lead to."""
        self._page = page
        self._settings_page = settings_page
        for part in (self.my_models, self.downloads_page):
            part.load_wished.connect(self._flow.offer)
            part.discover_wished.connect(lambda: page.show_tab("discover"))
        self.my_models.add_wished.connect(self._flow.add)
        self.downloads_page.settings_wished.connect(self._on_settings_wished)
        self.downloads.count_changed.connect(self._on_count_changed)
        self.downloads.finished.connect(self._on_finished)
        self._models.deleted.connect(self._on_deleted)
        self._settings.changed.connect(self._on_settings_changed)
        self.token.token_changed.connect(self._apply)

    def begin(self) -> None:
        """Go on with the downloads that an earlier run left under way."""
        self._bridge.submit(self._core.begin(self._settings.settings))

    def fetch(self, repository: str, variant_name: str) -> None:
        """Download a variant, and show how that goes."""
        self.downloads.start(repository, variant_name)
        self._page.show_tab("downloads")

    def work(self) -> str:
        """Say what closing the window would interrupt, "" for nothing."""
        count = self.downloads.active_count
        if count == 0:
            return ""
        running = "A model is being downloaded. It goes" if count == 1 else ""
        running = running or f"{count} models are being downloaded. They go"
        return f"{running} on at the next start, from what has arrived by now."

    def close(self) -> None:
        """Let nothing keep the app from ending."""
        self.checks.stop_all()

    # -- what happens ------------------------------------------------------------------------------

    def _on_count_changed(self, count: int) -> None:
        self._page.set_tab_text("downloads", f"Downloads ({count})" if count else "Downloads")

    def _on_finished(self, download: Download) -> None:
        self._models.refresh()
        path = download.main_path
        told = f"{download.title} has arrived."
        self._window.status_bar.offer(told, "Load…", lambda: self._flow.offer(path))

    def _on_deleted(self, entry: ModelEntry, freed: int) -> None:
        self._window.status_bar.tell(f"Deleted {entry.title}, {bytes_text(freed)} freed.")
        self.downloads.forget_file(entry.path)

    def _on_settings_wished(self, part: str) -> None:
        self._window.show_page("settings")
        self._settings_page.show_hub("offline" if part == "offline" else "token")

    def _on_settings_changed(self, settings: AppSettings) -> None:
        wished = _of_downloads(settings)
        if wished != self._kept_to:
            self._kept_to = wished
            self._apply()

    def _apply(self) -> None:
        self._bridge.submit(self._core.apply(self._settings.settings))


def _of_downloads(settings: AppSettings) -> tuple[object, ...]:
    """What of the settings the downloads keep to."""
    return (
        settings.offline,
        settings.hub_endpoint,
        settings.parallel_downloads,
        settings.download_folder,
    )

"""Connects remote servers with their page, and with whatever a server answers in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal, SignalInstance

from m1desk.engines import ServerRecovery, ServerTrouble
from m1desk.engines.environments.desk import EngineDesk
from m1desk.models import Hub, hub_settings
from m1desk.ui.errors_banner import Step, notice_of
from m1desk.ui.pages.servers_page import ServersPage
from m1desk.ui.viewmodels.environments import EnvironmentsViewModel
from m1desk.ui.viewmodels.recipes import RecipesViewModel
from m1desk.ui.viewmodels.servers import ServersViewModel

if TYPE_CHECKING:
    from m1desk.app_core import Core
    from m1desk.chat import TurnSource
    from m1desk.engines import EngineStatus, ServerInUse
    from m1desk.errors import M1DeskError
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.main_window import MainWindow
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.settings import SettingsViewModel
    from m1desk.ui.widgets.server_strip import ServerStrip

_SUBJECT: Final = "server"


class ServersDesk(QObject):
    """Makes the Servers page with what is behind it; `connect_window` joins it with the rest.

    Signals:
        answerer_changed: a server answers from now on, or the engine of this machine does.
    """

    answerer_changed = Signal()

    def __init__(
        self,
        theme: Theme,
        window: MainWindow,
        bridge: Bridge,
        *,
        core: Core,
        settings: SettingsViewModel,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._core = core
        self._strips: tuple[ServerStrip, ...] = ()
        self.servers = ServersViewModel(bridge, core.servers, parent=self)
        self.recipes = RecipesViewModel(
            bridge, lambda: Hub(hub_settings(settings.settings)), parent=self
        )
        desk = EngineDesk(core.folders, core.machine)
        self.environments = EnvironmentsViewModel(bridge, desk, parent=self)
        self.page = ServersPage(theme, self.servers, self.recipes, self.environments)
        bridge.events.connect(self._on_events)

    @property
    def failures(self) -> tuple[SignalInstance, ...]:
        """The signals that tell an error to be shown in the banner."""
        return (self.servers.failed, self.recipes.failed)

    def connect_window(self, *strips: ServerStrip) -> None:
        """Join the page with the window; `strips` say on other pages which server answers."""
        self._strips = strips
        for strip in strips:
            strip.back_wished.connect(self.servers.leave)
        self.servers.used.connect(self._on_used)
        self.servers.use_failed.connect(self._on_use_failed)
        self.recipes.written.connect(
            lambda paths: self._window.status_bar.tell(f"Saved {len(paths)} files")
        )

    def answering(self, engine: EngineStatus) -> EngineStatus:
        """What answers chats and questions: the server in use, or else the engine as it is."""
        return self.servers.status or engine

    def source(self, engine: EngineStatus) -> TurnSource | None:
        """Who answers a turn that is sent now, None while nobody does."""
        if self.servers.status is not None:
            return self._in_use
        return self._core.source if engine.is_ready else None

    def leave(self) -> bool:
        """Let this machine answer; whether it did not already."""
        is_used = self.servers.status is not None
        if is_used:
            self.servers.leave()
        return is_used

    def refresh(self) -> None:
        """Say what is known by now of the server: what it can't do, whether it is silent."""
        for strip in self._strips:
            strip.show_server(self._in_use)
        if self.servers.status is not None:
            self._window.status_bar.show_engine(self.servers.status)

    # -- what happens ------------------------------------------------------------------------------

    @property
    def _in_use(self) -> ServerInUse | None:
        return self.servers.in_use if not self.servers.connecting else None

    def _on_used(self) -> None:
        self._core.documents.server = self._in_use
        self.refresh()
        self._window.banner.dismiss(_SUBJECT)
        self.answerer_changed.emit()

    def _on_use_failed(self, name: str, error: M1DeskError) -> None:
        test = Step("Test the server", lambda: self._test(name))
        self._window.banner.show_notice(notice_of(error, test, subject=_SUBJECT))

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if isinstance(event, ServerTrouble):
                self._tell_trouble(event)
            elif isinstance(event, ServerRecovery):
                self.refresh()

    def _tell_trouble(self, trouble: ServerTrouble) -> None:
        self.refresh()
        steps = (
            Step("Test the server", lambda: self._test(trouble.server)),
            Step("Back to this machine", self.servers.leave),
        )
        self._window.banner.show_notice(notice_of(trouble.error, *steps, subject=_SUBJECT))

    def _test(self, name: str) -> None:
        self._window.banner.dismiss(_SUBJECT)
        self._window.show_page("servers")
        self.page.show_tab("servers")
        self.servers.select(name)
        self.servers.test(name)

"""Puts the parts behind the painted frame together; imported once the frame is on the screen."""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication

from m1desk.app_core import Core
from m1desk.app_defaults import default_sampling
from m1desk.app_documents import DocumentsDesk
from m1desk.app_jobs_desk import JobsDesk
from m1desk.app_loading import LoadingDesk
from m1desk.app_models import ModelsDesk
from m1desk.app_pictures import Shown, is_picturesque
from m1desk.app_servers import ServersDesk
from m1desk.documents import sweep_work_folders
from m1desk.engines import (
    CalibrationProgress,
    EngineStatus,
    sweep_leftovers,
)
from m1desk.errors import M1DeskError
from m1desk.hardware import Sampler
from m1desk.models import Hub, engine_version, hub_settings
from m1desk.ui.closing import Closing, Stay
from m1desk.ui.engine_notices import EngineNotices
from m1desk.ui.errors_banner import notice_of
from m1desk.ui.pages.chat_page import ChatPage
from m1desk.ui.pages.discover import DiscoverPage
from m1desk.ui.pages.models_page import ModelsPage
from m1desk.ui.pages.monitor_page import MonitorPage
from m1desk.ui.pages.settings_page import SettingsPage
from m1desk.ui.quit_signals import QuitSignals
from m1desk.ui.screenshot import ScreenshotTaker
from m1desk.ui.viewmodels.chat import ChatViewModel
from m1desk.ui.viewmodels.discover_machine import planned_machine
from m1desk.ui.viewmodels.discover_parts import DiscoverParts
from m1desk.ui.viewmodels.engine import EngineViewModel
from m1desk.ui.viewmodels.engine_activity import ActivityViewModel
from m1desk.ui.viewmodels.models import ModelsViewModel
from m1desk.ui.viewmodels.monitor import MonitorViewModel
from m1desk.ui.viewmodels.settings_calibration import CalibrationViewModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.app_options import WindowOptions
    from m1desk.chat import Conversation, Message
    from m1desk.engines import EndedProcess, EngineCalibration, LocalSettings
    from m1desk.errors import StorageError
    from m1desk.hardware import Machine
    from m1desk.store import AppSettings, Database, Folders
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.main_window import MainWindow
    from m1desk.ui.single_instance import Call
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.monitor import MonitorSample
    from m1desk.ui.viewmodels.settings import SettingsViewModel

_log = logging.getLogger(__name__)

_MEASURING: Final = "Measuring this computer first. That is done once and takes some seconds…"
"""What a load waits for on a machine where the engine was never measured."""


class Assembly(QObject):
    """Everything behind the frame; made on the GUI thread, closed after Qt's loop has ended."""

    def __init__(
        self,
        theme: Theme,
        window: MainWindow,
        settings: SettingsViewModel,
        bridge: Bridge,
        *,
        folders: Folders,
        database: Database,
        options: WindowOptions,
        finish: Callable[[int], None],
    ) -> None:
        super().__init__(window)
        self._theme = theme
        self._window = window
        self._settings = settings
        self._bridge = bridge
        self._options = options
        self._finish = finish
        self._prompt = options.prompt
        self._code = 0
        self._answered = False
        self._samples = 0
        self._signals: QuitSignals | None = None
        self._sampling: object = None
        self.core = core = Core(folders, database, bridge.post)
        self.calibration = CalibrationViewModel(
            bridge, core.calibration, core.calibrate, parent=self
        )
        self.engine = EngineViewModel(bridge, core.engine, self.calibration.wait, parent=self)
        self.activity = ActivityViewModel(bridge, parent=self)
        self.models = ModelsViewModel(bridge, settings, folders.models, parent=self)
        self.monitor = MonitorViewModel(bridge, core.rates, parent=self)
        self.chat = ChatViewModel(bridge, core.store, core.runner, core.count_tokens, parent=self)
        self.loading = LoadingDesk(
            theme,
            window,
            bridge,
            core=core,
            settings=settings,
            models=self.models,
            engine=self.engine,
        )
        self.models_desk = ModelsDesk(
            theme,
            window,
            bridge,
            core=core.downloads,
            settings=settings,
            models=self.models,
            flow=self.loading.flow,
        )
        self.documents_desk = DocumentsDesk(
            theme, window, bridge, core=core, settings=settings, engine=self.engine
        )
        self.jobs_desk = JobsDesk(
            theme,
            window,
            bridge,
            core=core,
            database=database,
            settings=settings,
            models=self.models,
            sets=self.documents_desk.documents.sets,
        )
        self.servers_desk = ServersDesk(theme, window, bridge, core=core, settings=settings)
        self.discover = DiscoverParts(
            bridge,
            hub=lambda: Hub(hub_settings(settings.settings)),
            here=lambda machine: planned_machine(machine, core.measurements),
            parent=self,
        )
        self.notices = EngineNotices(
            window.banner, self.engine, self._show_log, window.model_selector.open_list, self
        )
        self._make_pages()
        self.closing = Closing(
            window,
            bridge,
            work=self._work,
            must_ask=lambda: settings.settings.close_behaviour != "quit",
            stay=Stay(
                is_possible=lambda: self.jobs_desk.has_work,
                is_chosen=lambda: settings.settings.close_behaviour == "background",
                go_on=self.jobs_desk.go_on_without_window,
            ),
            save=self._save,
            wind_up=self._wind_up,
            finish=lambda: finish(self._code),
        )

    # -- from the start to the end -----------------------------------------------------------------

    def start(self) -> None:
        """Connect the parts and begin the work in the background."""
        self._connect_engine()
        self._connect_pages()
        self._connect_errors()
        self._on_settings_changed(self._settings.settings)
        self._window.attach(
            {
                "chat": self.chat_page,
                "documents": self.documents_desk.page,
                "jobs": self.jobs_desk.page,
                "models": self.models_page,
                "monitor": self.monitor_page,
                "servers": self.servers_desk.page,
                "settings": self.settings_page,
            }
        )
        self.models.refresh()
        self._bridge.submit(asyncio.to_thread(self.core.probe), on_done=self._on_machine)
        self._bridge.submit(self._prepare(), on_done=self._on_prepared)
        if self._options.screenshot is not None:
            self._taker = ScreenshotTaker(
                self._window, self._options.screenshot, self._is_picturesque, self._on_picture
            )
        else:
            self.models_desk.begin()
            self._signals = QuitSignals(self)
            self._signals.asked.connect(self.closing.close_now)
            application = QGuiApplication.instance()
            if isinstance(application, QGuiApplication):
                application.commitDataRequest.connect(lambda _manager: self.closing.close_now())

    def close(self) -> None:
        """Give back what is held outside the loop; the bridge is stopped by its owner."""
        self.monitor.stop()
        self.chat_page.release()
        self.documents_desk.close()
        self.jobs_desk.close()
        self.models_desk.close()
        if self._signals is not None:
            self._signals.remove()
        if self.core.sampler is not None:
            self.core.sampler.close()

    def open_handed_over(self, call: Call) -> None:
        """Open what a second start of the app was given: offer the model, read the documents."""
        if call.documents:
            self.documents_desk.open_paths(call.documents)
        if call.model is not None:
            self.loading.flow.offer(call.model)

    async def _prepare(self) -> tuple[EndedProcess, ...]:
        """Clear away what a crash left behind: engines, files, answers never finished."""
        swept = await asyncio.to_thread(sweep_leftovers, self.core.folders)
        await asyncio.to_thread(sweep_work_folders)
        if self._options.screenshot is None:  # a picture may be taken beside a window at work
            self.core.store.recover_interrupted()
            await asyncio.to_thread(self.core.documents.recover)
        return tuple(swept)

    def _on_prepared(self, swept: tuple[EndedProcess, ...]) -> None:
        if swept:
            _log.warning("ended %d processes that a crash had left behind", len(swept))
            self._window.status_bar.tell("Cleared away what a crash had left running.")
        self.chat.library.refresh(then=self._on_library_read)
        self.documents_desk.begin()
        if self._options.documents:
            self.documents_desk.open_paths(self._options.documents)
        self.jobs_desk.begin(work=self._options.screenshot is None)
        may_measure = self._options.calibrate and self._options.screenshot is None
        if may_measure and self.calibration.known() is None:
            self.calibration.start()
        self._load_at_start()
        self._bridge.submit(asyncio.to_thread(import_module, "pyqtgraph"))

    def _on_library_read(self) -> None:
        self._open_last_conversation()
        if self._is_first_start():
            self.loading.greet()

    def _is_first_start(self) -> bool:
        """Nothing was ever loaded or asked here, and nothing else is asked for now."""
        was_loaded = bool(self._settings.settings.last_model_path)
        return self._options.may_greet and not was_loaded and not self.chat.library.conversations

    def _open_last_conversation(self) -> None:
        wanted = self._settings.settings.open_conversation
        known = {conversation.id for conversation in self.chat.library.conversations}
        if self._options.prompt or wanted not in known or wanted is None:
            self.chat.conversation.start_new()
        else:
            self.chat.conversation.open(wanted)

    def _load_at_start(self) -> None:
        if self._options.model_path is not None:
            self.loading.load(self._options.model_path)
        elif self._options.screenshot is None:
            self.loading.load_last()

    # -- making and connecting ---------------------------------------------------------------------

    def _make_pages(self) -> None:
        theme = self._theme
        self.chat_page = ChatPage(self.chat, theme)
        self.discover_page = DiscoverPage(theme, self.discover)
        self.models_page = ModelsPage(
            theme,
            self.models_desk.my_models,
            discover=self.discover_page,
            downloads=self.models_desk.downloads_page,
        )
        self.monitor_page = MonitorPage(theme, self.monitor, self.core.engine.log_lines)
        self.settings_page = SettingsPage(
            theme,
            self._settings,
            folders=self.core.folders,
            calibration=self.calibration,
            token=self.models_desk.token,
            engine_version=engine_version(),
        )

    def _connect_engine(self) -> None:
        window, engine = self._window, self.engine
        engine.status_changed.connect(self._on_status)
        engine.loaded.connect(self._on_loaded)
        engine.load_wished.connect(self._on_load_wished)
        self.activity.changed.connect(window.status_bar.show_activity)
        self.activity.changed.connect(self._allow_stop)
        window.enable_command("stop", on=False)
        self.activity.turn_ended.connect(self._on_turn_ended)
        self.monitor.sampled.connect(self._on_sampled)
        self.calibration.progressed.connect(self._on_calibration)
        self.calibration.finished.connect(self._on_calibrated)
        self._on_status(engine.status)

    def _connect_pages(self) -> None:
        window = self._window
        selector = window.model_selector
        selector.opened.connect(self.models.refresh)
        selector.model_chosen.connect(self.loading.flow.offer)
        selector.file_wished.connect(self.loading.flow.pick)
        selector.unload_wished.connect(self._on_unload_wished)
        self.models.changed.connect(lambda: selector.show_models(self.models.whole_entries))
        self.models_desk.connect_pages(self.models_page, self.settings_page)
        self.documents_desk.connect_window(selector.open_list)
        self.jobs_desk.connect_window()
        self.documents_desk.page.job_wished.connect(self.jobs_desk.begin_with_set)
        self.jobs_desk.quit_wished.connect(self.closing.close_now)
        self.documents_desk.documents.questions.asking_changed.connect(self._allow_stop)
        self.servers_desk.connect_window(
            self.chat_page.server_strip, self.documents_desk.page.set_view.server_strip
        )
        self.servers_desk.answerer_changed.connect(self.activity.forget_last)
        self.servers_desk.answerer_changed.connect(self.loading.drop_greeting)
        self.servers_desk.answerer_changed.connect(lambda: self._on_status(self.engine.status))
        self.discover_page.download_wished.connect(self.models_desk.fetch)
        self.models_desk.my_models.unload_wished.connect(self.engine.unload)
        self.chat.conversation.opened.connect(self._on_opened)
        self.chat_page.load_wished.connect(selector.open_list)
        self.chat_page.load_again_wished.connect(self.loading.load_again)
        self.chat.library.exported.connect(lambda path: window.status_bar.tell(f"Saved {path}"))
        window.model_dropped.connect(self.loading.flow.offer)
        self.loading.flow.checkpoints.engines_wished.connect(self._show_engines)
        window.command.connect(self._on_command)
        window.sidebar_changed.connect(lambda wide: self._settings.change(sidebar_visible=wide))
        self._settings.changed.connect(self._on_settings_changed)

    def _connect_errors(self) -> None:
        for signal in (
            self._bridge.failed,
            self.models.failed,
            *self.loading.failures,
            *self.models_desk.failures,
            *self.documents_desk.failures,
            *self.jobs_desk.failures,
            *self.servers_desk.failures,
            self.chat_page.failed,
            self._settings.save_failed,
            self.settings_page.failed,
            self.monitor_page.log.failed,
        ):
            signal.connect(self._on_failed)

    # -- what happens ------------------------------------------------------------------------------

    def _on_status(self, status: EngineStatus) -> None:
        answering = self.servers_desk.answering(status)
        self._window.model_selector.show_status(answering)
        self._window.status_bar.show_engine(answering)
        self.models_desk.my_models.show_status(status)
        self.monitor_page.show_engine(answering)
        self.documents_desk.set_engine(answering)
        measuring = _MEASURING if self.calibration.is_running else ""
        connecting = f"Connecting to {answering.server}…" if answering.server else ""
        source = self.servers_desk.source(status)
        self.chat.conversation.set_engine(answering, source, waiting_for=connecting or measuring)
        if status.failure is not None and self._options.exit_after_answer:
            self._end(1)

    def _on_loaded(self, settings: LocalSettings) -> None:
        greeting = self.loading.take_greeting(settings)
        prompt, self._prompt = self._prompt or greeting, ""
        if prompt:
            self._window.show_page("chat")
            self.chat.conversation.start_new()
            self.chat.conversation.send(prompt)

    def _on_load_wished(self, _settings: LocalSettings) -> None:
        self.activity.forget_last()
        self.servers_desk.leave()

    def _on_unload_wished(self) -> None:
        if not self.servers_desk.leave():
            self.engine.unload()

    def _on_turn_ended(self, message: Message) -> None:
        self._answered = True
        self.servers_desk.refresh()
        if self._options.exit_after_answer and self._options.screenshot is None:
            self._end(0 if message.state == "complete" else 1)

    def _allow_stop(self) -> None:
        """Take Esc only while there is something to stop: fields and dialogs use it too."""
        asking = self.documents_desk.is_asking
        self._window.enable_command("stop", on=self.activity.is_writing or asking)

    def _on_machine(self, machine: Machine) -> None:
        self.core.sampler = Sampler(machine)
        self.monitor.start(self.core.sampler)
        self.loading.flow.use_machine(machine, self.monitor)
        self.discover.machines.use_probe(machine)
        self.monitor_page.show_machine(machine)

    def _on_sampled(self, sample: MonitorSample) -> None:
        self._samples += 1
        self._window.status_bar.show_sample(sample.machine)

    def _on_calibration(self, progress: CalibrationProgress) -> None:
        task = "Measuring this computer, once"
        if progress.measured:
            task = f"{task} · {progress.measured} settings tried"
        self._window.status_bar.show_task("" if progress.stage == "done" else task)

    def _on_calibrated(self, _found: EngineCalibration | None) -> None:
        self._window.status_bar.show_task("")
        self._on_status(self.engine.status)

    def _on_settings_changed(self, settings: AppSettings) -> None:
        sampling = default_sampling(settings)
        if sampling != self._sampling:
            self._sampling = sampling
            self.chat.conversation.set_default_sampling(sampling)
            self.documents_desk.set_sampling(sampling)

    def _on_opened(self, conversation: Conversation | None) -> None:
        """Begin a new conversation with the system prompt of the settings."""
        prompt = self._settings.settings.default_system_prompt
        if conversation is None and prompt:
            model = self.chat.conversation
            model.set_system_prompt(prompt)
            self.chat_page.panel.set_values(model.system_prompt, model.sampling)

    def _on_command(self, name: str) -> None:
        if name == "load_file":
            self.loading.flow.pick()
        elif name == "new_chat":
            self.chat_page.new_chat()
        elif name == "search":
            self.chat_page.focus_search()
        elif name == "stop" and self._window.page != "documents":
            self.chat_page.stop()

    def _on_failed(self, error: Exception) -> None:
        if not isinstance(error, M1DeskError):
            raise error
        _log.warning("told the user: %s", error)
        self._window.banner.show_notice(notice_of(error))

    def _show_engines(self) -> None:
        self._window.show_page("servers")
        self.servers_desk.page.show_tab("engines")

    def _show_log(self) -> None:
        self._window.show_page("monitor")
        self.monitor_page.show_log()

    # -- closing -----------------------------------------------------------------------------------

    def _end(self, code: int) -> None:
        self._code = code
        self.closing.close_now()

    def _work(self) -> str:
        if self.activity.is_writing:
            return "An answer is being written."
        if self.engine.status.is_busy_starting:
            return f"{self.engine.status.model_name} is loading."
        return self.documents_desk.work() or self.models_desk.work() or self.jobs_desk.work()

    async def _wind_up(self) -> None:
        """Leave the jobs before the engine that they use is ended."""
        try:
            await self.jobs_desk.wind_up()
        finally:
            await self.core.wind_up()

    def _save(self) -> None:
        conversation = self.chat.conversation.conversation
        self._settings.change(
            window_geometry=self._window.geometry_bytes(),
            open_page=self._window.page,
            open_conversation=conversation.id if conversation else None,
        )

    # -- pictures ----------------------------------------------------------------------------------

    def _is_picturesque(self) -> bool:
        page, status, was_read = self._window.page, self.engine.status, self.models.was_scanned
        shown = Shown(page, status, self._samples, was_read, self._answered)
        return is_picturesque(shown, self._options)

    def _on_picture(self, error: StorageError | None) -> None:
        if error is not None:
            _log.error("%s", error)
        self._end(0 if error is None else 1)

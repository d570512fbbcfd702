"""Jobs in the window's process: queue, runner, and the engine they share with the person."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from m1desk.engines import LlamaSettings
from m1desk.hardware import PowerMeter
from m1desk.jobs.control import JobControl
from m1desk.jobs.local_desk import LocalDesk
from m1desk.jobs.person import MachineSurroundings, Person
from m1desk.jobs.runner import JobRunner
from m1desk.jobs.servers import JobServers, rename_in_jobs
from m1desk.jobs.states import JobStates
from m1desk.jobs.store import JobStore
from m1desk.jobs.templates import TemplateShelf
from m1desk.store import FileLock, SettingsStore, resource_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.app_core import Core
    from m1desk.engines import Forecast
    from m1desk.store import Database


class Jobs:
    """Everything about jobs that knows nothing of Qt; used on one asyncio loop.

    Run `runner.run()` on the loop, and cancel it at the end: before `Core.wind_up`, because it
    uses the engine. `post` takes every JobNotice, on the loop's thread, and must not block.

    Attributes:
        store: reads jobs; any thread may use it.
        control: adds and changes them.
        templates: questions for purposes that people name.
        servers: elsewhere, that may answer jobs.
        meter: what the machine takes of electricity; to be closed at the end.
    """

    def __init__(self, core: Core, database: Database, post: Callable[[object], None]) -> None:
        self._core = core
        self._settings = SettingsStore(database)
        self.store = JobStore(database)
        self.templates = TemplateShelf(
            resource_folder() / "templates", core.folders.config / "templates"
        )
        self.meter = PowerMeter(core.machine)
        person = Person(self._is_person_asking)
        core.servers.store.follow_renames(partial(rename_in_jobs, database))
        self.servers = JobServers(core.servers.store, core.folders)
        self.runner = JobRunner(
            self.store,
            core.documents.sets,
            LocalDesk(core.engine, person, self._last_model, core.forecast, self.servers),
            MachineSurroundings(person),
            lock=FileLock(core.folders.data / "jobs.lock"),
            emit=post,
            states=JobStates(
                core.documents.prepared,
                lambda: core.documents.budget_bytes,
                core.documents.make_room,
            ),
            meter=self.meter,
        )
        self.control = JobControl(
            self.store,
            core.documents.sets,
            self.servers,
            self._forecast,
            emit=post,
            wake=self.runner.wake,
        )

    def _is_person_asking(self) -> bool:
        return bool(self._core.runner.running or self._core.documents.runner.running)

    def _last_model(self) -> Path | None:
        last = self._settings.load().last_model_path
        return Path(last) if last and Path(last).is_file() else None

    def _forecast(self, settings: LlamaSettings | None) -> Forecast | None:
        chosen = settings or self._core.engine.settings
        return self._core.forecast(chosen) if isinstance(chosen, LlamaSettings) else None

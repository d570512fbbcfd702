"""The window's door: paints the frame at once, then puts the parts of the program together."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Final

from PySide6.QtWidgets import QApplication, QDialog

from m1desk.app_options import WindowOptions
from m1desk.errors import M1DeskError
from m1desk.store import (
    Database,
    DatabaseDamagedError,
    Folders,
    InstanceLock,
    SettingsStore,
    close_logging,
    set_aside,
    setup_logging,
)
from m1desk.ui.errors_dialog import FatalErrorDialog, UnexpectedErrorDialog
from m1desk.ui.errors_hook import ErrorHook
from m1desk.ui.main_window import MainWindow
from m1desk.ui.single_instance import Call, FirstWindow, call_first
from m1desk.ui.theme import Theme
from m1desk.ui.viewmodels.settings import SettingsViewModel

if TYPE_CHECKING:
    from m1desk.app_assembly import Assembly
    from m1desk.store import AppSettings
    from m1desk.ui.bridge import Bridge

_BODY_PX: Final = 15
_PICTURE_SIZE: Final = (1200, 800)
_FIRST_WINDOW_SECONDS: Final = 5.0
"""How long a window that is just closing may keep the lock."""


def run_window(options: WindowOptions) -> int:
    """Show the window until it is closed; return the exit status of the process."""
    if options.screenshot is not None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    app = _make_application()
    hook = ErrorHook()
    try:
        return _run(app, hook, options)
    except M1DeskError as error:
        _tell_fatal(error)
        return 1
    finally:
        hook.remove()
        close_logging()


def _run(app: QApplication, hook: ErrorHook, options: WindowOptions) -> int:
    folders = Folders.resolve()
    setup_logging(folders)
    lock = InstanceLock(folders)
    if options.screenshot is None and not _become_first(lock, options):
        return 0
    try:
        with _open_database(folders) as database:
            life = _Run(app, hook, options, folders=folders, database=database, lock=lock)
            return life.run()
    finally:
        lock.release()


class _Run:
    """One life of the window, from the first paint to the end of the last part."""

    def __init__(
        self,
        app: QApplication,
        hook: ErrorHook,
        options: WindowOptions,
        *,
        folders: Folders,
        database: Database,
        lock: InstanceLock,
    ) -> None:
        self._app = app
        self._folders = folders
        self._database = database
        self._options = options
        self._settings = SettingsViewModel(SettingsStore(database), keep=options.screenshot is None)
        chosen = self._settings.settings
        self._theme = Theme(app, options.theme or chosen.theme, body_px(chosen))
        self._window = MainWindow(self._theme)
        self._bridge: Bridge | None = None
        self._assembly: Assembly | None = None
        self._errors: UnexpectedErrorDialog | None = None
        self._first: FirstWindow | None = None
        self._handed_over: list[Call] = []
        hook.caught.connect(self._on_caught)
        self._settings.changed.connect(self._on_settings_changed)
        self._window.first_painted.connect(self._on_first_painted)
        if options.screenshot is None:
            self._first = FirstWindow(lock.name)
            self._first.called.connect(self._on_called)

    def run(self) -> int:
        """Show the window and return the exit status."""
        self._restore()
        self._window.show()
        code = self._app.exec()
        if self._first is not None:
            self._first.close()
        if self._assembly is not None:
            self._assembly.close()
        if self._bridge is not None:
            self._bridge.stop()
        return code

    def _restore(self) -> None:
        chosen, options = self._settings.settings, self._options
        geometry = b"" if options.screenshot or options.size else chosen.window_geometry
        self._window.restore(
            geometry, options.page or chosen.open_page, wide_sidebar=chosen.sidebar_visible
        )
        size = options.size or (_PICTURE_SIZE if options.screenshot else None)
        if size is not None:
            self._window.resize(*size)

    def _on_first_painted(self) -> None:
        """The frame is on the screen: now there is time to import the rest, on another thread."""
        from m1desk.ui.bridge import Bridge  # noqa: PLC0415

        self._bridge = bridge = Bridge()
        work = asyncio.to_thread(import_module, "m1desk.app_assembly")
        bridge.submit(work, on_done=lambda _module: self._assemble(bridge))

    def _assemble(self, bridge: Bridge) -> None:
        from m1desk.app_assembly import Assembly  # noqa: PLC0415

        self._assembly = Assembly(
            self._theme,
            self._window,
            self._settings,
            bridge,
            folders=self._folders,
            database=self._database,
            options=self._options,
            finish=self._app.exit,
        )
        self._assembly.start()
        # What is here now stays until the end. Walking over all of it would stop the window for
        # 30 to 60 ms at each full collection, whichever thread sets it off.
        gc.freeze()
        for call in self._handed_over:
            self._assembly.open_handed_over(call)

    def _on_called(self, call: Call) -> None:
        """Come forward, because the app was started again; open what it was given."""
        self._window.bring_forward()
        if self._assembly is not None:
            self._assembly.open_handed_over(call)
        else:
            self._handed_over.append(call)

    def _on_settings_changed(self, settings: AppSettings) -> None:
        if self._options.theme is None and settings.theme != self._theme.choice:
            self._theme.set_choice(settings.theme)
        if body_px(settings) != self._theme.metrics.font_body:
            self._theme.set_body_px(body_px(settings))

    def _on_caught(self, what: str, account: str) -> None:
        if self._options.screenshot is not None:
            print(account, file=sys.stderr)  # noqa: T201 - nobody can see a dialog here
            self._app.exit(1)
            return
        if self._errors is None:
            self._errors = UnexpectedErrorDialog(self._folders.logs, self._window)
            self._errors.destroyed.connect(self._on_errors_closed)
        self._errors.add(what, account)
        self._errors.show()

    def _on_errors_closed(self) -> None:
        self._errors = None


def body_px(settings: AppSettings) -> int:
    """Size of body text (pixels) that the settings ask for."""
    return settings.font_size or _BODY_PX


def _make_application() -> QApplication:
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    app = QApplication([sys.argv[0] if sys.argv else "m1desk"])
    app.setApplicationName("m1desk")
    app.setApplicationDisplayName("M1 Desk")
    app.setDesktopFileName("m1desk")
    app.setQuitOnLastWindowClosed(False)
    return app


def _become_first(lock: InstanceLock, options: WindowOptions) -> bool:
    """Take the lock; False when the window that holds it was called forward instead.

    Raises M1DeskError when it neither goes away nor answers.
    """
    call = Call.of(options.model_path, options.documents)
    until = time.monotonic() + _FIRST_WINDOW_SECONDS
    while not lock.acquire():
        if call_first(lock.name, call):
            return False
        if time.monotonic() > until:
            pid = lock.holder_pid()
            raise M1DeskError(
                "M1 Desk is already running, but its window does not answer.",
                f"It is process {pid}." if pid else "",
                "Close it, or end the process, and start M1 Desk again.",
            )
        time.sleep(0.1)
    return True


def _open_database(folders: Folders) -> Database:
    """Open the database; a damaged one is set aside if the user agrees."""
    try:
        return Database(folders.database)
    except DatabaseDamagedError as error:
        dialog = FatalErrorDialog(error)
        dialog.offer("Set aside and begin a new one")
        if not _can_ask() or dialog.exec() != QDialog.DialogCode.Accepted:
            raise
        set_aside(folders.database)
        return Database(folders.database)


def _tell_fatal(error: M1DeskError) -> None:
    print(error, file=sys.stderr)  # noqa: T201 - for whoever started it from a terminal
    if _can_ask():
        FatalErrorDialog(error).exec()


def _can_ask() -> bool:
    return QApplication.platformName() not in {"offscreen", "minimal"}

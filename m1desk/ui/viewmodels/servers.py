"""The servers that were added: changed, tested step by step, and used in place of this machine."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from m1desk.engines import Outcome, Step, examine_server
from m1desk.engines.remote.secrets import missing
from m1desk.engines.status import EngineState, EngineStatus
from m1desk.errors import M1DeskError
from m1desk.store import keyring_status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from m1desk.engines import (
        ServedModel,
        ServerInUse,
        ServerProfile,
        Servers,
        ServerSecrets,
        StepVerdict,
    )
    from m1desk.store import KeyringStatus
    from m1desk.ui.bridge import Bridge, Submission

ServerAction = Literal["test", "use"]


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server, and what is known of its secrets.

    Attributes:
        missing: secrets it wants and nobody has given.
        for_session: some that were given are kept until the app is closed, and no longer.
    """

    profile: ServerProfile
    missing: tuple[str, ...] = ()
    for_session: bool = False


@dataclass(frozen=True, slots=True)
class ServerTest:
    """A step-by-step test, as far as it has come."""

    verdicts: tuple[StepVerdict, ...] = ()
    is_running: bool = False

    @property
    def failure(self) -> StepVerdict | None:
        """The step that failed, if one did."""
        return next((one for one in self.verdicts if one.outcome is Outcome.FAILED), None)

    @property
    def is_complete(self) -> bool:
        """Whether it came to its last step."""
        return bool(self.verdicts) and self.verdicts[-1].step is Step.ABILITIES

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """What the server lists, as far as the test has come."""
        return next((one.models for one in self.verdicts if one.models), ())


@dataclass(frozen=True, slots=True)
class _StepTaken:
    test: object
    verdict: StepVerdict


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for, and the secrets that have to be given first."""

    profile: ServerProfile
    missing: tuple[str, ...]


class ServersViewModel(QObject):
    """Shows the servers and hands what is asked of them to the core.

    Signals:
        changed: the list, the selected server, or what is known of it.
        tested: name (str) of a server of whose test more is known.
        used: another server answers from now on, or none, or one is being connected to.
        secrets_wished: the ServerProfile, names (tuple) of secrets, and what (ServerAction) waits
            for them: answer with `give_secrets`.
        saved: name (str) of a server that was added or changed.
        not_saved: the M1DeskError that kept one from being saved.
        use_failed: name (str) of a server, and the M1DeskError that kept it from being used.
        failed: the exception of something else that did not work.
    """

    changed = Signal()
    tested = Signal(str)
    used = Signal()
    secrets_wished = Signal(object, object, str)
    saved = Signal(str)
    not_saved = Signal(object)
    use_failed = Signal(str, object)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, servers: Servers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._servers = servers
        self._known: tuple[KnownServer, ...] = ()
        self._selected = ""
        self._keyring: KeyringStatus | None = None
        self._tests: dict[str, ServerTest] = {}
        self._testing: tuple[str, object, Submission] | None = None
        self._in_use: ServerInUse | None = None
        self._connecting: tuple[str, Submission] | None = None
        self._was_read = False
        bridge.events.connect(self._on_events)

    # -- what is known -----------------------------------------------------------------------------

    @property
    def servers(self) -> tuple[KnownServer, ...]:
        """All of them, by name."""
        return self._known

    @property
    def was_read(self) -> bool:
        """Whether `servers` is what there is, and not what was not read yet."""
        return self._was_read

    @property
    def selected(self) -> KnownServer | None:
        """The one that is shown."""
        return next((one for one in self._known if one.profile.name == self._selected), None)

    @property
    def keyring(self) -> KeyringStatus | None:
        """Whether secrets can be kept; None while that is not known."""
        return self._keyring

    @property
    def in_use(self) -> ServerInUse | None:
        """The server that answers, None while this machine does."""
        return self._in_use

    @property
    def connecting(self) -> str:
        """Name of the server that is being connected to, ""."""
        return self._connecting[0] if self._connecting is not None else ""

    @property
    def status(self) -> EngineStatus | None:
        """The server that answers, or will, as an engine's status; None while this machine does."""
        if self.connecting:
            name = self.connecting
            return EngineStatus(EngineState.STARTING, model_name=name, server=name)
        return self._in_use.status if self._in_use is not None else None

    def test_of(self, name: str) -> ServerTest | None:
        """The last test of a server since the app was started, or since it was changed."""
        return self._tests.get(name)

    # -- the list ----------------------------------------------------------------------------------

    def refresh(self, select: str = "") -> None:
        """Read the servers, and what the keyring has of them; it may ask to be unlocked."""

        def on_read(read: tuple[tuple[KnownServer, ...], KeyringStatus]) -> None:
            self._known, self._keyring = read
            self._was_read = True
            names = [one.profile.name for one in self._known]
            wished = select or self._selected
            self._selected = wished if wished in names else next(iter(names), "")
            self.changed.emit()

        self._submit(asyncio.to_thread(self._read), on_read)

    def select(self, name: str) -> None:
        """Show a server."""
        if name != self._selected:
            self._selected = name
            self.changed.emit()

    def add(self, profile: ServerProfile, secrets: ServerSecrets) -> None:
        """Add a server; its secrets go to the keyring, or are kept for this session."""
        self._save(lambda: self._servers.store.add(profile, secrets), profile.name)

    def update(
        self, profile: ServerProfile, secrets: ServerSecrets | None = None, was: str = ""
    ) -> None:
        """Change a server, which `was` called differently; one in use is connected to anew."""
        self._save(lambda: self._servers.store.update(profile, secrets, was), profile.name, was)

    def remove(self, name: str) -> None:
        """Remove a server and its secrets."""
        self._forget_test(name)
        if self._uses(name):
            self.leave()
        work = asyncio.to_thread(self._servers.store.remove, name)
        self._submit(work, lambda _: self.refresh())

    def pin(self, name: str, fingerprint: str) -> None:
        """Trust one certificate from now on, also of the server in use, and test again with it."""
        known = self._named(name)
        if known is not None:
            pinned = replace(known.profile, pinned_sha256=fingerprint, ca_file="")
            work = asyncio.to_thread(self._servers.store.update, pinned)
            self._submit(work, lambda _: self._on_pinned(name))

    def choose_model(self, name: str, model: str) -> None:
        """Ask this model of a server from now on."""
        known = self._named(name)
        if known is not None:
            chosen = replace(known.profile, model=model, context_tokens=0)
            self._save(lambda: self._servers.store.update(chosen), name, keeps_test=True)

    # -- testing and using -------------------------------------------------------------------------

    def test(self, name: str) -> None:
        """Test a server step by step; the secrets that are missing are asked for first."""
        self._want(name, "test")

    def stop_test(self) -> None:
        """End the test that runs; what it has found by now stays."""
        if self._testing is not None:
            name, _, work = self._testing
            work.cancel()
            self._testing = None
            self._tests[name] = replace(self._tests[name], is_running=False)
            self.tested.emit(name)

    def use(self, name: str) -> None:
        """Let a server answer; the secrets that are missing are asked for first."""
        self._want(name, "use")

    def leave(self) -> None:
        """Let this machine answer again; a connection under way is given up."""
        if self._connecting is not None:
            self._connecting[1].cancel()
            self._connecting = None
        self._in_use = None
        self._submit(self._servers.leave())
        self.used.emit()

    def give_secrets(
        self, profile: ServerProfile, secrets: ServerSecrets, action: ServerAction
    ) -> None:
        """Keep what was asked for, and do what waited for it."""
        work = asyncio.to_thread(self._servers.store.vault.keep, profile, secrets)

        def on_kept(_lasts: bool) -> None:  # noqa: FBT001 - what the vault returns
            self.refresh()
            self._want(profile.name, action)

        self._submit(work, on_kept)

    # -- on the loop's thread ----------------------------------------------------------------------

    def _read(self) -> tuple[tuple[KnownServer, ...], KeyringStatus]:
        return tuple(self._know(one) for one in self._servers.store.list()), keyring_status()

    def _know(self, profile: ServerProfile) -> KnownServer:
        vault = self._servers.store.vault
        unknown = missing(profile, vault.read(profile))
        return KnownServer(profile, unknown, vault.is_for_session(profile))

    async def _look(self, name: str) -> _Wanted:
        profile = await asyncio.to_thread(self._servers.store.get, name)
        secrets = await asyncio.to_thread(self._servers.store.vault.read, profile)
        return _Wanted(profile, missing(profile, secrets))

    async def _examine(self, profile: ServerProfile, test: object) -> None:
        secrets = await asyncio.to_thread(self._servers.store.vault.read, profile)
        examined = examine_server(profile, secrets, self._servers.folders)
        async with aclosing(examined) as steps:
            async for verdict in steps:
                self._bridge.post(_StepTaken(test, verdict))

    # -- inside ------------------------------------------------------------------------------------

    def _named(self, name: str) -> KnownServer | None:
        return next((one for one in self._known if one.profile.name == name), None)

    def _uses(self, name: str) -> bool:
        in_use = self._in_use is not None and self._in_use.name == name
        return in_use or self.connecting == name

    def _save(
        self, work: Callable[[], object], name: str, was: str = "", *, keeps_test: bool = False
    ) -> None:
        def on_saved(_result: object) -> None:
            name_kept = name.strip()
            name_before = was or name_kept
            if not keeps_test:
                self._forget_test(name_before)
            self.refresh(select=name_kept)
            self.saved.emit(name_kept)
            self._use_anew(name_before, name_kept)

        def on_error(error: Exception) -> None:
            if not isinstance(error, M1DeskError):
                raise error
            self.not_saved.emit(error)

        self._bridge.submit(asyncio.to_thread(work), on_saved, on_error)

    def _on_pinned(self, name: str) -> None:
        self.refresh()
        self._use_anew(name, name)
        self.test(name)

    def _use_anew(self, was: str, name: str) -> None:
        """Connect again to the server in use: what it was connected with has changed."""
        if self._uses(was):
            self.leave()
            self.use(name)

    def _forget_test(self, name: str) -> None:
        if self._testing is not None and self._testing[0] == name:
            self.stop_test()
        self._tests.pop(name, None)
        self.tested.emit(name)

    def _want(self, name: str, action: ServerAction) -> None:
        def on_looked(wanted: _Wanted) -> None:
            if wanted.missing:
                self.secrets_wished.emit(wanted.profile, wanted.missing, action)
            elif action == "test":
                self._start_test(wanted.profile)
            else:
                self._start_use(name)

        self._submit(self._look(name), on_looked)

    def _start_test(self, profile: ServerProfile) -> None:
        self.stop_test()
        test = object()
        self._tests[profile.name] = ServerTest(is_running=True)
        work = self._bridge.submit(
            self._examine(profile, test), lambda _: self.stop_test(), self._on_test_failed
        )
        self._testing = (profile.name, test, work)
        self.tested.emit(profile.name)

    def _on_test_failed(self, error: Exception) -> None:
        self.stop_test()
        self.failed.emit(error)

    def _start_use(self, name: str) -> None:
        if self._connecting is not None:
            self._connecting[1].cancel()

        def on_used(server: ServerInUse) -> None:
            self._connecting = None
            self._in_use = server
            self.used.emit()

        def on_error(error: Exception) -> None:
            self._connecting = None
            self.used.emit()
            if not isinstance(error, M1DeskError):
                raise error
            self.use_failed.emit(name, error)

        self._connecting = (
            name,
            self._bridge.submit(self._servers.use(name), on_used, on_error),
        )
        self.used.emit()

    def _on_events(self, events: tuple[object, ...]) -> None:
        for event in events:
            if not isinstance(event, _StepTaken) or self._testing is None:
                continue
            name, test, _ = self._testing
            if event.test is test:
                before = self._tests[name]
                self._tests[name] = replace(before, verdicts=(*before.verdicts, event.verdict))
                self.tested.emit(name)

    def _submit(
        self, work: Coroutine[Any, Any, Any], on_done: Callable[[Any], None] | None = None
    ) -> Submission:
        return self._bridge.submit(work, on_done, self.failed.emit)

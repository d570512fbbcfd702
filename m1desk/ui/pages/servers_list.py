"""The part Servers of its page: those that were added on the left, one of them on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.ui.viewmodels.servers_words import keeping_text
from m1desk.ui.widgets.confirm import confirm
from m1desk.ui.widgets.empty_state import EmptyState
from m1desk.ui.widgets.server_dialog import ServerDialog
from m1desk.ui.widgets.server_rows import ServerRows
from m1desk.ui.widgets.server_secrets_dialog import ServerSecretsDialog
from m1desk.ui.widgets.server_view import ServerView

if TYPE_CHECKING:
    from PySide6.QtGui import QShowEvent

    from m1desk.engines import ServerProfile
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.servers import ServerAction, ServersViewModel

_LIST_WIDTH: Final = 260
_LEAST_LIST: Final = 180
_LEAST_VIEW: Final = 380
_EMPTY: Final = (
    "A model too big for this computer can run elsewhere: on vLLM, on llama-server, or in M1 Desk "
    "on another machine. Add its address here. Nothing is sent to a server before you use it, "
    "and you see which one answers."
)


class ServersList(QWidget):
    """Shows the servers; what is asked of them goes to the view model.

    Signals:
        recipes_wished: a cluster is to be planned, which runs a server of one's own.
    """

    recipes_wished = Signal()

    def __init__(
        self, theme: Theme, servers: ServersViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._servers = servers
        self.rows = ServerRows(theme)
        self.view = ServerView(theme)
        self.add = QPushButton("Add a server…")
        self.begin = QPushButton("Add a server…")
        self.plan = QPushButton("Plan a cluster")
        self.empty = EmptyState(
            theme, "server", "No server yet", _EMPTY, buttons=(self.begin, self.plan)
        )
        self.dialog: ServerDialog | None = None
        self.secrets_dialog: ServerSecretsDialog | None = None
        self._stack = QStackedWidget()
        self._lay_out()
        self._connect_parts()
        self._connect_model()
        self._on_changed()

    @property
    def is_empty(self) -> bool:
        """Whether it explains what servers are."""
        return self._stack.currentWidget() is self.empty

    def open_dialog(self, begin_with: ServerProfile | None = None, note: str = "") -> None:
        """Let the person add a server, beginning with one that is proposed."""
        self._show_dialog(
            ServerDialog(
                self._theme, self._servers, begin_with=begin_with, note=note, parent=self.window()
            )
        )

    def make_menu(self, name: str) -> QMenu:
        """Make the menu of what can be done with a server."""
        menu = QMenu(self)
        in_use = self._servers.in_use
        if in_use is not None and in_use.name == name:
            menu.addAction("Back to this machine", self._servers.leave)
        else:
            menu.addAction("Use this server", lambda: self._servers.use(name))
        menu.addAction("Test", lambda: self._test(name))
        menu.addSeparator()
        menu.addAction("Edit…", lambda: self._edit(name))
        menu.addAction("Remove…", lambda: self._ask_to_remove(name))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return menu

    def showEvent(self, event: QShowEvent) -> None:
        """Ask the keyring when the servers are seen, and not before: it may want a password."""
        super().showEvent(event)
        self._servers.refresh()

    # -- making ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        left = QFrame()
        left.setProperty("panel", True)
        left.setMinimumWidth(_LEAST_LIST)
        column = QVBoxLayout(left)
        column.setContentsMargins(metrics.space_m, metrics.space_m, metrics.space_s, 0)
        column.setSpacing(metrics.space_s)
        column.addWidget(self.add)
        column.addWidget(self.rows, 1)
        self.begin.setProperty("kind", "primary")
        splitter = QSplitter(Qt.Orientation.Horizontal)
        self.view.setMinimumWidth(_LEAST_VIEW)
        for number, part in enumerate((left, self.view)):
            splitter.addWidget(part)
            splitter.setCollapsible(number, False)
            splitter.setStretchFactor(number, number)
        splitter.setHandleWidth(1)
        splitter.setSizes([_LIST_WIDTH, 700])
        self._stack.addWidget(self.empty)
        self._stack.addWidget(splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

    def _connect_parts(self) -> None:
        servers, view = self._servers, self.view
        for button in (self.add, self.begin):
            button.clicked.connect(self._on_add)
        self.plan.clicked.connect(self.recipes_wished)
        self.rows.open_wished.connect(servers.select)
        self.rows.delete_wished.connect(self._ask_to_remove)
        self.rows.menu_wished.connect(self._on_menu)
        view.use_wished.connect(lambda: servers.use(self._selected))
        view.back_wished.connect(servers.leave)
        view.test_wished.connect(lambda: self._test(self._selected))
        view.stop_test_wished.connect(servers.stop_test)
        view.edit_wished.connect(lambda: self._edit(self._selected))
        view.remove_wished.connect(lambda: self._ask_to_remove(self._selected))
        view.trust_wished.connect(self._ask_to_trust)
        view.model_wished.connect(lambda model: servers.choose_model(self._selected, model))

    def _connect_model(self) -> None:
        servers = self._servers
        servers.changed.connect(self._on_changed)
        servers.used.connect(self._on_changed)
        servers.tested.connect(self._on_tested)
        servers.secrets_wished.connect(self._on_secrets_wished)

    # -- what the model tells ----------------------------------------------------------------------

    @property
    def _selected(self) -> str:
        known = self._servers.selected
        return known.profile.name if known is not None else ""

    def _on_changed(self) -> None:
        servers = self._servers
        in_use = servers.in_use
        is_empty = servers.was_read and not servers.servers
        self._stack.setCurrentIndex(0 if is_empty else 1)
        self.rows.show_servers(servers.servers, self._selected, in_use.name if in_use else "")
        known = servers.selected
        self.view.setVisible(known is not None)
        if known is not None:
            self.view.show_server(known, in_use=in_use, connecting=servers.connecting)
            self.view.show_test(servers.test_of(known.profile.name))

    def _on_tested(self, name: str) -> None:
        if name == self._selected:
            self.view.show_test(self._servers.test_of(name))

    def _on_secrets_wished(
        self, profile: ServerProfile, missing: tuple[str, ...], action: ServerAction
    ) -> None:
        keeping = keeping_text(self._servers.keyring)
        dialog = ServerSecretsDialog(self._theme, profile, missing, keeping, self.window())
        dialog.given.connect(lambda secrets: self._servers.give_secrets(profile, secrets, action))
        dialog.destroyed.connect(self._on_secrets_dialog_gone)
        self.secrets_dialog = dialog
        dialog.open()

    def _on_secrets_dialog_gone(self) -> None:
        self.secrets_dialog = None

    # -- what the person asks ----------------------------------------------------------------------

    def _on_add(self) -> None:
        self.open_dialog()

    def _on_menu(self, name: str, place: QPoint) -> None:
        self._servers.select(name)
        self.make_menu(name).popup(place)

    def _test(self, name: str) -> None:
        self._servers.select(name)
        self._servers.test(name)

    def _edit(self, name: str) -> None:
        known = next((one for one in self._servers.servers if one.profile.name == name), None)
        if known is None:
            return
        test = self._servers.test_of(name)
        models = test.models if test is not None else ()
        self._show_dialog(
            ServerDialog(
                self._theme, self._servers, change=known, models=models, parent=self.window()
            )
        )

    def _show_dialog(self, dialog: ServerDialog) -> None:
        dialog.destroyed.connect(self._on_dialog_gone)
        self.dialog = dialog
        dialog.open()

    def _on_dialog_gone(self) -> None:
        self.dialog = None

    def _ask_to_remove(self, name: str) -> None:
        confirm(
            self,
            f"Remove “{name}”?",
            "Its settings are deleted, and its key and secret headers from the system's keyring. "
            "What it has answered stays in your conversations.",
            "Remove",
            lambda: self._servers.remove(name),
        )

    def _ask_to_trust(self, fingerprint: str) -> None:
        name = self._selected
        pairs = ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2))
        confirm(
            self,
            f"Trust this certificate for “{name}”?",
            f"Its SHA-256 fingerprint is\n\n{pairs}\n\nAsk whoever runs the server whether it is "
            "theirs. From then on this certificate alone is trusted, whatever its name and date.",
            "Trust it",
            lambda: self._servers.pin(name, fingerprint),
            destroys=False,
        )

"""What the window can be told by keyboard: one table, from which actions and the help are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PySide6.QtWidgets import QWidget


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the window: its name in code, what it does, its keys in Qt's portable form."""

    name: str
    text: str
    keys: str
    group: str


COMMANDS: Final = (
    Command("new_chat", "New chat", "Ctrl+N", "Chat"),
    Command("search", "Search all conversations", "Ctrl+K", "Chat"),
    Command("stop", "Stop the answer", "Esc", "Chat"),
    Command("model_selector", "Choose a model", "Ctrl+L", "Models"),
    Command("load_file", "Load a model from a file", "Ctrl+O", "Models"),
    Command("page_chat", "Chat", "Ctrl+1", "Pages"),
    Command("page_documents", "Documents", "Ctrl+2", "Pages"),
    Command("page_jobs", "Jobs", "Ctrl+3", "Pages"),
    Command("page_models", "Models", "Ctrl+4", "Pages"),
    Command("page_monitor", "Monitor", "Ctrl+5", "Pages"),
    Command("page_servers", "Servers", "Ctrl+6", "Pages"),
    Command("page_settings", "Settings", "Ctrl+7", "Pages"),
    Command("settings", "Settings", "Ctrl+,", "Pages"),
    Command("sidebar", "Show or hide the names in the sidebar", "Ctrl+B", "Window"),
    Command("shortcuts", "Show this list", "Ctrl+/", "Window"),
    Command("quit", "Quit", "Ctrl+Q", "Window"),
)

TYPING_KEYS: Final = (
    ("Enter", "Send the message", "Chat"),
    ("Shift+Enter", "Begin a new line", "Chat"),
    ("F2", "Rename the selected conversation", "Chat"),
    ("Del", "Delete the selected conversation", "Chat"),
)
"""Keys that the text field and the list themselves handle, for the help only."""


def make_actions(
    window: QWidget, handlers: Mapping[str, Callable[[], object]]
) -> dict[str, QAction]:
    """Make an action for every command and add it to `window`; `handlers` must name them all."""
    actions = {}
    for command in COMMANDS:
        action = QAction(command.text, window)
        action.setObjectName(command.name)
        action.setShortcut(QKeySequence.fromString(command.keys))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        handler = handlers[command.name]
        action.triggered.connect(lambda _=False, run=handler: run())
        window.addAction(action)
        actions[command.name] = action
    return actions


def native_keys(keys: str) -> str:
    """Write keys the way this platform does: with the command sign on macOS."""
    return QKeySequence.fromString(keys).toString(QKeySequence.SequenceFormat.NativeText)

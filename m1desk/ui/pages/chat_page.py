"""The chat page: conversations on the left, messages in the middle, parameters on the right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QStandardPaths, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from m1desk.engines.status import EngineState
from m1desk.models.demo import DEMO_NAME
from m1desk.ui.viewmodels.context_usage import estimate_tokens
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.composer import Composer
from m1desk.ui.widgets.confirm import confirm
from m1desk.ui.widgets.conversation_empty import DEMO_EXAMPLES, EXAMPLES, ConversationEmpty
from m1desk.ui.widgets.conversation_list import ConversationList
from m1desk.ui.widgets.conversation_view import ConversationView
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.sampling_panel import SamplingPanel
from m1desk.ui.widgets.separator import separator
from m1desk.ui.widgets.server_strip import ServerStrip

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QResizeEvent

    from m1desk.chat import Conversation, Message
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.chat import ChatViewModel

_LIST_WIDTH: Final = 248
_PANEL_WIDTH: Final = 272
_BUSY: Final = frozenset({EngineState.STARTING, EngineState.LOADING, EngineState.STOPPING})
_SENT: Final = "What you send goes there, with this conversation."
_MESSAGES_WIDTH: Final = 320
"""What the messages need; on a narrower page the list of conversations gives way."""


class ChatPage(QWidget):
    """Puts the parts of the chat together; what they ask for goes to the view model.

    Signals:
        load_wished: a model is to be loaded, with the app's dialog.
        load_again_wished: the model that was loaded last is to be loaded as before.
        failed: an exception to be shown to the person.
        panels_changed: whether (bool, bool) the list and the parameters are shown.
    """

    load_wished = Signal()
    load_again_wished = Signal()
    failed = Signal(object)
    panels_changed = Signal(bool, bool)

    def __init__(
        self, viewmodel: ChatViewModel, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewmodel = viewmodel
        self._model = viewmodel.conversation
        self._library = viewmodel.library
        self._theme = theme
        self._export_folder = ""
        self._later: Callable[[], None] | None = None  # waits for a model to be loaded
        self.list = ConversationList(theme)
        self.view = ConversationView(theme)
        self.empty = ConversationEmpty(theme)
        self.composer = Composer(theme)
        self.panel = SamplingPanel(theme)
        self.server_strip = ServerStrip(theme, _SENT)
        self._title = ElidedLabel("", tone="strong")
        self._list_button = IconButton(
            theme, "sidebar", "Show or hide the conversations", checkable=True
        )
        self._panel_button = IconButton(
            theme, "sliders", "Show or hide the parameters", checkable=True
        )
        self._export_button = IconButton(theme, "export", "Export this chat as Markdown")
        self._middle = QStackedWidget()
        self._lay_out()
        self._connect_parts()
        self._connect_model()
        self.setFocusProxy(self.composer)
        self.show_panels(conversations=True, parameters=False)
        self._on_reason(self._model.reason)

    # -- for the window ---------------------------------------------------------------------

    def new_chat(self) -> None:
        """Begin a new conversation."""
        self._model.start_new()
        self.composer.setFocus()

    def focus_search(self) -> None:
        """Put the cursor into the search over all conversations."""
        self.show_panels(conversations=True, parameters=self._panel_button.isChecked())
        self.list.focus_search()

    def stop(self) -> None:
        """End the answer being written in the open conversation."""
        self._model.stop()

    def show_panels(self, *, conversations: bool, parameters: bool) -> None:
        """Show or hide what stands left and right of the messages."""
        self._list_button.setChecked(conversations)
        self._panel_button.setChecked(parameters)
        self._fit_panels()

    def release(self) -> None:
        """Stop what works in the background; called before the window goes away."""
        self.view.highlighter.stop()

    # -- making -----------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self.list.setFixedWidth(_LIST_WIDTH)
        self.panel.setFixedWidth(_PANEL_WIDTH)
        self._middle.addWidget(self.empty)
        self._middle.addWidget(self.view)
        bar = QHBoxLayout()
        bar.setContentsMargins(metrics.space_m, metrics.space_s, metrics.space_m, metrics.space_s)
        bar.setSpacing(metrics.space_s)
        bar.addWidget(self._list_button)
        bar.addWidget(self._title, 1)
        bar.addWidget(self._export_button)
        bar.addWidget(self._panel_button)
        center = QVBoxLayout()
        center.setSpacing(0)
        center.addLayout(bar)
        center.addWidget(separator())
        center.addWidget(self._middle, 1)
        center.addLayout(self._lay_out_composer())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._left_line, self._right_line = separator(vertical=True), separator(vertical=True)
        layout.addWidget(self.list)
        layout.addWidget(self._left_line)
        layout.addLayout(center, 1)
        layout.addWidget(self._right_line)
        layout.addWidget(self.panel)

    def _lay_out_composer(self) -> QHBoxLayout:
        metrics = self._theme.metrics
        self.composer.setMaximumWidth(metrics.text_column + 2 * metrics.space_l)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(self.server_strip)
        column.addWidget(self.composer)
        row = QHBoxLayout()
        row.setContentsMargins(metrics.space_l, 0, metrics.space_l, metrics.space_l)
        row.addStretch(1)
        row.addLayout(column, 1000)
        row.addStretch(1)
        return row

    def _connect_parts(self) -> None:
        model, library = self._model, self._library
        self.list.new_wished.connect(self.new_chat)
        self.list.open_wished.connect(model.open)
        self.list.renamed.connect(library.rename)
        self.list.delete_wished.connect(self._on_delete_conversation)
        self.list.export_wished.connect(self._on_export)
        self.list.searched.connect(library.search)
        self.list.left.connect(self.composer.setFocus)
        self.view.earlier_wished.connect(model.load_earlier)
        self.view.wished.connect(self._on_message_wish)
        self.view.edited.connect(model.edit)
        self.view.link_clicked.connect(self._on_link)
        self.empty.load_wished.connect(self.load_wished)
        self.empty.example_chosen.connect(self._on_example)
        self.composer.sent.connect(model.send)
        self.composer.stop_wished.connect(model.stop)
        self.composer.edited.connect(
            lambda length: self.composer.gauge.set_draft(estimate_tokens(length))
        )
        self.panel.system_prompt_changed.connect(model.set_system_prompt)
        self.panel.sampling_changed.connect(model.set_sampling)
        self.panel.close_wished.connect(self._panel_button.click)
        self._list_button.clicked.connect(self._on_panels)
        self._panel_button.clicked.connect(self._on_panels)
        self._export_button.clicked.connect(self._on_export_open)

    def _connect_model(self) -> None:
        model, library = self._model, self._library
        model.opened.connect(self._on_opened)
        model.reset.connect(self._on_reset)
        model.prepended.connect(self._on_prepended)
        model.cut.connect(self.view.cut_after)
        model.added.connect(self._on_added)
        model.changed.connect(self.view.replace)
        model.fed.connect(self.view.feed)
        model.prefilled.connect(self.view.show_prefill)
        model.answering_changed.connect(self.composer.set_answering)
        model.reason_changed.connect(self._on_reason)
        model.total_changed.connect(self.composer.gauge.set_total)
        model.usage_changed.connect(self._on_usage)
        model.failed.connect(self.failed)
        library.changed.connect(self._on_list_changed)
        library.found.connect(self.list.set_hits)
        library.failed.connect(self.failed)

    # -- what the model tells ---------------------------------------------------------------

    def _on_opened(self, conversation: Conversation | None) -> None:
        self._later = None
        self._title.set_text(conversation.title if conversation else "New chat")
        self._export_button.setEnabled(conversation is not None)
        self.list.set_current(conversation.id if conversation else None)
        self.panel.set_values(self._model.system_prompt, self._model.sampling)

    def _on_reset(
        self,
        messages: tuple[Message, ...],
        has_earlier: bool,  # noqa: FBT001 - Qt's signal
        go_to: int | None,
    ) -> None:
        self.view.set_messages(messages, has_earlier=has_earlier)
        self._middle.setCurrentWidget(self.view if messages else self.empty)
        if go_to is not None:
            self.view.scroll_to(go_to)

    def _on_prepended(self, messages: tuple[Message, ...], has_earlier: bool) -> None:  # noqa: FBT001
        self.view.prepend(messages, has_earlier=has_earlier)

    def _on_added(self, message: Message) -> None:
        self._middle.setCurrentWidget(self.view)
        self.view.append(message)
        if message.role == "user":
            self.view.jump_to_latest()

    def _on_reason(self, reason: str) -> None:
        self.composer.set_reason(reason)
        self.view.set_ready(not reason)
        later = self._later
        if not reason or self._model.status.state is EngineState.FAILED:
            self._later = None
        if later is not None and not reason:
            later()
        self.empty.set_reason(reason, busy=self._model.status.state in _BUSY)
        is_demo = self._model.status.model_name == DEMO_NAME
        self.empty.set_examples(DEMO_EXAMPLES if is_demo else EXAMPLES)

    def _on_usage(self, used: int, exact: bool) -> None:  # noqa: FBT001 - Qt's signal
        self.composer.gauge.set_conversation(used, exact=exact)

    def _on_list_changed(self, conversations: tuple[Conversation, ...]) -> None:
        self.list.set_conversations(conversations)
        current = self._model.conversation
        for conversation in conversations:
            if current is not None and conversation.id == current.id:
                self._title.set_text(conversation.title)

    # -- what the person asks ---------------------------------------------------------------

    def _on_message_wish(self, message_id: int, wish: str) -> None:
        model = self._model
        steps: dict[str, Callable[[], None]] = {
            "regenerate": lambda: model.regenerate(message_id),
            "continue": model.continue_answer,
            "load": self.load_again_wished.emit,
            "previous": lambda: model.switch_branch(message_id, -1),
            "next": lambda: model.switch_branch(message_id, +1),
            "delete": lambda: confirm(
                self,
                "Delete this message?",
                "All messages that follow it are deleted too. This can't be undone.",
                "Delete",
                lambda: model.delete_message(message_id),
            ),
        }
        if wish in {"regenerate", "continue"} and model.reason:
            self._later = steps[wish]
            if model.status.state not in _BUSY:
                self.load_again_wished.emit()
        else:
            steps[wish]()

    def _on_delete_conversation(self, conversation_id: int) -> None:
        titles = {c.id: c.title for c in self._library.conversations}
        confirm(
            self,
            f"Delete “{titles.get(conversation_id, 'this chat')}”?",
            "All its messages and their alternatives are deleted. This can't be undone.",
            "Delete",
            lambda: self._library.delete(conversation_id),
        )

    def _on_example(self, text: str) -> None:
        self.composer.set_text(text)
        self.composer.setFocus()

    def _on_link(self, address: str) -> None:
        shown = QUrl(address).toString(QUrl.ComponentFormattingOption.FullyEncoded)
        confirm(
            self,
            "Open this address in your browser?",
            f"It comes from the model:\n\n{shown}",
            "Open",
            lambda: self._open_link(address),
            destroys=False,
        )

    def _open_link(self, address: str) -> None:
        QDesktopServices.openUrl(QUrl(address))

    def _on_export_open(self) -> None:
        if self._model.conversation is not None:
            self._on_export(self._model.conversation.id, "markdown")

    def _on_export(self, conversation_id: int, kind: str) -> None:
        titles = {c.id: c.title for c in self._library.conversations}
        is_markdown = kind == "markdown"
        name = _file_name(titles.get(conversation_id, "chat")) + (".md" if is_markdown else ".json")
        dialog = QFileDialog(self, "Export chat")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("Markdown (*.md)" if is_markdown else "JSON (*.json)")
        dialog.setDefaultSuffix("md" if is_markdown else "json")
        dialog.setDirectory(self._export_folder or _documents())
        dialog.selectFile(name)
        dialog.fileSelected.connect(self._on_exported_to)
        dialog.fileSelected.connect(
            lambda path: self._library.export(
                conversation_id, "markdown" if is_markdown else "json", Path(path)
            )
        )
        dialog.open()

    def _on_exported_to(self, path: str) -> None:
        self._export_folder = str(Path(path).parent)

    # -- room -------------------------------------------------------------------------------

    def _on_panels(self) -> None:
        self._fit_panels()
        self.panels_changed.emit(self._list_button.isChecked(), self._panel_button.isChecked())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give a narrow page's room to the messages."""
        super().resizeEvent(event)
        self._fit_panels()

    def _fit_panels(self) -> None:
        show_panel = self._panel_button.isChecked()
        wanted = _MESSAGES_WIDTH + _LIST_WIDTH + (_PANEL_WIDTH if show_panel else 0)
        show_list = self._list_button.isChecked() and self.width() >= wanted
        self.list.setVisible(show_list)
        self._left_line.setVisible(show_list)
        self.panel.setVisible(show_panel)
        self._right_line.setVisible(show_panel)


def _documents() -> str:
    return QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)


def _file_name(title: str) -> str:
    """Make a name that every system takes of a title."""
    kept = "".join(c if c.isalnum() or c in " -_" else " " for c in title)
    return " ".join(kept.split())[:60] or "chat"

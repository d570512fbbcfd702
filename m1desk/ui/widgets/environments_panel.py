"""Engines in environments of their own: what is here, installing more, choosing, removing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from m1desk.engines.environments.desk import BUILT_IN
from m1desk.engines.environments.values import LLAMA_CPP
from m1desk.engines.environments.words import describe, size_words
from m1desk.ui.units import bytes_pair, bytes_text
from m1desk.ui.viewmodels.environments import M1_CLASS
from m1desk.ui.widgets.confirm import confirm
from m1desk.ui.widgets.label import Label
from m1desk.ui.widgets.plain_tip import plain_tip
from m1desk.ui.widgets.settings_card import SettingsCard, settings_note
from m1desk.ui.widgets.vllm_here_dialog import VllmHereDialog

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.engines.environments.desk import EnginesHere
    from m1desk.engines.environments.values import InstallProgress, KeptEnvironment
    from m1desk.errors import M1DeskError
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.environments import EnvironmentsViewModel

_STAGES: Final = {
    "checking": "Looking at the disk …",
    "creating": "Making an interpreter of its own …",
    "resolving": "Finding out what it needs …",
    "downloading": "Fetching …",
    "installing": "Installing …",
    "fixing": "Looking for packages that don't match …",
    "testing": "Testing: it is loaded and computes …",
    "done": "Done.",
}


class EnvironmentsPanel(SettingsCard):
    """Shows the engines; call `refresh` of its view model when it comes into sight."""

    def __init__(
        self, theme: Theme, environments: EnvironmentsViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(theme, "Engines", parent)
        self._environments = environments
        self._theme = theme
        self._rows = QVBoxLayout()
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(theme.metrics.space_s)
        self._list = QWidget()
        self._list.setLayout(self._rows)
        self._note = settings_note("muted")
        self._problem = settings_note("danger")
        self._progress = settings_note("muted")
        self.install_newest = QPushButton("Install vLLM")
        self.install_for_m1 = QPushButton("Install vLLM for MiniMax-M1")
        self.install_llama = QPushButton("Install a better llama.cpp")
        self.add_existing = QPushButton("Add an existing vLLM…")
        self.cancel = QPushButton("Cancel")
        self._work = self._beside(self._progress, self.cancel)
        self._lay_out()
        self._connect()
        self._on_busy_changed(environments.is_busy)

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is shown in words, from the top."""
        labels = self.findChildren(Label)
        return tuple(label.text() for label in labels if not label.isHidden() and label.text())

    def button(self, name: str, what: str) -> QPushButton | None:
        """The button of an engine's row by what stands on it."""
        wanted = f"{what} {name}"
        buttons = self._list.findChildren(QPushButton)
        return next((one for one in buttons if one.accessibleName() == wanted), None)

    @property
    def _beginning(self) -> tuple[QPushButton, ...]:
        """The buttons that begin something, but for those of the list."""
        return self.install_newest, self.install_for_m1, self.install_llama, self.add_existing

    def _lay_out(self) -> None:
        explained = settings_note("muted")
        explained.setText(
            "vLLM runs in an environment of its own. MiniMax-M1 needs version 0.23.0, other models "
            "the newest. Nothing is updated by itself."
        )
        self.add_widget(explained)
        self.add_widget(self._list)
        self.add_widget(self._beside(self._note, self.install_llama))
        self.add_widget(self._problem)
        foot = QWidget()
        row = QHBoxLayout(foot)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.install_newest, self.install_for_m1, self.add_existing):
            row.addWidget(button)
        row.addStretch(1)
        self.add_widget(foot)
        self.add_widget(self._work)

    def _beside(self, text: Label, button: QPushButton) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(self._theme.metrics.space_m)
        row.addWidget(text, 1)
        row.addWidget(button)
        return box

    def _connect(self) -> None:
        model = self._environments
        self.install_newest.clicked.connect(lambda: self._start(model.install_vllm))
        self.install_for_m1.clicked.connect(
            lambda: self._start(lambda: model.install_vllm(M1_CLASS))
        )
        self.install_llama.clicked.connect(lambda: self._start(model.install_llama))
        self.add_existing.clicked.connect(lambda: self._start(self._ask_for_existing))
        self.cancel.clicked.connect(model.cancel)
        model.changed.connect(self._on_changed)
        model.progressed.connect(self._on_progressed)
        model.busy_changed.connect(self._on_busy_changed)
        model.failed.connect(self._on_failed)

    def _start(self, work: Callable[[], object]) -> None:
        self._problem.hide()
        work()

    def _on_changed(self, here: EnginesHere) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        self._rows.addWidget(self._built_in_row(here))
        for kept in here.kept:
            self._rows.addWidget(self._row(kept, here.chosen))
        self._note.setText(here.advice.reason)
        self.install_llama.setVisible(here.advice.better is not None)
        self._on_busy_changed(self._environments.is_busy)

    def _built_in_row(self, here: EnginesHere) -> QWidget:
        """The app's own build of llama.cpp; it can be chosen, never removed."""
        row, layout = self._empty_row("llama.cpp", f"In use: {here.llama_words}")
        if here.chosen != BUILT_IN:
            self._add_button(layout, BUILT_IN, "Use", lambda: self._environments.use(BUILT_IN))
        return row

    def _row(self, kept: KeptEnvironment, chosen: str) -> QWidget:
        row, layout = self._empty_row(kept.name, describe(kept))
        model, name = self._environments, kept.name
        is_usable = kept.environment is not None and not kept.problem
        if is_usable and _is_llama(kept) and name != chosen:
            self._add_button(layout, name, "Use", lambda: model.use(name))
        if is_usable:
            self._add_button(layout, name, "Test", lambda: model.test(name))
        if kept.wants_repair:
            self._add_button(layout, name, "Repair", lambda: model.repair(name))
        if kept.before is not None:
            self._add_button(layout, name, "Roll back", lambda: self._ask_to_roll_back(kept))
            self._add_button(layout, name, "Delete old build", lambda: self._ask_to_forget(kept))
        self._add_button(layout, name, "Remove", lambda: self._ask_to_remove(kept))
        return row

    def _empty_row(self, name: str, words: str) -> tuple[QWidget, QHBoxLayout]:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(self._theme.metrics.space_m)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        title = Label(name)
        texts.addWidget(title)
        explained = settings_note("caption")
        explained.setText(words)
        texts.addWidget(explained)
        layout.addLayout(texts, 1)
        return row, layout

    def _add_button(
        self, layout: QHBoxLayout, name: str, what: str, run: Callable[[], object]
    ) -> None:
        button = QPushButton(what)
        button.setAccessibleName(f"{what} {name}")
        button.clicked.connect(lambda: self._start(run))
        layout.addWidget(button, alignment=Qt.AlignmentFlag.AlignVCenter)

    def _ask_for_existing(self) -> None:
        VllmHereDialog(self._theme, self._environments, self).open()

    def _ask_to_roll_back(self, kept: KeptEnvironment) -> None:
        before, now = kept.before, kept.environment
        if before is None or now is None:
            return
        returning = f"You can return to {now.package} {now.version} in the same way."
        if kept.problem:  # there is nothing to return to
            returning = f"What is left of {now.package} {now.version} is deleted."
        confirm(
            self,
            f"Go back to {before.package} {before.version} in {kept.name}?",
            f"It is tested before it counts. {returning}",
            "Roll back",
            lambda: self._environments.roll_back(kept.name),
            destroys=bool(kept.problem),
        )

    def _ask_to_forget(self, kept: KeptEnvironment) -> None:
        before = kept.before
        if before is None:
            return
        size = f"{bytes_text(before.size_bytes)} become free." if before.size_bytes else ""
        confirm(
            self,
            f"Delete {before.package} {before.version}, the build of {kept.name} before?",
            f"{size} You can't go back to it then.".strip(),
            "Delete",
            lambda: self._environments.forget(kept.name),
        )

    def _ask_to_remove(self, kept: KeptEnvironment) -> None:
        found, size = kept.environment, size_words(kept)
        text = f"{size} become free." if size else "What you installed yourself stays."
        if found is None:
            text = "What there is of it is deleted."
        confirm(
            self,
            f"Remove {kept.name}?",
            text,
            "Remove",
            lambda: self._environments.remove(kept.name),
        )

    def _on_progressed(self, now: InstallProgress) -> None:
        parts = [_STAGES[now.stage]]
        if now.packages:
            parts.append(f"{now.packages} packages")
        if now.package:
            parts.append(now.package)
        if now.done_bytes is not None and now.total_bytes:
            parts.append(bytes_pair(now.done_bytes, now.total_bytes))
        elif now.total_bytes:
            parts.append(bytes_text(now.total_bytes))
        self._progress.setText("  ".join(parts))
        self._progress.setToolTip(plain_tip(now.line))

    def _on_busy_changed(self, busy: bool) -> None:  # noqa: FBT001 - a Qt signal's value
        for button in (*self._beginning, *self._list.findChildren(QPushButton)):
            button.setEnabled(not busy)
            button.setToolTip("Wait for what is being done, or cancel it" if busy else "")
        self._work.setVisible(busy)
        if not busy:
            self._progress.clear()

    def _on_failed(self, error: M1DeskError) -> None:
        self._problem.setText(str(error))
        self._problem.show()


def _is_llama(kept: KeptEnvironment) -> bool:
    return kept.environment is not None and kept.environment.engine == LLAMA_CPP

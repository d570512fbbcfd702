"""The Settings page: looks, what models and chats begin with, folders, the engine, about."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, Signal, qVersion
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

import m1desk
from m1desk.ui.widgets.calibration_card import CalibrationCard
from m1desk.ui.widgets.calm_fields import choice, whole_number
from m1desk.ui.widgets.label import Label, RichLabel
from m1desk.ui.widgets.settings_card import SettingsCard
from m1desk.ui.widgets.settings_folders import FoldersCard
from m1desk.ui.widgets.settings_hub import HubCard
from m1desk.ui.widgets.settings_sampling import SamplingFields

if TYPE_CHECKING:
    from PySide6.QtGui import QShowEvent
    from PySide6.QtWidgets import QComboBox, QSpinBox

    from m1desk.store import Folders
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.download_items import HubPart
    from m1desk.ui.viewmodels.settings import SettingsViewModel
    from m1desk.ui.viewmodels.settings_calibration import CalibrationViewModel
    from m1desk.ui.viewmodels.settings_hub import HubTokenViewModel

_THEMES: Final = (("system", "Like the desktop"), ("light", "Light"), ("dark", "Dark"))
_SIZES: Final = ((13, "Small"), (0, "Normal"), (17, "Large"), (20, "Very large"))
_CLOSING: Final = (
    ("ask", "Ask"),
    ("quit", "Stop the work and quit"),
    ("background", "Go on with jobs"),
)
_KV_TYPES: Final = (("f16", "f16"), ("q8_0", "q8_0"), ("q4_0", "q4_0"))
_WIDTH: Final = 200
_COLUMN: Final = 760


class SettingsPage(QWidget):
    """Changes settings as they are touched; there is nothing to confirm.

    Signals:
        failed: an M1DeskError.
    """

    failed = Signal(object)

    def __init__(
        self,
        theme: Theme,
        settings: SettingsViewModel,
        *,
        folders: Folders,
        calibration: CalibrationViewModel,
        token: HubTokenViewModel,
        engine_version: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._settings = settings
        self._hub = HubCard(theme, settings, token)
        self._token = token
        self._area = QScrollArea()
        cards = [
            self._appearance(),
            self._models(),
            self._chats(),
            self._hub,
            FoldersCard(theme, settings, folders),
            self._window(),
            CalibrationCard(theme, calibration),
            self._about(engine_version),
        ]
        calibration.failed.connect(self.failed)
        token.failed.connect(self.failed)
        self._lay_out(cards)

    def show_hub(self, part: HubPart) -> None:
        """Bring the hub's settings into view, and the focus to one of them."""
        self._area.ensureWidgetVisible(self._hub)
        self._hub.focus_on(part)

    def showEvent(self, event: QShowEvent) -> None:
        """Ask the keyring when the page is seen, and not before: it may want a password."""
        super().showEvent(event)
        self._token.refresh()

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self, cards: list[SettingsCard]) -> None:
        metrics = self._theme.metrics
        title = Label("Settings", tone="heading")
        inner = QWidget()
        inner.setMaximumWidth(_COLUMN + 2 * metrics.space_xl)
        column = QVBoxLayout(inner)
        column.setContentsMargins(
            metrics.space_xl, metrics.space_l, metrics.space_xl, metrics.space_xl
        )
        column.setSpacing(metrics.space_l)
        column.addWidget(title)
        for card in cards:
            column.addWidget(card)
        column.addStretch(1)
        area = self._area
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(inner)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    # -- cards -------------------------------------------------------------------------------------

    def _appearance(self) -> SettingsCard:
        card = SettingsCard(self._theme, "Appearance")
        card.add_row("Theme", "", self._choice("theme", _THEMES))
        card.add_row("Text size", "", self._choice("font_size", _SIZES))
        return card

    def _models(self) -> SettingsCard:
        card = SettingsCard(self._theme, "Loading models")
        card.add_row(
            "Context length",
            "Offered first when a model is loaded. A longer context takes more memory.",
            self._number("default_context_tokens", 256, 10_485_760, 1024, " tokens"),
        )
        card.add_row(
            "Parallel requests",
            "How many answers are written at once; they share the context.",
            self._number("default_parallel", 1, 16, 1),
        )
        card.add_row(
            "KV cache type",
            "q8_0 halves the memory of a long context at a small loss of exactness.",
            self._choice("default_kv_type", _KV_TYPES),
        )
        box = QCheckBox()
        box.setChecked(self._settings.settings.load_last_model)
        box.toggled.connect(lambda on: self._settings.change(load_last_model=on))
        card.add_row("Load the last model at start", "", box)
        return card

    def _chats(self) -> SettingsCard:
        card = SettingsCard(self._theme, "New chats")
        prompt = QPlainTextEdit(self._settings.settings.default_system_prompt)
        prompt.setPlaceholderText("None")
        prompt.setAccessibleName("System prompt of new chats")
        prompt.setTabChangesFocus(True)
        prompt.setFixedHeight(72)
        prompt.textChanged.connect(
            lambda: self._settings.change(default_system_prompt=prompt.toPlainText())
        )
        label = Label("System prompt")
        label.setBuddy(prompt)
        card.add_widget(label)
        card.add_widget(prompt)
        fields = SamplingFields(card, self._settings.settings.default_sampling)
        fields.changed.connect(lambda values: self._settings.change(default_sampling=values))
        return card

    def _window(self) -> SettingsCard:
        card = SettingsCard(self._theme, "Window")
        card.add_row(
            "Closing while work is running",
            "An answer that is being written, a model that is loading, or jobs: those can go on "
            "without the window. Start M1 Desk again to open it.",
            self._choice("close_behaviour", _CLOSING),
        )
        return card

    def _about(self, engine_version: str) -> SettingsCard:
        card = SettingsCard(self._theme, "About")
        text = RichLabel(
            f"M1 Desk {m1desk.__version__} · {engine_version} · Python "
            f"{platform.python_version()} · Qt {qVersion()}<br>"
            'Licensed under the <a href="https://www.apache.org/licenses/LICENSE-2.0">Apache '
            "License 2.0</a>. Qt is used under the LGPL 3. Nothing you write leaves this computer "
            "unless you use a server.",
            tone="muted",
        )
        text.setOpenExternalLinks(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        card.add_widget(text)
        return card

    # -- controls ----------------------------------------------------------------------------------

    def _choice(self, key: str, options: tuple[tuple[object, str], ...]) -> QComboBox:
        box = choice("", options)  # its name is given when its row is added
        box.setFixedWidth(_WIDTH)
        box.setCurrentIndex(max(0, box.findData(getattr(self._settings.settings, key))))
        box.currentIndexChanged.connect(
            lambda _index: self._settings.change(**{key: box.currentData()})
        )
        return box

    def _number(self, key: str, least: int, most: int, step: int, suffix: str = "") -> QSpinBox:
        spin = whole_number("", least, most, step=step, suffix=suffix)  # likewise
        spin.setFixedWidth(_WIDTH)
        spin.setValue(getattr(self._settings.settings, key))
        spin.valueChanged.connect(lambda value: self._settings.change(**{key: value}))
        return spin

"""The parameters of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from m1desk.engines.turn import SamplingParameters
from m1desk.ui.widgets.sampling_panel import PARAMETERS, SamplingPanel

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme) -> SamplingPanel:
    made = SamplingPanel(theme)
    made.resize(280, 700)
    qtbot.addWidget(made)
    made.show()
    return made


def type_in(qtbot: QtBot, panel: SamplingPanel, name: str, text: str) -> None:
    field = panel.field(name)
    field.clear()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_everything_is_default_at_first_and_says_so(panel: SamplingPanel) -> None:
    for parameter in PARAMETERS:
        assert panel.is_default(parameter.field)
        assert panel.field(parameter.field).placeholderText() == "Default"
        assert panel.field(parameter.field).accessibleName() == parameter.label


def test_what_is_typed_becomes_the_conversations_parameters(
    qtbot: QtBot, panel: SamplingPanel
) -> None:
    told: list[SamplingParameters] = []
    panel.sampling_changed.connect(told.append)
    type_in(qtbot, panel, "temperature", "0.7")
    type_in(qtbot, panel, "top_k", "40")
    type_in(qtbot, panel, "seed", "123456789")
    assert told[-1] == SamplingParameters(temperature=0.7, top_k=40, seed=123456789)
    assert not panel.is_default("temperature")
    type_in(qtbot, panel, "temperature", "")
    assert told[-1].temperature is None


def test_numbers_out_of_range_are_not_taken(qtbot: QtBot, panel: SamplingPanel) -> None:
    told: list[SamplingParameters] = []
    panel.sampling_changed.connect(told.append)
    type_in(qtbot, panel, "top_p", "7")
    type_in(qtbot, panel, "max_tokens", "abc")
    assert told == []


def test_another_conversations_values_are_shown_without_telling(
    qtbot: QtBot, panel: SamplingPanel
) -> None:
    told: list[object] = []
    panel.sampling_changed.connect(told.append)
    panel.system_prompt_changed.connect(told.append)
    panel.set_values("Be brief.", SamplingParameters(min_p=0.05, seed=7, stop=("END", "\\n")))
    assert panel.prompt.toPlainText() == "Be brief."
    assert panel.field("min_p").text() == "0.05"
    assert panel.stop_field.toPlainText() == "END\n\\n"
    qtbot.wait(700)
    assert told == []


def test_reset_returns_to_the_defaults_and_keeps_the_system_prompt(
    qtbot: QtBot, panel: SamplingPanel
) -> None:
    panel.set_values("Be brief.", SamplingParameters(temperature=0.1, stop=("END",)))
    reset = next(b for b in panel.findChildren(QPushButton) if "Reset" in b.text())
    with qtbot.waitSignal(panel.sampling_changed) as told:
        qtbot.mouseClick(reset, Qt.MouseButton.LeftButton)
    assert told.args == [SamplingParameters()]
    assert panel.prompt.toPlainText() == "Be brief."
    assert not reset.isEnabled()


def test_the_system_prompt_is_told_a_moment_after_the_last_key(
    qtbot: QtBot, panel: SamplingPanel
) -> None:
    told: list[str] = []
    panel.system_prompt_changed.connect(told.append)
    qtbot.keyClicks(panel.prompt, "You are kind.")
    qtbot.waitUntil(lambda: told == ["You are kind."])

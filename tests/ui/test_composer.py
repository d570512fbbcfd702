"""Where a message is written, and the gauge beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication, QWidget

from m1desk.ui.widgets.composer import Composer
from m1desk.ui.widgets.context_gauge import ContextGauge

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme


@pytest.fixture
def composer(qtbot: QtBot, theme: Theme) -> Composer:
    made = Composer(theme)
    made.resize(600, 100)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def gauge(qtbot: QtBot, theme: Theme) -> ContextGauge:
    made = ContextGauge(theme)
    qtbot.addWidget(made)
    return made


class Paints(QObject):
    """Counts how often a widget is painted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        self.count += event.type() == QEvent.Type.Paint
        return False


def test_another_reason_is_painted_at_once(qtbot: QtBot, composer: Composer) -> None:
    qtbot.waitExposed(composer)
    composer.set_reason("Load a model to start")
    QApplication.processEvents()
    paints = Paints(composer.field.viewport())
    composer.set_reason("Loading the model… 10%")
    qtbot.waitUntil(lambda: paints.count > 0)


def test_the_hint_in_the_field_has_the_size_of_its_text(composer: Composer, theme: Theme) -> None:
    theme.set_body_px(20)
    assert composer.field.viewport().font().pixelSize() == composer.field.font().pixelSize() == 20


def test_enter_sends_and_empties_the_field(qtbot: QtBot, composer: Composer) -> None:
    qtbot.keyClicks(composer.field, "  Hello  ")
    with qtbot.waitSignal(composer.sent) as sent:
        qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.args == ["Hello"]
    assert composer.text == ""


def test_shift_enter_starts_a_line_and_the_field_grows_up_to_a_limit(
    qtbot: QtBot, composer: Composer
) -> None:
    low = composer.field.height()
    qtbot.keyClicks(composer.field, "one")
    qtbot.keyClick(composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(composer.field, "two")
    assert composer.text == "one\ntwo"
    assert composer.field.height() > low
    composer.set_text("\n" * 200)
    assert composer.field.height() < 20 * low


def test_nothing_and_blanks_are_not_sent(qtbot: QtBot, composer: Composer) -> None:
    told: list[str] = []
    composer.sent.connect(told.append)
    qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    composer.set_text("  \n ")
    qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    assert told == []


def test_without_a_model_it_says_why_and_keeps_what_is_typed(
    qtbot: QtBot, composer: Composer
) -> None:
    composer.set_reason("Load a model to start")
    assert composer.field.placeholderText() == "Load a model to start"
    qtbot.keyClicks(composer.field, "Hello")
    assert composer.hint == "Load a model to start"
    qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    assert composer.text == "Hello"
    composer.set_reason("")
    assert composer.can_send


def test_while_an_answer_is_written_escape_and_the_button_stop_it(
    qtbot: QtBot, composer: Composer
) -> None:
    composer.set_answering(True)
    composer.set_text("Next")
    assert not composer.can_send
    with qtbot.waitSignal(composer.stop_wished):
        qtbot.keyClick(composer.field, Qt.Key.Key_Escape)
    with qtbot.waitSignal(composer.stop_wished):
        qtbot.mouseClick(composer.button, Qt.MouseButton.LeftButton)
    assert composer.text == "Next"
    assert composer.button.accessibleName() == "Stop the answer (Esc)"


def test_the_gauge_shows_exact_numbers_and_marks_estimates(gauge: ContextGauge) -> None:
    gauge.set_total(8192)
    gauge.set_conversation(1200, exact=True)
    assert gauge.text == "1,200 / 8,192"
    gauge.set_draft(50)
    assert gauge.text == "~1,250 / 8,192"
    assert "1,200 tokens, counted by the engine" in gauge.toolTip()
    assert "8,192" in gauge.toolTip()
    gauge.set_draft(0)
    gauge.set_conversation(900, exact=False)
    assert gauge.text == "~900 / 8,192"


@pytest.mark.parametrize(
    ("used", "level"), [(740, "normal"), (750, "warning"), (899, "warning"), (900, "danger")]
)
def test_the_gauge_warns_at_three_quarters_and_at_nine_tenths(
    gauge: ContextGauge, used: int, level: str
) -> None:
    gauge.set_total(1000)
    gauge.set_conversation(used, exact=True)
    assert gauge.level == level


def test_a_million_tokens_and_more_are_counted_right(gauge: ContextGauge) -> None:
    gauge.set_total(10_000_000_000)
    gauge.set_conversation(5_000_000_000, exact=True)
    assert gauge.text == "5,000,000,000 / 10,000,000,000"
    assert gauge.level == "normal"

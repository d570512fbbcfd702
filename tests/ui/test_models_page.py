"""The Models page: its tabs show the parts it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QTabBar

from m1desk.ui.pages.models_page import ModelsPage

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme


def test_it_opens_with_my_models_and_goes_on_by_tab_name(theme: Theme, qtbot: QtBot) -> None:
    here, found, fetched = QLabel("here"), QLabel("found"), QLabel("fetched")
    page = ModelsPage(theme, here, discover=found, downloads=fetched)
    qtbot.addWidget(page)
    page.show()
    assert page.tab == "my_models"
    assert here.isVisible()
    with qtbot.waitSignal(page.tab_changed) as changed:
        page.show_tab("downloads")
    assert changed.args == ["downloads"]
    assert fetched.isVisible()
    assert not here.isVisible()


def test_a_part_that_is_not_there_has_no_tab(theme: Theme, qtbot: QtBot) -> None:
    page = ModelsPage(theme, QLabel("here"))
    qtbot.addWidget(page)
    bar = page.findChild(QTabBar)
    assert isinstance(bar, QTabBar)
    assert [bar.tabText(place) for place in range(bar.count())] == ["My Models"]
    page.show_tab("discover")
    assert page.tab == "my_models"


def test_the_arrow_keys_go_from_tab_to_tab(theme: Theme, qtbot: QtBot) -> None:
    page = ModelsPage(theme, QLabel("here"), discover=QLabel("found"))
    qtbot.addWidget(page)
    bar = page.findChild(QTabBar)
    assert isinstance(bar, QTabBar)
    qtbot.keyClick(bar, Qt.Key.Key_Left)
    assert page.tab == "discover"

"""What tests of the window share: the theme, the bridge, and a check that no loop is left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QApplication

from m1desk.models import OtherPlaces
from m1desk.ui.bridge import Bridge
from m1desk.ui.theme import Theme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the offscreen platform say of each small window that it has no window manager."""
    for item in items:
        if "tests/ui/" in item.path.as_posix():
            item.add_marker(pytest.mark.qt_log_ignore("propagateSizeHints", extend=True))


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[Theme]:
    """The light theme."""
    made = Theme(qapp, "light")
    yield made
    made.deleteLater()


@pytest.fixture
def bridge(qtbot: QtBot) -> Iterator[Bridge]:
    """A running bridge, stopped after the test; a coroutine without on_error fails the test."""
    made = Bridge()
    unexpected: list[Exception] = []
    made.failed.connect(unexpected.append)
    yield made
    assert made.stop()
    if unexpected:
        raise unexpected[0]


@pytest.fixture(autouse=True)
def _no_models_of_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at no model that whoever runs the tests has in LM Studio, Ollama and the like."""
    monkeypatch.setattr(OtherPlaces, "of_user", staticmethod(OtherPlaces))


@pytest.fixture(autouse=True)
def _no_loop_is_left() -> Iterator[None]:
    """Fail a test that leaves a bridge's thread running."""
    yield
    left = [thread for thread in threading.enumerate() if thread.name == "m1desk-loop"]
    assert not left, "a bridge was not stopped"

"""The look: palettes, stylesheet and icons."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from PySide6.QtGui import QColor, QPalette

from m1desk.ui.icons import ICONS, icon_pixmap
from m1desk.ui.theme import Theme, apply_theme
from m1desk.ui.tokens import DARK, LIGHT, Metrics, Palette
from m1desk.ui.widgets.buttons import IconButton

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda p: p.name)
def test_text_can_be_read_on_its_ground(palette: Palette) -> None:
    for ground in (palette.window, palette.sidebar, palette.surface, palette.code_background):
        assert contrast(palette.text, ground) >= 7
        assert contrast(palette.text_muted, ground) >= 4.5
        assert contrast(palette.danger, ground) >= 4.5
        assert contrast(palette.warning, ground) >= 4.5
    assert contrast(palette.on_accent, palette.accent) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda p: p.name)
def test_every_colour_is_one_that_qt_knows(palette: Palette) -> None:
    for one in fields(palette):
        if one.name != "name":
            assert QColor(getattr(palette, one.name)).isValid()


def test_the_theme_switches_the_whole_application(qapp: QApplication, theme: Theme) -> None:
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == LIGHT.window
    told: list[Palette] = []
    theme.changed.connect(told.append)
    theme.set_choice("dark")
    assert told == [DARK]
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == DARK.window
    assert DARK.accent in qapp.styleSheet()


def test_system_is_light_where_the_desktop_does_not_say(qapp: QApplication) -> None:
    assert apply_theme(qapp, "system") == LIGHT


def test_text_size_scales_all_sizes(theme: Theme) -> None:
    theme.set_body_px(30)
    assert theme.metrics.font_body == 30
    assert theme.metrics.font_caption == 24
    assert Metrics().with_body(15) == Metrics()


@pytest.mark.parametrize("name", sorted(ICONS))
def test_every_icon_draws_something_in_its_colour(qapp: QApplication, name: str) -> None:
    image = icon_pixmap(name, "#ff0000", 24).toImage()
    inked = [
        image.pixelColor(x, y)
        for x in range(24)
        for y in range(24)
        if image.pixelColor(x, y).alpha() > 200
    ]
    assert inked
    assert all(colour.red() > 200 and colour.blue() < 60 for colour in inked)


def test_an_icon_button_is_named_and_follows_the_theme(qtbot: QtBot, theme: Theme) -> None:
    button = IconButton(theme, "copy", "Copy message")
    qtbot.addWidget(button)
    assert button.accessibleName() == "Copy message"
    light = button.icon().pixmap(16, 16).toImage()
    theme.set_choice("dark")
    assert button.icon().pixmap(16, 16).toImage() != light

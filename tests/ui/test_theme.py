"""The look: palettes, stylesheet and icons."""

from __future__ import annotations

import math
from dataclasses import fields
from itertools import combinations
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


def linear(colour: str) -> list[float]:
    """Red, green and blue as amounts of light."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def product(matrix: list[list[float]], vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def seen(light: list[float]) -> list[float]:
    """Oklab (Björn Ottosson, 2020): equal distances look equally different."""
    cones = product(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ],
        light,
    )
    return product(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ],
        [math.cbrt(cone) for cone in cones],
    )


def without_green_cones(light: list[float]) -> list[float]:
    """As a deuteranope sees it (Machado, Oliveira, Fernandes 2009)."""
    mixed = product(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        light,
    )
    return [min(1.0, max(0.0, part)) for part in mixed]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda p: p.name)
def test_text_can_be_read_on_its_ground(palette: Palette) -> None:
    for ground in (palette.window, palette.sidebar, palette.surface, palette.code_background):
        assert contrast(palette.text, ground) >= 7
        assert contrast(palette.text_muted, ground) >= 4.5
        assert contrast(palette.danger, ground) >= 4.5
        assert contrast(palette.warning, ground) >= 4.5
    assert contrast(palette.on_accent, palette.accent) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda p: p.name)
def test_eight_curves_and_the_accent_can_be_told_apart(palette: Palette) -> None:
    series = [getattr(palette, f"series_{number}") for number in range(1, 9)]
    assert all(contrast(colour, palette.surface) >= 3 for colour in series)
    for one, other in combinations([palette.accent, *series], 2):
        assert math.dist(seen(linear(one)), seen(linear(other))) > 0.1, (one, other)
        weak = [seen(without_green_cones(linear(colour))) for colour in (one, other)]
        assert math.dist(*weak) > 0.05, (one, other)


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

"""The design tokens: colours of the two palettes, spacing, radii and font sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

ThemeName = Literal["light", "dark"]
ThemeChoice = Literal["light", "dark", "system"]


@dataclass(frozen=True, slots=True)
class Palette:
    """Every colour the window uses, as #rrggbb.

    `window` lies at the back, `sidebar` beside it, `surface` is a card or an input on it,
    `raised` what lies on a card or floats (menus). Text comes in three strengths. There is one
    accent; `*_soft` are backgrounds, `on_accent` is text on the accent. `series_*` are thin lines
    beside each other and beside one in the accent, told apart also by who sees red or green weakly.
    """

    name: ThemeName
    window: str
    sidebar: str
    surface: str
    raised: str
    hover: str
    pressed: str
    border: str
    border_strong: str
    text: str
    text_muted: str
    text_faint: str
    accent: str
    accent_hover: str
    accent_soft: str
    on_accent: str
    success: str
    warning: str
    warning_soft: str
    danger: str
    danger_soft: str
    user_bubble: str
    code_background: str
    selection: str
    mark: str
    series_1: str
    series_2: str
    series_3: str
    series_4: str
    series_5: str
    series_6: str
    series_7: str
    series_8: str


LIGHT: Final = Palette(
    name="light",
    window="#ffffff",
    sidebar="#f6f6f7",
    surface="#ffffff",
    raised="#ffffff",
    hover="#ededf0",
    pressed="#e3e3e7",
    border="#e4e4e8",
    border_strong="#cfcfd6",
    text="#1b1c20",
    text_muted="#5d606b",
    text_faint="#7d808b",
    accent="#4b56d2",
    accent_hover="#3d47bd",
    accent_soft="#ecedfb",
    on_accent="#ffffff",
    success="#1c7c4d",
    warning="#95600a",
    warning_soft="#fcf4e3",
    danger="#c0362c",
    danger_soft="#fcefed",
    user_bubble="#f2f2f5",
    code_background="#f6f7f9",
    selection="#cfd3fa",
    mark="#fdeab0",
    series_1="#18702f",
    series_2="#c98200",
    series_3="#3a97d6",
    series_4="#c71f24",
    series_5="#773078",
    series_6="#f5419f",
    series_7="#a066ee",
    series_8="#5a3a22",
)

DARK: Final = Palette(
    name="dark",
    window="#18191c",
    sidebar="#131416",
    surface="#1f2024",
    raised="#26272c",
    hover="#27282d",
    pressed="#303238",
    border="#2c2d33",
    border_strong="#41434b",
    text="#e7e7ea",
    text_muted="#a3a5ae",
    text_faint="#82858f",
    accent="#8b95f6",
    accent_hover="#a0a8fa",
    accent_soft="#272a45",
    on_accent="#14151c",
    success="#5cc48d",
    warning="#e0b05a",
    warning_soft="#2f2818",
    danger="#f0837a",
    danger_soft="#351f1e",
    user_bubble="#26272c",
    code_background="#121315",
    selection="#3a4080",
    mark="#5a4a16",
    series_1="#3fbf87",
    series_2="#d9a520",
    series_3="#6fdcf5",
    series_4="#f0715f",
    series_5="#2a93ad",
    series_6="#f04fb8",
    series_7="#eeb3cc",
    series_8="#b6ec5c",
)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Spacing (multiples of 4), corner radii and font sizes, all in device-independent pixels."""

    space_xs: int = 4
    space_s: int = 8
    space_m: int = 12
    space_l: int = 16
    space_xl: int = 24
    space_xxl: int = 32
    radius_s: int = 6
    radius_m: int = 8
    radius_l: int = 12
    control_height: int = 32
    icon: int = 16
    icon_l: int = 20
    text_column: int = 760
    font_caption: int = 12
    font_small: int = 13
    font_body: int = 15
    font_title: int = 18
    font_heading: int = 24

    def with_body(self, body_px: int) -> Metrics:
        """Return the same metrics with all text scaled so that body text is `body_px` pixels."""
        scale = body_px / Metrics().font_body
        base = Metrics()
        return replace(
            self,
            font_caption=round(base.font_caption * scale),
            font_small=round(base.font_small * scale),
            font_body=body_px,
            font_title=round(base.font_title * scale),
            font_heading=round(base.font_heading * scale),
        )

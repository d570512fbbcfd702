"""Our own line icons: drawn on a 24 by 24 grid, tinted to the theme when they are made."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

_SIZES: Final = (16, 20, 24)
_RATIOS: Final = (1, 2, 3)

ICONS: Final[dict[str, str]] = {
    "alert": '<path d="M12 4 2.8 19.5h18.4z"/><path d="M12 10v4.5M12 17v.2"/>',
    "approximate": '<path d="M4 10c2.5-3.5 5-3.5 8-1s5.5 2.5 8-1M4 16.5c2.5-3.5 5-3.5 8-1'
    's5.5 2.5 8-1"/>',
    "arrow-down": '<path d="M12 5v14M6 13l6 6 6-6"/>',
    "arrow-up": '<path d="M12 19V5M6 11l6-6 6 6"/>',
    "chat": '<path d="M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v7a2.5 2.5 0 0 1-2.5 2.5H11'
    'l-4.5 4v-4A2.5 2.5 0 0 1 4 13.5z"/>',
    "check": '<path d="M5 12.5 10 17.5 19.5 7"/>',
    "chevron-down": '<path d="M6 9.5l6 6 6-6"/>',
    "chevron-left": '<path d="M14.5 6l-6 6 6 6"/>',
    "chevron-right": '<path d="M9.5 6l6 6-6 6"/>',
    "chevron-up": '<path d="M6 14.5l6-6 6 6"/>',
    "clock": '<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5l3.5 2.2"/>',
    "close": '<path d="M6 6l12 12M18 6 6 18"/>',
    "copy": '<rect x="8.5" y="8.5" width="11" height="11" rx="2"/>'
    '<path d="M15.5 8.5v-2a2 2 0 0 0-2-2h-7a2 2 0 0 0-2 2v7a2 2 0 0 0 2 2h2"/>',
    "cpu": '<rect x="6" y="6" width="12" height="12" rx="2"/><path d="M10 10h4v4h-4z"/>'
    '<path d="M9 6V3M15 6V3M9 21v-3M15 21v-3M6 9H3M6 15H3M21 9h-3M21 15h-3"/>',
    "documents": '<path d="M8 3.5h7l4 4v10H8z"/><path d="M14.5 3.5V8H19"/>'
    '<path d="M8 6.5H5v14h10.5v-3"/><path d="M11 11.5h5M11 14.5h5"/>',
    "download": '<path d="M12 4v11M7 10.5l5 5 5-5M5 19.5h14"/>',
    "edit": '<path d="M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5z"/><path d="M13.5 7l3.5 3.5"/>',
    "eject": '<path d="M12 5l7 8.5H5z"/><path d="M5 18.5h14"/>',
    "export": '<path d="M12 15V4M7.5 8.5 12 4l4.5 4.5"/>'
    '<path d="M5 13v5a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-5"/>',
    "file": '<path d="M6 3.5h8l4.5 4.5v12.5H6z"/><path d="M13.5 3.5V8.5H18.5"/>',
    "folder": '<path d="M3.5 6.5a1.5 1.5 0 0 1 1.5-1.5h4.5l2 2.5h7.5a1.5 1.5 0 0 1 '
    '1.5 1.5v8.5a1.5 1.5 0 0 1-1.5 1.5H5a1.5 1.5 0 0 1-1.5-1.5z"/>',
    "info": '<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5M12 8v.2"/>',
    "jobs": '<path d="M9.5 6.5h10.5M9.5 12h10.5M9.5 17.5h10.5"/>'
    '<path d="M3.5 6.3l1.4 1.4L7.3 5M3.5 11.8l1.4 1.4 2.4-2.7M3.5 17.3l1.4 1.4 2.4-2.7"/>',
    "log": '<path d="M5 6h14M5 10.5h14M5 15h9M5 19.5h6"/>',
    "memory": '<rect x="3.5" y="7" width="17" height="9" rx="1.5"/>'
    '<path d="M8 10v3M12 10v3M16 10v3M6.5 16v3M12 16v3M17.5 16v3"/>',
    "model": '<path d="M12 3.5l7.5 4.25v8.5L12 20.5l-7.5-4.25v-8.5z"/>'
    '<path d="M4.5 7.75 12 12l7.5-4.25M12 12v8.5"/>',
    "monitor": '<path d="M3 12.5h4l2.5-7 5 13 2.5-6h4"/>',
    "more": '<path d="M5.5 12h.2M12 12h.2M18.3 12h.2" stroke-width="2.6"/>',
    "pause": '<path d="M8.5 5.5v13M15.5 5.5v13" stroke-width="2.6"/>',
    "play": '<path d="M8 5.5v13l10.5-6.5z"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "refresh": '<path d="M19 12a7 7 0 1 1-2.2-5.1"/><path d="M19.5 3.5v4.5H15"/>',
    "search": '<circle cx="10.5" cy="10.5" r="6"/><path d="M15 15l5 5"/>',
    "send": '<path d="M12 19.5V5M5.5 11.5 12 5l6.5 6.5"/>',
    "server": '<rect x="4" y="4.5" width="16" height="6.5" rx="1.5"/>'
    '<rect x="4" y="13" width="16" height="6.5" rx="1.5"/><path d="M7.5 7.8h.2M7.5 16.3h.2'
    'M11 7.8h5.5M11 16.3h5.5"/>',
    "settings": '<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2.2"/>'
    '<circle cx="9" cy="17" r="2.2"/>',
    "sidebar": '<rect x="3.5" y="4.5" width="17" height="15" rx="2.5"/><path d="M9.5 4.5v15"/>',
    "sliders": '<path d="M4 6h7M15 6h5M4 12h2M10 12h10M4 18h10M18 18h2"/>'
    '<circle cx="13" cy="6" r="2"/><circle cx="8" cy="12" r="2"/><circle cx="16" cy="18" r="2"/>',
    "stop": '<rect x="7" y="7" width="10" height="10" rx="1.5" fill="currentColor"/>',
    "theme": '<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z"/>',
    "thought": '<path d="M9 18h6M10 21h4"/><path d="M8.5 15c-1.9-1.2-3-3.1-3-5.3a6.5 6.5 0 0 1 '
    '13 0c0 2.2-1.1 4.1-3 5.3z"/>',
    "trash": '<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.8 12.5h9.4L17.5 7"/>'
    '<path d="M10.2 11v5M13.8 11v5"/>',
}
"""Name -> the drawing inside an <svg>; strokes take the tint, `currentColor` stands for it."""

_FRAME: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" '
    'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{drawing}</svg>'
)


def icon_svg(name: str, colour: str) -> str:
    """Return the icon as an SVG document in one colour (#rrggbb); KeyError if unknown."""
    drawing = ICONS[name].replace("currentColor", colour)
    return _FRAME.format(colour=colour, drawing=drawing)


def icon_pixmap(name: str, colour: str, size: int, ratio: float = 1.0) -> QPixmap:
    """Draw the icon `size` device-independent pixels wide for a screen of that ratio."""
    pixels = round(size * ratio)
    pixmap = QPixmap(QSize(pixels, pixels))
    pixmap.fill(Qt.GlobalColor.transparent)
    renderer = QSvgRenderer(QByteArray(icon_svg(name, colour).encode()))
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, pixels, pixels))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def make_icon(name: str, colour: str, disabled: str | None = None) -> QIcon:
    """Make the icon in a colour, with its disabled look in another; crisp on dense screens too."""
    icon = QIcon()
    for size in _SIZES:
        for ratio in _RATIOS:
            icon.addPixmap(icon_pixmap(name, colour, size, ratio))
            if disabled is not None:
                faded = icon_pixmap(name, disabled, size, ratio)
                icon.addPixmap(faded, QIcon.Mode.Disabled)
    return icon

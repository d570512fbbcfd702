"""The look of the window: which palette rules, and how it is laid over Fusion.

Widgets are styled by properties that the stylesheet knows (see `stylesheet.py`):

* QPushButton / QToolButton: `kind` = "primary" | "ghost" | "danger" | (none: outlined)
* Label: `tone` = "heading" | "title" | "body" | "strong" | "muted" | "faint" | "caption" |
  "danger" | "warning" | "success"
* QFrame: `card` = True (a rounded card on the window), `panel` = True (the sidebar's ground)
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from m1desk.ui.icons import make_icon
from m1desk.ui.stylesheet import stylesheet
from m1desk.ui.tokens import DARK, LIGHT, Metrics, Palette, ThemeChoice

_TEXT_FAMILIES = ("Inter", "Inter Variable")
_CODE_FAMILIES = (
    "JetBrains Mono",
    "Cascadia Code",
    "SF Mono",
    "Menlo",
    "Consolas",
    "Noto Sans Mono",
    "DejaVu Sans Mono",
)


def resolve_palette(choice: ThemeChoice) -> Palette:
    """Choose the palette; "system" asks the desktop and is light where it does not say."""
    if choice == "system":
        scheme = QGuiApplication.styleHints().colorScheme()
        return DARK if scheme == Qt.ColorScheme.Dark else LIGHT
    return DARK if choice == "dark" else LIGHT


def apply_theme(app: QApplication, choice: ThemeChoice, metrics: Metrics | None = None) -> Palette:
    """Lay the chosen palette over the whole application and return it."""
    palette = resolve_palette(choice)
    metrics = metrics or Metrics()
    if app.style().name() != "fusion":
        app.setStyle(QStyleFactory.create("Fusion"))
    app.setPalette(_qt_palette(palette))
    app.setFont(text_font(metrics.font_small))
    app.setStyleSheet(stylesheet(palette, metrics))
    return palette


def text_font(pixels: int) -> QFont:
    """Make the text font at a size in pixels: Inter where installed, else the desktop's."""
    font = QFont()
    system = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()
    font.setFamilies([*_installed(_TEXT_FAMILIES), system])
    font.setPixelSize(pixels)
    return font


def code_font(pixels: int) -> QFont:
    """Make the font for code at a size in pixels."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    families = [*_installed(_CODE_FAMILIES), font.family()]
    font.setFamilies(families)
    font.setPixelSize(pixels)
    font.setStyleHint(QFont.StyleHint.Monospace)
    return font


def set_look(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the stylesheet knows, and make the change visible at once."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)


class Theme(QObject):
    """The palette and metrics now ruling; one object, handed to every widget that paints.

    Signals:
        changed: the new Palette, after the application took it on.
    """

    changed = Signal(object)

    def __init__(
        self,
        app: QApplication,
        choice: ThemeChoice = "system",
        body_px: int = 15,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._app = app
        self._choice: ThemeChoice = choice
        self._metrics = Metrics().with_body(body_px)
        self._icons: dict[tuple[str, str], QIcon] = {}
        self._palette = apply_theme(app, choice, self._metrics)
        app.styleHints().colorSchemeChanged.connect(self._on_system_changed)

    @property
    def palette(self) -> Palette:
        """The colours now in use."""
        return self._palette

    @property
    def metrics(self) -> Metrics:
        """The sizes now in use."""
        return self._metrics

    @property
    def choice(self) -> ThemeChoice:
        """What the user chose: "light", "dark" or "system"."""
        return self._choice

    def set_choice(self, choice: ThemeChoice) -> None:
        """Switch to light, dark, or what the desktop says."""
        self._choice = choice
        self._apply()

    def set_body_px(self, body_px: int) -> None:
        """Scale all text so that body text is `body_px` pixels."""
        self._metrics = Metrics().with_body(body_px)
        self._apply()

    def icon(self, name: str, colour: str | None = None) -> QIcon:
        """Return the named icon, tinted (by default in muted text), with its disabled look.

        Raises KeyError for a name that `icons.ICONS` does not have.
        """
        key = (name, colour or self._palette.text_muted)
        if key not in self._icons:
            self._icons[key] = make_icon(name, key[1], disabled=self._palette.border_strong)
        return self._icons[key]

    def _apply(self) -> None:
        self._icons.clear()
        self._palette = apply_theme(self._app, self._choice, self._metrics)
        self.changed.emit(self._palette)

    def _on_system_changed(self) -> None:
        if self._choice == "system" and resolve_palette("system") is not self._palette:
            self._apply()


def _installed(families: tuple[str, ...]) -> list[str]:
    return [family for family in families if QFontDatabase.hasFamily(family)]


def _qt_palette(colours: Palette) -> QPalette:
    """Qt's palette, so that what no stylesheet rule reaches has our colours too."""
    role = QPalette.ColorRole
    palette = QPalette()
    for key, colour in {
        role.Window: colours.window,
        role.WindowText: colours.text,
        role.Base: colours.surface,
        role.AlternateBase: colours.sidebar,
        role.Text: colours.text,
        role.PlaceholderText: colours.text_faint,
        role.Button: colours.surface,
        role.ButtonText: colours.text,
        role.BrightText: colours.danger,
        role.ToolTipBase: colours.raised,
        role.ToolTipText: colours.text,
        role.Highlight: colours.selection,
        role.HighlightedText: colours.text,
        role.Link: colours.accent,
        role.LinkVisited: colours.accent,
        role.Light: colours.raised,
        role.Midlight: colours.hover,
        role.Mid: colours.border,
        role.Dark: colours.border_strong,
        role.Shadow: colours.border_strong,
        role.Accent: colours.accent,
    }.items():
        palette.setColor(key, QColor(colour))
    for key in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, key, QColor(colours.text_faint))
    return palette

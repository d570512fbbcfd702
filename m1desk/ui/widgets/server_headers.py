"""The extra headers of a server, a row each; the values of secret ones are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from m1desk.engines.remote.profiles import looks_secret
from m1desk.ui.widgets.buttons import IconButton

if TYPE_CHECKING:
    from m1desk.engines import ServerProfile
    from m1desk.ui.theme import Theme

KEPT: Final = "Kept. Type to replace it."


class ServerHeaders(QWidget):
    """Grows by a row at a time.

    Signals:
        changed: something was typed, added or taken away.
    """

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._rows: list[HeaderRow] = []
        self._column = QVBoxLayout()
        self._column.setSpacing(theme.metrics.space_s)
        self.more = QPushButton("Add a header")
        self.more.setAutoDefault(False)
        self.more.clicked.connect(self._on_more)
        foot = QHBoxLayout()
        foot.addWidget(self.more)
        foot.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_s)
        layout.addLayout(self._column)
        layout.addLayout(foot)

    @property
    def rows(self) -> tuple[HeaderRow, ...]:
        """The rows there are."""
        return tuple(self._rows)

    @property
    def plain(self) -> tuple[tuple[str, str], ...]:
        """Headers that are kept in clear, as name and value."""
        return tuple((r.header, r.text) for r in self._rows if r.header and not r.is_secret)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Names of those whose values are secret."""
        return tuple(r.header for r in self._rows if r.header and r.is_secret)

    @property
    def secrets(self) -> dict[str, str]:
        """The values of secret headers that were typed."""
        return {r.header: r.text for r in self._rows if r.header and r.is_secret and r.text}

    def show_headers(self, profile: ServerProfile) -> None:
        """Show a server's headers."""
        for name, value in profile.headers:
            self._add(name, value, is_secret=False)
        for name in profile.secret_headers:
            self._add(name, "", is_secret=True)

    def _on_more(self) -> None:
        self._add("", "", is_secret=False).name.setFocus()

    def _add(self, name: str, value: str, *, is_secret: bool) -> HeaderRow:
        row = HeaderRow(self._theme, name, value, is_secret=is_secret)
        row.changed.connect(self.changed)
        row.remove_wished.connect(lambda: self._remove(row))
        self._rows.append(row)
        self._column.addWidget(row)
        return row

    def _remove(self, row: HeaderRow) -> None:
        self._rows.remove(row)
        row.hide()
        row.deleteLater()
        self.changed.emit()


class HeaderRow(QWidget):
    """One header: its name, its value, and whether that is a secret.

    Signals:
        changed: something was typed.
        remove_wished: the row is to go.
    """

    changed = Signal()
    remove_wished = Signal()

    def __init__(self, theme: Theme, name: str, value: str, *, is_secret: bool) -> None:
        super().__init__()
        self.name = QLineEdit(name)
        self.name.setPlaceholderText("X-Team")
        self.name.setAccessibleName("Name of the header")
        self.value = QLineEdit(value)
        self.value.setAccessibleName("Value of the header")
        self.secret = QCheckBox("Secret")
        self.secret.setToolTip("Its value is kept like the key, and not shown")
        self._was_secret = is_secret
        self.secret.setChecked(is_secret)
        remove = IconButton(theme, "close", "Remove this header")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_s)
        layout.addWidget(self.name, 2)
        layout.addWidget(self.value, 3)
        layout.addWidget(self.secret)
        layout.addWidget(remove)
        remove.clicked.connect(self.remove_wished)
        self.secret.toggled.connect(lambda _on: self._on_changed())
        self.name.textChanged.connect(lambda _text: self._on_typed())
        self.value.textChanged.connect(lambda _text: self._on_typed())
        self._show_secrecy()

    @property
    def header(self) -> str:
        """The name as typed."""
        return self.name.text().strip()

    @property
    def text(self) -> str:
        """The value as typed."""
        return self.value.text().strip()

    @property
    def is_secret(self) -> bool:
        """Whether the value is a secret."""
        return self.secret.isChecked()

    def _on_typed(self) -> None:
        """Hide what looks like a secret before it is complete."""
        must = looks_secret(self.header, self.text)
        self.secret.setEnabled(not must)
        if must:
            self.secret.setChecked(True)
        self.secret.setToolTip(
            "It looks like a secret, so it is kept like one"
            if must
            else "Its value is kept like the key, and not shown"
        )
        self._on_changed()

    def _on_changed(self) -> None:
        self._show_secrecy()
        self.changed.emit()

    def _show_secrecy(self) -> None:
        secret = self.is_secret
        mode = QLineEdit.EchoMode.Password if secret else QLineEdit.EchoMode.Normal
        self.value.setEchoMode(mode)
        self.value.setPlaceholderText(KEPT if secret and self._was_secret else "Value")

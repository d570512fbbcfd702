"""What tokens cost here, rented, and from an API; folded away until somebody asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from m1desk.fit import ASSUMPTION_SOURCES
from m1desk.ui.widgets.calm_fields import decimal_number
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from m1desk.fit import CostPlan
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.fit_panel_cost import CostViewModel


@dataclass(frozen=True, slots=True)
class _Field:
    """An assumption's name for people, and what it may be."""

    name: str
    label: str
    least: float
    most: float
    digits: int = 2


_FIELDS: Final = (
    _Field("hardware_usd", "Price of the machine ($)", 0, 1e7, 0),
    _Field("years", "Years of use", 0.5, 20, 1),
    _Field("resale_share", "Resale (share of it)", 0, 1),
    _Field("busy_watts", "Watts at work", 1, 1e5, 0),
    _Field("idle_watts", "Watts idle", 0, 1e5, 0),
    _Field("on_hours_a_day", "Hours on a day", 0, 24, 1),
    _Field("electricity_usd_kwh", "Electricity ($ a kWh)", 0, 10),
    _Field("rent_usd_hour", "Rent ($ an hour)", 0, 1e4),
    _Field("api_input_usd", "API input ($ a million)", 0, 1e3),
    _Field("api_output_usd", "API output ($ a million)", 0, 1e3),
    _Field("input_tokens_month", "Tokens read a month", 0, 1e12, 0),
    _Field("output_tokens_month", "Tokens written a month", 0, 1e12, 0),
    _Field("prefill_tokens_per_second", "Prefill (tokens/s)", 0.001, 1e7),
    _Field("decode_tokens_per_second", "Decode (tokens/s)", 0.001, 1e6),
    _Field("parallel", "Answers at once", 1, 1000, 0),
)
_PAIRS: Final = 2
_FIELD_WIDTH: Final = 88


class CostPanel(QWidget):
    """A line that unfolds into the sum of three ways, and every assumption to change."""

    def __init__(self, theme: Theme, cost: CostViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._cost = cost
        self._spins: dict[str, QDoubleSpinBox] = {}
        self.toggle = QToolButton()
        self._inner = QWidget()
        self._sums = Paragraph()
        self._rented = QCheckBox("Rent only while it computes")
        self._reset = QPushButton("Usual assumptions")
        self._lay_out()
        self.toggle.toggled.connect(self._on_toggled)
        self._rented.toggled.connect(lambda on: cost.assume("rented_only_when_used", on))
        self._reset.clicked.connect(cost.reset)
        cost.changed.connect(self._refresh)
        self._on_toggled(False)

    @property
    def sums_text(self) -> str:
        """What each way costs, as written."""
        return self._sums.text()

    def field(self, name: str) -> QDoubleSpinBox:
        """The field of an assumption; KeyError for an unknown one."""
        return self._spins[name]

    # -- inside ------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = self._theme.metrics
        self.toggle.setText("Cost: own, rented, API")
        self.toggle.setProperty("kind", "ghost")
        self.toggle.setProperty("flush", True)
        self.toggle.setCheckable(True)
        self.toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        inner = QVBoxLayout(self._inner)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(metrics.space_m)
        inner.addWidget(self._sums)
        inner.addLayout(self._grid())
        self._rented.setToolTip(ASSUMPTION_SOURCES["rented_only_when_used"])
        inner.addWidget(self._rented)
        inner.addWidget(self._reset, alignment=Qt.AlignmentFlag.AlignLeft)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(metrics.space_s)
        layout.addWidget(self.toggle, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._inner)

    def _grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(self._theme.metrics.space_m)
        grid.setVerticalSpacing(self._theme.metrics.space_s)
        for number, field in enumerate(_FIELDS):
            row, pair = divmod(number, _PAIRS)
            spin = decimal_number(
                field.label, field.least, field.most, step=10.0**-field.digits, digits=field.digits
            )
            spin.setFixedWidth(_FIELD_WIDTH)
            spin.setToolTip(ASSUMPTION_SOURCES[field.name])
            spin.valueChanged.connect(lambda value, name=field.name: self._cost.assume(name, value))
            label = Label(field.label, tone="muted")
            label.setToolTip(ASSUMPTION_SOURCES[field.name])
            label.setBuddy(spin)
            grid.addWidget(label, row, 2 * pair)
            grid.addWidget(spin, row, 2 * pair + 1)
            self._spins[field.name] = spin
        grid.setColumnStretch(2 * _PAIRS, 1)
        return grid

    def _on_toggled(self, shown: bool) -> None:  # noqa: FBT001 - a slot of Qt's
        self._inner.setVisible(shown)
        self.toggle.setIcon(self._theme.icon("chevron-down" if shown else "chevron-right"))
        self._refresh()

    def _refresh(self) -> None:
        if self._inner.isHidden():
            return
        given, cost = self._cost.assumptions, self._cost.cost
        if given is None or cost is None:
            self._sums.setText("A model that does not run has no costs to compare.")
            return
        for name, spin in self._spins.items():
            spin.blockSignals(True)
            spin.setValue(getattr(given, name))
            spin.blockSignals(False)
        self._rented.blockSignals(True)
        self._rented.setChecked(given.rented_only_when_used)
        self._rented.blockSignals(False)
        self._reset.setEnabled(self._cost.has_own)
        self._reset.setToolTip("" if self._cost.has_own else "All assumptions are the usual ones.")
        self._sums.setText(cost_text(cost))


def cost_text(cost: CostPlan) -> str:
    """The ways beside each other, a line each."""
    own = f"Your own: ${cost.own:,.2f} a month (of it energy ${cost.own_energy:,.2f})"
    lines = [
        f"{own}, ${cost.own_per_million:,.2f} a million tokens",
        f"Rented: ${cost.rent:,.2f} a month, ${cost.rent_per_million:,.2f} a million tokens",
        f"API: ${cost.api:,.2f} a month, ${cost.api_per_million:,.2f} a million tokens",
        f"Against the API, {_paid(cost.break_even_months_api)}.",
        f"Against rent, {_paid(cost.break_even_months_rent)}.",
    ]
    hours = f"It computes {cost.busy_hours_month:,.0f} hours a month."
    lines.append(hours if cost.possible else f"{hours} A month has not so many.")
    return "\n".join(lines)


def _paid(months: float | None) -> str:
    return f"your own pays off after {months:,.0f} months" if months else "your own never pays off"

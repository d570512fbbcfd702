"""What tokens would cost with the selected plan; every assumption can be another."""

from __future__ import annotations

from dataclasses import fields, replace

from PySide6.QtCore import QObject, Signal

from m1desk.fit import CostAssumptions, CostPlan, FitPlan, assumptions_for, plan_cost


class CostViewModel(QObject):
    """Keeps what the user assumes instead, while plans come and go.

    Signals:
        changed: other assumptions, or none (read `assumptions`, `cost`).
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._plan: FitPlan | None = None
        self._own: dict[str, float | bool] = {}

    @property
    def assumptions(self) -> CostAssumptions | None:
        """What the sum rests on; None without a plan, or where the model does not run at all."""
        if self._plan is None or self._plan.verdict == "does_not_fit":
            return None
        return replace(assumptions_for(self._plan), **self._own)  # type: ignore[arg-type]  # checked in `assume`

    @property
    def cost(self) -> CostPlan | None:
        """What each way costs."""
        given = self.assumptions
        return plan_cost(given) if given is not None else None

    @property
    def has_own(self) -> bool:
        """Whether the user assumed anything else than usual."""
        return bool(self._own)

    def show_plan(self, plan: FitPlan | None) -> None:
        """Take the speeds and the machine of another plan."""
        self._plan = plan
        self.changed.emit()

    def assume(self, name: str, value: float | bool) -> None:  # noqa: FBT001 - a field's value
        """Assume something else; KeyError for a name `CostAssumptions` does not have."""
        if name not in {field.name for field in fields(CostAssumptions)}:
            raise KeyError(name)
        self._own[name] = value
        self.changed.emit()

    def reset(self) -> None:
        """Assume what is usual."""
        self._own.clear()
        self.changed.emit()

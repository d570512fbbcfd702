"""The dialog that loads a checkpoint with vLLM: the engine, the choices, and what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QPushButton, QVBoxLayout

from m1desk.models import checkpoint_name
from m1desk.ui.units import bytes_text, context_text, short_count
from m1desk.ui.widgets.checkpoint_options import CheckpointOptions
from m1desk.ui.widgets.label import Paragraph
from m1desk.ui.widgets.load_frame import LoadFrame

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from m1desk.engines import CheckpointOffer, VllmPlan, VllmSettings
    from m1desk.errors import M1DeskError
    from m1desk.models import SafetensorsModel
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme

_CALM_MS: Final = 200
"""After the last change of a choice, until it is asked what it means."""
_SETTING_UP: Final = (
    "vLLM runs this kind of model, in an environment of its own. Set one up under Servers, Engines."
)


class CheckpointDialog(LoadFrame):
    """Opens at once; what can be chosen, and what a choice means, come in later.

    Signals:
        plan_wished: environment (str) and ServeWish, to be answered by `show_plan` or
            `show_refusal`.
        engines_wished: an engine is to be set up.
    """

    plan_wished = Signal(str, object)
    engines_wished = Signal()

    def __init__(
        self, theme: Theme, folder: Path, defaults: AppSettings, parent: QWidget | None = None
    ) -> None:
        self.options = CheckpointOptions(theme, defaults)
        super().__init__(theme, self.options.context, parent)
        self._folder = folder
        self._offer: CheckpointOffer | None = None
        self._plan: VllmPlan | None = None
        self._plan_card = QFrame()
        self._plan_card.setProperty("card", True)
        self._what = Paragraph()
        self._engines = QPushButton("Set up an engine…")
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_CALM_MS)
        self._calm.timeout.connect(self._ask)
        self._add_parts()
        self.options.changed.connect(self._on_changed)
        self.set_folder(folder)

    @property
    def folder(self) -> Path:
        """The folder in question."""
        return self._folder

    @property
    def plan_text(self) -> str:
        """What the choices mean, "" while that is not known."""
        return self._what.text() if self._plan is not None else ""

    @property
    def engines_button(self) -> QPushButton:
        """Leads to where engines are set up; shown where none will do."""
        return self._engines

    def chosen(self) -> VllmSettings | None:
        """The choices as they were planned."""
        return None if self._plan is None else self._plan.settings

    def set_folder(self, folder: Path) -> None:
        """Turn to another folder; what can be chosen will follow."""
        self._folder = folder
        self._offer = None
        self.name_model(checkpoint_name(folder), folder)
        self.show_facts(())
        self._show_parts(chosen=False, missing=False)
        self.show_problem("Looking at the folder …", is_wait=True)

    def show_offer(self, offer: CheckpointOffer) -> None:
        """Show what can be chosen."""
        self._offer = offer
        self.show_facts(_facts(offer.model))
        self.options.show_offer(offer)
        if offer.best:
            self._show_parts(chosen=True, missing=False)
            self._ask()
        else:
            self._show_parts(chosen=False, missing=True)
            self.show_problem("\n".join(part for part in (_SETTING_UP, offer.problem) if part))

    def show_plan(self, plan: VllmPlan) -> None:
        """Show what the choices mean."""
        self._plan = plan
        self._what.setText("\n".join(plan.reasons))
        self._plan_card.show()
        self.show_problem("")

    def show_refusal(self, error: M1DeskError) -> None:
        """Say why the folder, or what was chosen, can't be loaded."""
        self._plan = None
        self._plan_card.hide()
        self.show_problem("\n".join(part for part in (error.what, error.why, error.todo) if part))

    # -- inside ------------------------------------------------------------------------------------

    def _add_parts(self) -> None:
        metrics = self._theme.metrics
        inner = QVBoxLayout(self._plan_card)
        inner.setContentsMargins(metrics.space_l, metrics.space_m, metrics.space_l, metrics.space_m)
        inner.addWidget(self._what)
        self._engines.setAutoDefault(False)
        self._engines.clicked.connect(self._on_engines)
        self.middle.addWidget(self.options)
        self.middle.addWidget(self._plan_card)
        self.middle.addWidget(self._engines, alignment=Qt.AlignmentFlag.AlignLeft)

    def _show_parts(self, *, chosen: bool, missing: bool) -> None:
        self._plan = None
        self._plan_card.hide()
        self.options.setVisible(chosen)
        self._engines.setVisible(missing)

    def _on_changed(self) -> None:
        if self._offer is not None:
            self._plan = None
            self.show_problem("Looking whether that fits …", is_wait=True)
            self._calm.start()

    def _ask(self) -> None:
        self._calm.stop()
        self._plan = None
        self.show_problem("Looking whether that fits …", is_wait=True)
        self.plan_wished.emit(self.options.environment, self.options.wish)

    def _on_engines(self) -> None:
        self.reject()
        self.engines_wished.emit()


def _facts(model: SafetensorsModel) -> list[tuple[str, str]]:
    count = short_count(model.parameter_count) if model.parameter_count else "not stated"
    if model.expert_count:
        count = f"{count} · {model.expert_used_count} of {model.expert_count} experts"
    context = context_text(model.context_tokens) if model.context_tokens else "not stated"
    return [
        ("Architecture", model.architecture or "not stated"),
        ("Parameters", count),
        ("Stored as", model.quantization_method or model.dtype or "not stated"),
        ("Size", bytes_text(model.size_bytes)),
        ("Trained context", context),
    ]

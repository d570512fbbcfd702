"""The choices for loading a checkpoint with vLLM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from m1desk.engines import ServeWish
from m1desk.ui.widgets.calm_fields import add_choice, choice, whole_number
from m1desk.ui.widgets.file_field import FileField
from m1desk.ui.widgets.load_context import ContextField
from m1desk.ui.widgets.load_form import FIELD_WIDTH, AdvancedPart, load_form, load_label

if TYPE_CHECKING:
    from PySide6.QtWidgets import QComboBox

    from m1desk.engines import CheckpointOffer, EnvironmentOffer
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme

_KV_TYPES: Final = (("auto", "16 bits · exact"), ("fp8", "fp8 · half the memory"))
_WEIGHTS: Final = (
    (None, "As stored where they fit"),
    ("bf16", "As stored"),
    ("experts_int8", "Experts in 8 bits"),
)
_MOST_PARALLEL: Final = 256
_TEMPLATES: Final = "Chat templates (*.jinja *.jinja2 *.j2 *.txt)"


class CheckpointOptions(QWidget):
    """Says which environment, and makes a `ServeWish` of the rest.

    Signals:
        changed: something was chosen.
    """

    changed = Signal()

    def __init__(self, theme: Theme, defaults: AppSettings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._defaults = defaults
        self._environments: dict[str, EnvironmentOffer] = {}
        self._environment = choice("Engine", ())
        self.context = ContextField(theme)
        self._parallel = whole_number("Requests served at once", 1, _MOST_PARALLEL)
        self._devices = whole_number("GPUs", 0, 1)
        self._devices.setSpecialValueText("As many as help")
        self._kv_type = choice("Type of the KV cache", _KV_TYPES)
        self._weights = choice("Weights", _WEIGHTS)
        self._template = FileField(theme, "Chat template", _TEMPLATES)
        self._template.field.setPlaceholderText("The model's own")
        self._form = load_form(theme)
        self._advanced = AdvancedPart(theme)
        self._has_experts = False
        self._lay_out(theme)
        self._parallel.setValue(defaults.default_parallel)
        self._connect()

    @property
    def environment_field(self) -> QComboBox:
        """The environments; those that can't run the model are disabled and say why."""
        return self._environment

    @property
    def environment(self) -> str:
        """Name of the environment that is chosen, "" for none."""
        return str(self._environment.currentData() or "")

    @property
    def template_field(self) -> FileField:
        """A file in place of the model's own chat template."""
        return self._template

    @property
    def wish(self) -> ServeWish:
        """The other choices."""
        return ServeWish(
            context_tokens=self.context.tokens,
            parallel=self._parallel.value(),
            quantization=self._weights.currentData() if self._has_experts else None,
            kv_type="auto" if self._on_processors else self._kv_type.currentData(),
            devices=self._devices.value() or None,
            chat_template=Path(self._template.path) if self._template.path else None,
        )

    def show_offer(self, offer: CheckpointOffer) -> None:
        """Limit the choices to what there is."""
        self.blockSignals(True)
        self._environments = {one.name: one for one in offer.environments}
        self._show_environments(offer)
        self.context.set_most(offer.model.context_tokens)
        self.context.set_tokens(self._defaults.default_context_tokens)
        self._devices.setMaximum(max(1, offer.gpus))
        self._has_experts = offer.model.expert_count > 0 and not offer.model.quantization
        self._show_rows()
        self.blockSignals(False)

    # -- inside ------------------------------------------------------------------------------------

    @property
    def _on_processors(self) -> bool:
        chosen = self._environments.get(self.environment)
        return chosen is not None and chosen.on_processors

    def _show_environments(self, offer: CheckpointOffer) -> None:
        field = self._environment
        field.blockSignals(True)
        field.clear()
        for one in offer.environments:
            add_choice(field, one.name, _environment_text(one), one.refusal)
        field.setCurrentIndex(field.findData(offer.best) if offer.best else -1)
        field.blockSignals(False)

    def _show_rows(self) -> None:
        on_gpus = not self._on_processors
        form = self._advanced.form
        form.setRowVisible(self._kv_type, on_gpus)
        form.setRowVisible(self._weights, on_gpus and self._has_experts)
        form.setRowVisible(self._devices, on_gpus and self._devices.maximum() > 1)

    def _lay_out(self, theme: Theme) -> None:
        self._form.addRow(load_label("Engine"), self._environment)
        self._form.addRow(load_label("Context length"), self.context)
        inner = self._advanced.form
        inner.addRow(load_label("Parallel requests"), self._parallel)
        inner.addRow(load_label("GPUs"), self._devices)
        inner.addRow(load_label("KV cache type"), self._kv_type)
        inner.addRow(load_label("Weights"), self._weights)
        inner.addRow(load_label("Chat template"), self._template)
        for field in (self._parallel, self._devices, self._kv_type, self._weights):
            field.setFixedWidth(FIELD_WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.metrics.space_m)
        layout.addLayout(self._form)
        layout.addWidget(self._advanced)

    def _connect(self) -> None:
        self._environment.currentIndexChanged.connect(self._on_environment)
        self.context.changed.connect(self.changed)
        self._template.changed.connect(self.changed)
        for spin in (self._parallel, self._devices):
            spin.valueChanged.connect(self.changed)
        for box in (self._kv_type, self._weights):
            box.currentIndexChanged.connect(self.changed)

    def _on_environment(self) -> None:
        self._show_rows()
        self.changed.emit()


def _environment_text(one: EnvironmentOffer) -> str:
    if not one.version:
        return f"{one.name} · can't be used"
    where = " · on the processor" if one.on_processors else ""
    unfit = " · not for this model" if one.refusal else ""
    return f"{one.name} · vLLM {one.version}{where}{unfit}"

"""The choices for loading a model: context length, parallel requests, and what is advanced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from m1desk.engines.status import LlamaSettings
from m1desk.fit import expert_layers
from m1desk.ui.widgets.calm_fields import choice, whole_number
from m1desk.ui.widgets.load_context import ContextField
from m1desk.ui.widgets.load_form import FIELD_WIDTH, AdvancedPart, load_form, load_label

if TYPE_CHECKING:
    from pathlib import Path

    from m1desk.models import GgufHeader
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme

_KV_TYPES: Final = (
    ("f16", "f16 · exact"),
    ("q8_0", "q8_0 · about half the memory"),
    ("q4_0", "q4_0 · about a quarter, less exact"),
)
_SWITCH: Final = ((None, "Automatic"), (True, "On"), (False, "Off"))
_MOST_PARALLEL: Final = 16


class LoadOptions(QWidget):
    """Makes `LlamaSettings` of what is chosen.

    Signals:
        changed: something was chosen.
    """

    changed = Signal()

    def __init__(
        self, theme: Theme, defaults: AppSettings, *, has_gpu: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._has_gpu = has_gpu
        self.context = ContextField(theme)
        self._parallel = whole_number("Requests served at once", 1, _MOST_PARALLEL)
        self._gpu_layers = whole_number("Layers on the GPU", -1, 999)
        self._gpu_layers.setSpecialValueText("All")
        self._cpu_experts = whole_number(
            "Layers whose experts stay in main memory", 0, 999, suffix=" layers"
        )
        self._cpu_experts.setSpecialValueText("None")
        self._layers = 0
        self._kv_type = choice("Type of the KV cache", _KV_TYPES)
        self._flash = choice("Flash attention", _SWITCH)
        self._threads = whole_number("Processor threads", 0, 512)
        self._threads.setSpecialValueText("Automatic (measured)")
        self._ubatch = whole_number("Prefill batch in tokens", 32, 4096)
        self._ubatch.setSingleStep(128)
        self._form = load_form(theme)
        self._advanced = AdvancedPart(theme)
        self._numbers = (
            self._parallel,
            self._gpu_layers,
            self._cpu_experts,
            self._threads,
            self._ubatch,
        )
        self._lay_out()
        self._take(defaults)
        self._connect()

    @property
    def problem(self) -> str:
        """Why these choices don't go together, "" when they do."""
        if self._kv_type.currentData() != "f16" and self._flash.currentData() is False:
            return "A quantized KV cache needs flash attention. Set it to Automatic or On."
        return ""

    def show_header(self, header: GgufHeader, default_context: int) -> None:
        """Limit the choices to what the model allows."""
        self.context.set_most(header.context_tokens)
        self.context.set_tokens(default_context)
        self._layers = header.block_count
        self._gpu_layers.setMaximum(self._layers + 1)
        has_experts = self._has_gpu and header.expert_count > 0
        self._cpu_experts.setMaximum(self._layers if has_experts else 0)
        self._form.setRowVisible(self._cpu_experts, has_experts)

    def settings(self, path: Path) -> LlamaSettings:
        """Put the choices together."""
        return LlamaSettings(
            model_path=path,
            context_tokens=self.context.tokens,
            parallel=self._parallel.value(),
            gpu_layers=self._gpu_layers.value() if self._has_gpu else 0,
            kv_type=self._kv_type.currentData(),
            ubatch_tokens=self._ubatch.value(),
            threads=self._threads.value() or None,
            flash_attention=self._flash.currentData(),
            cpu_expert_layers=expert_layers(self._cpu_experts.value(), self._layers),
        )

    def _lay_out(self) -> None:
        form = self._form
        form.addRow(load_label("Context length"), self.context)
        if self._has_gpu:
            form.addRow(load_label("GPU layers"), self._gpu_layers)
        form.addRow(load_label("Experts in RAM"), self._cpu_experts)
        form.setRowVisible(self._cpu_experts, False)
        inner = self._advanced.form
        inner.addRow(load_label("Parallel requests"), self._parallel)
        inner.addRow(load_label("KV cache type"), self._kv_type)
        inner.addRow(load_label("Flash attention"), self._flash)
        inner.addRow(load_label("Threads"), self._threads)
        inner.addRow(load_label("Prefill batch"), self._ubatch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(self._theme.metrics.space_m)
        layout.addLayout(form)
        layout.addWidget(self._advanced)
        for field in self._numbers:
            field.setFixedWidth(FIELD_WIDTH)
        for box in (self._kv_type, self._flash):
            box.setFixedWidth(FIELD_WIDTH)

    def _take(self, defaults: AppSettings) -> None:
        self.context.set_tokens(defaults.default_context_tokens)
        self._parallel.setValue(defaults.default_parallel)
        self._gpu_layers.setValue(defaults.default_gpu_layers)
        self._kv_type.setCurrentIndex(max(0, self._kv_type.findData(defaults.default_kv_type)))
        self._ubatch.setValue(512)

    def _connect(self) -> None:
        self.context.changed.connect(self.changed)
        for spin in self._numbers:
            spin.valueChanged.connect(self.changed)
        for box in (self._kv_type, self._flash):
            box.currentIndexChanged.connect(self.changed)

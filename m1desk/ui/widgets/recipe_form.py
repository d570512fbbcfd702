"""What is asked of a cluster: the model, its context, the machines, and what runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFormLayout, QFrame, QLineEdit, QVBoxLayout, QWidget

from m1desk.recipes import TARGETS, ClusterWish, RecipeOptions
from m1desk.ui.viewmodels.recipes import ClusterQuestion
from m1desk.ui.widgets.calm_fields import choice, free_choice, whole_number
from m1desk.ui.widgets.label import Label, Paragraph

if TYPE_CHECKING:
    from m1desk.ui.theme import Theme

TARGET_WORDS: Final = {
    "shell": "Shell scripts",
    "ray": "Shell scripts with Ray",
    "compose": "Docker Compose",
    "kubernetes": "Kubernetes",
    "production-stack": "Kubernetes, production stack",
    "slurm": "Slurm",
    "skypilot": "SkyPilot",
}
_USUAL_GPU: Final = "H100"
_USUAL_MODEL: Final = "MiniMax-M1-80k"
_MOST_TOKENS: Final = 100_000_000


class RecipeForm(QFrame):
    """Tells of each change; a model's name counts when its field is left.

    Signals:
        changed: something else is asked.
    """

    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._metrics = theme.metrics
        self.setProperty("panel", True)
        self.model, self.model_line = free_choice("Model", [], "A name, or owner/name at the Hub")
        self.context = whole_number("Context length", 1024, _MOST_TOKENS, step=16_384)
        self.parallel = whole_number("Requests at once", 1, 4096)
        self.nodes = whole_number("Nodes", 1, 64)
        self.gpus = whole_number("GPUs of each node", 1, 16)
        self.gpu = choice("Kind of GPU", [])
        self.target = choice("What runs it", [(one, TARGET_WORDS[one]) for one in TARGETS])
        self.host = QLineEdit(RecipeOptions().host)
        self.host.setAccessibleName("Host")
        usual = ClusterWish()
        self.context.setValue(usual.context_tokens)
        self.parallel.setValue(usual.parallel)
        self.nodes.setValue(2)
        self.gpus.setValue(8)
        self._model = ""
        self._lay_out()
        self._connect()

    @property
    def question(self) -> ClusterQuestion | None:
        """What is asked; None while there is too little to ask."""
        if not self._model or self.gpu.currentData() is None:
            return None
        return ClusterQuestion(
            model=self._model,
            nodes=self.nodes.value(),
            gpus=self.gpus.value(),
            gpu=self.gpu.currentData(),
            target=self.target.currentData(),
            wish=ClusterWish(self.context.value(), self.parallel.value()),
            options=RecipeOptions(host=self.host.text().strip()),
        )

    def offer(self, models: tuple[str, ...], gpus: tuple[str, ...]) -> None:
        """Offer these to choose from, and begin with the usual ones."""
        for field, names, usual in (
            (self.model, models, _USUAL_MODEL),
            (self.gpu, gpus, _USUAL_GPU),
        ):
            field.blockSignals(True)
            for name in names:
                field.addItem(name, name)
            field.setCurrentIndex(max(0, field.findData(usual)))
            field.blockSignals(False)
        self._on_model()

    def _lay_out(self) -> None:
        metrics = self._metrics
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.setVerticalSpacing(metrics.space_s)
        for field in (
            self.model,
            self.context,
            self.parallel,
            self.nodes,
            self.gpus,
            self.gpu,
            self.target,
            self.host,
        ):
            label = Label(field.accessibleName(), tone="muted")
            label.setBuddy(field)
            form.addRow(label, field)
        self.context.setSuffix(" tokens")
        self.model.setMinimumContentsLength(16)
        note = Paragraph("The name that clients reach it by. More: m1desk recipe.", tone="caption")
        layout = QVBoxLayout(self)
        space = metrics.space_m
        layout.setContentsMargins(space, space, space, space)
        layout.addLayout(form)
        layout.addWidget(note)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.model_line.editingFinished.connect(self._on_model)
        self.model.activated.connect(lambda _index: self._on_model())
        for number in (self.context, self.parallel, self.nodes, self.gpus):
            number.valueChanged.connect(lambda _value: self.changed.emit())
        for one in (self.gpu, self.target):
            one.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.host.editingFinished.connect(self.changed)

    def _on_model(self) -> None:
        self._model = self.model.currentText().strip()
        self.changed.emit()

"""The dialog that loads a GGUF file: what it holds, the choices, and the memory they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m1desk.fit import estimate_memory
from m1desk.ui.units import bytes_text, context_text, short_count
from m1desk.ui.viewmodels.model_entries import model_title
from m1desk.ui.widgets.load_estimate import EstimatePanel
from m1desk.ui.widgets.load_frame import LoadFrame
from m1desk.ui.widgets.load_options import LoadOptions

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QWidget

    from m1desk.engines.status import LlamaSettings
    from m1desk.fit import FreeMemory
    from m1desk.models import GgufHeader
    from m1desk.store import AppSettings
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.model_entries import FileReport


class LoadDialog(LoadFrame):
    """Opens at once; the file's report and the free memory come in later."""

    def __init__(
        self,
        theme: Theme,
        path: Path,
        defaults: AppSettings,
        *,
        has_gpu: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        self.options = LoadOptions(theme, defaults, has_gpu=has_gpu)
        super().__init__(theme, self.options.context, parent)
        self._path = path
        self._defaults = defaults
        self._report: FileReport | None = None
        self._free: FreeMemory | None = None
        self.estimate = EstimatePanel(theme)
        self.middle.addWidget(self.options)
        self.middle.addWidget(self.estimate)
        self.options.changed.connect(self._update)
        self.set_path(path)

    @property
    def path(self) -> Path:
        """The file in question."""
        return self._path

    def chosen(self) -> LlamaSettings | None:
        """The choices, once the file was looked into."""
        return None if self._report is None else self.options.settings(self._report.path)

    def set_path(self, path: Path) -> None:
        """Turn to another file, whose report will follow."""
        self._path = path
        self._report = None
        self.name_model(model_title(path), path)
        self._update()

    def show_report(self, report: FileReport) -> None:
        """Show what looking into the file gave."""
        self._report = report
        if report.header is not None:
            self.options.show_header(report.header, self._defaults.default_context_tokens)
        self._update()

    def show_free(self, free: FreeMemory) -> None:
        """Show how much memory is free now."""
        self._free = free
        self._update()

    # -- inside ------------------------------------------------------------------------------------

    def _update(self) -> None:
        report = self._report
        header = report.header if report else None
        error = report.error if report else None
        usable = header is not None and error is None
        self.show_facts(_facts(header) if header is not None else ())
        self.options.setVisible(usable)
        self.estimate.setVisible(usable)
        problem = self.options.problem if usable else ""
        if error is not None:
            problem = "\n".join(part for part in (error.what, error.why, error.todo) if part)
        if report is None:
            self.show_problem("Reading the file …", is_wait=True)
        else:
            self.show_problem(problem)
        self._load.setText("Load")
        if usable and header is not None and report is not None:
            needs = estimate_memory(header, self.options.settings(report.path))
            if self.estimate.show_estimate(needs, self._free) == "too_big":
                self._load.setText("Load anyway")


def _facts(header: GgufHeader) -> list[tuple[str, str]]:
    count = short_count(header.parameter_count)
    if header.expert_count:
        experts = f"{header.expert_used_count} of {header.expert_count} experts"
        count = f"{count} · {experts}"
    context = context_text(header.context_tokens) if header.context_tokens else "not stated"
    return [
        ("Architecture", header.architecture or "not stated"),
        ("Parameters", count),
        ("Quantization", header.file_type_name),
        ("Size", bytes_text(header.size_bytes)),
        ("Trained context", context),
    ]

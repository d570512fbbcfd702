"""The load dialog: what the file holds, what loading it takes, and why it can't be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSpinBox, QToolButton

from m1desk.engines import LlamaSettings
from m1desk.fit import FreeMemory
from m1desk.store import AppSettings
from m1desk.ui.viewmodels.model_entries import inspect_file
from m1desk.ui.widgets.load_dialog import LoadDialog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme

GIB = 1 << 30
TRAINED = 4096  # of the tiny models (tokens)


@pytest.fixture
def open_dialog(theme: Theme, qtbot: QtBot) -> Callable[..., LoadDialog]:
    def open_for(path: Path, defaults: AppSettings | None = None, **options: bool) -> LoadDialog:
        dialog = LoadDialog(theme, path, defaults or AppSettings(), **options)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return open_for


def texts(dialog: LoadDialog) -> str:
    return " ".join(label.text() for label in dialog.findChildren(QLabel) if label.isVisible())


def test_it_opens_before_the_file_was_read(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path
) -> None:
    dialog = open_dialog(tiny_minimax)
    assert not dialog.load_button.isEnabled()
    assert dialog.load_button.toolTip() == "Reading the file …"


def test_it_says_what_the_file_holds(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path
) -> None:
    dialog = open_dialog(tiny_minimax)
    dialog.show_report(inspect_file(tiny_minimax))
    shown = texts(dialog)
    for word in ("minimax-01", "of 4 experts", "F32", "4K", "MiB"):
        assert word in shown
    assert dialog.load_button.isEnabled()


def test_load_gives_the_settings_that_were_chosen(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path, qtbot: QtBot
) -> None:
    dialog = open_dialog(tiny_minimax, AppSettings(default_context_tokens=2048))
    dialog.show_report(inspect_file(tiny_minimax))
    dialog.options.context.set_tokens(1024)
    with qtbot.waitSignal(dialog.load_wished) as wished:
        qtbot.mouseClick(dialog.load_button, Qt.MouseButton.LeftButton)
    assert wished.args is not None
    assert wished.args[0] == LlamaSettings(tiny_minimax, context_tokens=1024, gpu_layers=0)


def test_the_context_is_never_zero_and_never_above_what_was_trained(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path
) -> None:
    dialog = open_dialog(tiny_minimax, AppSettings(default_context_tokens=1_000_000))
    dialog.show_report(inspect_file(tiny_minimax))
    assert dialog.options.context.tokens == TRAINED
    dialog.options.context.set_tokens(0)
    assert dialog.options.context.tokens == 256


def test_too_little_memory_warns_and_still_lets_load(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path
) -> None:
    dialog = open_dialog(tiny_minimax)
    dialog.show_report(inspect_file(tiny_minimax))
    dialog.show_free(FreeMemory(1 << 20))
    assert dialog.estimate.verdict_text.startswith("Needs more than is free now")
    assert dialog.load_button.isEnabled()
    assert dialog.load_button.text() == "Load anyway"
    dialog.show_free(FreeMemory(64 * GIB))
    assert dialog.load_button.text() == "Load"


def test_a_truncated_file_says_so_and_can_not_be_loaded(
    open_dialog: Callable[..., LoadDialog], tiny_llama: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_llama.read_bytes()[:100_000])
    dialog = open_dialog(broken)
    dialog.show_report(inspect_file(broken))
    assert "broken.gguf" in dialog.problem_text
    assert not dialog.load_button.isEnabled()
    assert dialog.load_button.toolTip() == dialog.problem_text


def test_an_unknown_architecture_is_told_before_loading(
    open_dialog: Callable[..., LoadDialog], tiny_llama: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.gguf"
    # The same length, so that everything else in the file stays where it is.
    foreign.write_bytes(tiny_llama.read_bytes().replace(b"llama", b"lambx"))
    dialog = open_dialog(foreign)
    dialog.show_report(inspect_file(foreign))
    assert "lambx" in dialog.problem_text
    assert not dialog.load_button.isEnabled()


def test_a_quantized_cache_without_flash_attention_is_refused_with_the_reason(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path
) -> None:
    dialog = open_dialog(tiny_minimax, AppSettings(default_kv_type="q8_0"))
    dialog.show_report(inspect_file(tiny_minimax))
    flash = next(
        box
        for box in dialog.options.findChildren(type(dialog.options._flash))
        if box.accessibleName() == "Flash attention"
    )
    flash.setCurrentText("Off")
    assert "needs flash attention" in dialog.problem_text
    assert not dialog.load_button.isEnabled()
    flash.setCurrentText("On")
    assert dialog.load_button.isEnabled()


def test_layers_on_the_gpu_are_asked_only_where_there_is_one(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path
) -> None:
    for has_gpu in (True, False):
        dialog = open_dialog(tiny_minimax, has_gpu=has_gpu)
        dialog.show_report(inspect_file(tiny_minimax))
        assert ("GPU layers" in texts(dialog)) is has_gpu


def test_experts_in_main_memory_are_asked_only_of_a_mixture_beside_a_gpu(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path, tiny_llama: Path
) -> None:
    for path, has_gpu in ((tiny_minimax, True), (tiny_minimax, False), (tiny_llama, True)):
        dialog = open_dialog(path, has_gpu=has_gpu)
        dialog.show_report(inspect_file(path))
        asked = path == tiny_minimax and has_gpu
        assert ("Experts in RAM" in texts(dialog)) is asked
        spin = next(
            spin
            for spin in dialog.options.findChildren(QSpinBox)
            if spin.accessibleName() == "Layers whose experts stay in main memory"
        )
        spin.setValue(2)
        layers = dialog.options.settings(path).cpu_expert_layers
        assert layers == ((1, 3) if asked else ())


def test_advanced_settings_wait_until_they_are_asked_for(
    open_dialog: Callable[..., LoadDialog], tiny_minimax: Path
) -> None:
    dialog = open_dialog(tiny_minimax)
    dialog.show_report(inspect_file(tiny_minimax))
    assert "Threads" not in texts(dialog)
    next(b for b in dialog.findChildren(QToolButton) if b.text() == "Advanced").click()
    assert "Threads" in texts(dialog)

"""Discover: the catalog and the Hub, what fits which machine, and where the list leads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QComboBox, QSlider
from support.hub_server import HubServer

from m1desk.cli.commands import run_command_line
from m1desk.fit import Wished, fitted_efficiencies, load_machine
from m1desk.hardware import probe_machine
from m1desk.models import Hub, HubSettings
from m1desk.ui.pages.discover import DiscoverPage
from m1desk.ui.viewmodels.discover_machine import PlannedMachine
from m1desk.ui.viewmodels.discover_parts import DiscoverParts
from m1desk.ui.widgets.variant_table import DECODE, DOWNLOAD, LONGEST, SIZE, VERDICT

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

SLOW = 60_000
GIB = 1 << 30
M1, QWEN, UNKNOWN = "catalog:minimax-m1-80k", "catalog:qwen3-8b", "catalog:gpt-oss-20b"


@pytest.fixture
def parts(bridge: Bridge, hub_server: HubServer) -> DiscoverParts:
    """Discover's view models; this computer is a laptop with 16 GB."""
    here = PlannedMachine(load_machine("laptop-16"), fitted_efficiencies())
    return DiscoverParts(bridge, lambda: Hub(HubSettings(hub_server.endpoint)), lambda _m: here)


@pytest.fixture
def page(theme: Theme, parts: DiscoverParts, qtbot: QtBot) -> DiscoverPage:
    """The page, open, with the catalog and the presets read."""
    made = DiscoverPage(theme, parts)
    qtbot.addWidget(made)
    made.resize(1100, 800)
    made.show()
    settle(parts, qtbot)
    qtbot.waitUntil(lambda: len(parts.machines.choices) > 1, timeout=SLOW)
    return made


def settle(parts: DiscoverParts, qtbot: QtBot) -> None:
    variants = parts.variants
    qtbot.waitUntil(
        lambda: variants.state not in {"none", "loading"} and not variants.is_planning,
        timeout=SLOW,
    )


def show(page: DiscoverPage, parts: DiscoverParts, key: str, machine: str, qtbot: QtBot) -> None:
    parts.machines.choose(machine)
    page.list.select(key)
    settle(parts, qtbot)


def texts(page: DiscoverPage, column: int) -> dict[str, str]:
    """What a column of the variants says, by variant."""
    model = page.pane.table.model()
    return {
        model.index(row, 0).data(): model.index(row, column).data()
        for row in range(model.rowCount())
    }


def test_it_opens_with_the_catalogs_first_model_and_all_its_variants(
    page: DiscoverPage, parts: DiscoverParts
) -> None:
    assert [entry.title for entry in parts.list.entries][:2] == ["MiniMax-M1-80k", "MiniMax-M1-40k"]
    sizes = texts(page, SIZE)
    assert sizes["Q4_K_M"] == "257.9 GiB"
    assert next(iter(sizes)) == "BF16"


def test_until_the_computer_is_known_nothing_is_claimed(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    assert page.pane.machine.about == "Looking at this computer…"
    assert texts(page, VERDICT)["Q4_K_M"] == "…"
    assert "Waiting" in page.pane.fit.verdict_text
    parts.machines.use_probe(probe_machine(()))
    qtbot.waitUntil(lambda: parts.machines.current is not None, timeout=SLOW)
    settle(parts, qtbot)
    assert page.pane.machine.about == ""
    assert texts(page, VERDICT)["Q4_K_M"] != "…"


def test_a_preset_says_what_the_command_line_says(
    page: DiscoverPage,
    parts: DiscoverParts,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    qtbot: QtBot,
) -> None:
    show(page, parts, M1, "strix-halo-128", qtbot)
    page.pane.controls.context.set_tokens(131_072)
    settle(parts, qtbot)
    line = "fit MiniMax-M1-80k --machine strix-halo-128 --context 131072 --json"
    assert run_command_line(line.split()) == 0
    told = json.loads(capsys.readouterr().out)["variants"]
    plans = [parts.variants.plan_of(number) for number in range(len(told))]
    shown = [plan.to_json() | {"reasons": 0} for plan in plans if plan is not None]
    assert shown == [one | {"reasons": 0} for one in told]


def test_the_slider_changes_verdicts_and_bars(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, QWEN, "rtx-5090-x1", qtbot)
    slider = page.pane.controls.context.findChild(QSlider)
    assert isinstance(slider, QSlider)
    parts.variants.select_named("BF16")
    slider.setValue(slider.minimum())
    settle(parts, qtbot)
    short = next(bar.used for bar in page.pane.fit.bars.bars)
    assert texts(page, VERDICT)["BF16"] == "Fits on the GPU"
    slider.setValue(slider.maximum())
    settle(parts, qtbot)
    assert next(bar.used for bar in page.pane.fit.bars.bars) > short + GIB
    parts.machines.choose("laptop-16")
    settle(parts, qtbot)
    assert texts(page, VERDICT)["BF16"] != "Fits on the GPU"
    assert texts(page, LONGEST)["Q4_K_M"] != "–"


def test_where_it_does_not_fit_a_button_makes_the_nearest_change(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, M1, "strix-halo-128", qtbot)
    parts.variants.select_named("IQ1_S")
    page.pane.controls.context.set_tokens(1_000_000)
    settle(parts, qtbot)
    plan = parts.variants.selected_plan
    assert plan is not None
    assert plan.verdict != "fits_gpu"
    labels = {chip.text(): chip for chip in page.pane.fit.chips}
    assert "Take a q8_0 KV cache" in labels
    labels["Take a q8_0 KV cache"].click()
    settle(parts, qtbot)
    assert page.pane.controls.kv_type.currentData() == "q8_0"
    assert parts.variants.selected_plan is not None
    assert parts.variants.selected_plan.verdict == "fits_gpu"
    assert page.pane.fit.chips == ()


def test_another_variant_is_proposed_and_taken(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, M1, "strix-halo-128", qtbot)
    (chip,) = page.pane.fit.chips
    assert chip.text().startswith("Take I")
    chip.click()
    settle(parts, qtbot)
    assert parts.variants.selected_row is not None
    assert chip.text() == f"Take {parts.variants.selected_row.name}"
    assert page.pane.fit.verdict_text == "Fits on the GPU"
    assert page.pane.table.currentIndex().row() == parts.variants.selected


def test_reasons_and_times_are_written_out(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, QWEN, "rtx-5090-x1", qtbot)
    assert "All of it lies on the GPU" in page.pane.fit.reasons_text
    before = page.pane.fit.times_text
    assert before.startswith("first token after")
    page.pane.fit.input_tokens.setValue(32_000)
    settle(parts, qtbot)
    assert page.pane.fit.times_text != before


def test_the_filter_narrows_and_asks_nobody(
    page: DiscoverPage, parts: DiscoverParts, hub_server: HubServer
) -> None:
    page.list.search.setText("qwen 8b")
    assert [entry.title for entry in parts.list.entries] == ["Qwen3-8B"]
    assert hub_server.requests == []


def test_a_model_without_published_files_says_so_instead_of_a_download(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, M1, "strix-halo-128", qtbot)
    assert not page.pane.fit.download.isEnabled()
    assert "No published GGUF" in page.pane.fit.download.toolTip()
    index = page.pane.table.model().index(0, DOWNLOAD)
    assert "No published GGUF" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_a_variant_with_files_is_downloaded_by_button_and_by_its_sign(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, QWEN, "rtx-5090-x1", qtbot)
    with qtbot.waitSignal(page.download_wished) as wished:
        page.pane.fit.download.click()
    assert wished.args == ["Qwen/Qwen3-8B-GGUF", "Q4_K_M"]
    table = page.pane.table
    row = parts.variants.selected
    place = table.visualRect(table.model().index(row, DOWNLOAD)).center()
    with qtbot.waitSignal(page.download_wished):
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(place))


def test_a_search_of_the_hub_leads_to_a_repositorys_files(
    page: DiscoverPage, parts: DiscoverParts, hub_server: HubServer, tiny_llama: Path, qtbot: QtBot
) -> None:
    hub_server.add("maker/Tiny-GGUF", {"Tiny-Q8_0.gguf": tiny_llama}, "gguf", "license:mit")
    parts.machines.choose("laptop-16")
    page.list.search.setText("tiny")
    qtbot.keyClick(page.list.search, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: parts.list.hub_search.state == "done", timeout=SLOW)
    assert "The Hub has 1" in page.list.status_text
    page.list.select("hub:maker/Tiny-GGUF")
    settle(parts, qtbot)
    assert texts(page, VERDICT) == {"Q8_0": "Fits in memory"}
    assert texts(page, DECODE)["Q8_0"] != ""
    with qtbot.waitSignal(page.download_wished) as wished:
        page.pane.fit.download.click()
    assert wished.args == ["maker/Tiny-GGUF", "Q8_0"]


def test_an_unknown_architecture_is_looked_up_at_the_hub(
    page: DiscoverPage, parts: DiscoverParts, hub_server: HubServer, tiny_llama: Path, qtbot: QtBot
) -> None:
    show(page, parts, UNKNOWN, "laptop-16", qtbot)
    assert parts.variants.state == "unknown"
    hub_server.add("ggml-org/gpt-oss-20b-GGUF", {"gpt-oss-20b-mxfp4.gguf": tiny_llama}, "gguf")
    page.pane.ask.click()
    settle(parts, qtbot)
    assert list(texts(page, SIZE)) == ["mxfp4"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 429, "retry_after": 30}, "Try again in 30 seconds"),
        ({"status": 503}, "The hub has a fault"),
    ],
)
def test_what_the_hub_refuses_is_told_in_place_and_tried_again(
    page: DiscoverPage,
    parts: DiscoverParts,
    hub_server: HubServer,
    fault: dict[str, int],
    words: str,
    qtbot: QtBot,
) -> None:
    hub_server.fault("api", times=1, **fault)
    page.list.button.click()
    qtbot.waitUntil(lambda: parts.list.hub_search.state == "failed", timeout=SLOW)
    assert words in page.list.status_text
    assert page.list.retry.isVisible()
    page.list.retry.click()
    qtbot.waitUntil(lambda: parts.list.hub_search.state == "done", timeout=SLOW)
    assert not page.list.retry.isVisible()


def test_a_gated_repository_shows_its_files_and_what_to_do(
    page: DiscoverPage, parts: DiscoverParts, hub_server: HubServer, tiny_llama: Path, qtbot: QtBot
) -> None:
    hub_server.add("maker/Gated-GGUF", {"G-Q8_0.gguf": tiny_llama}, "gguf", needs_token="secret")
    parts.machines.choose("laptop-16")
    page.list.button.click()
    qtbot.waitUntil(lambda: parts.list.hub_search.state == "done", timeout=SLOW)
    page.list.select("hub:maker/Gated-GGUF")
    settle(parts, qtbot)
    assert texts(page, VERDICT) == {"Q8_0": "Not known"}
    assert "Accept the terms" in page.pane.notice.text()
    assert page.pane.retry.isVisible()


def test_offline_the_catalog_stays_and_the_rows_too(
    theme: Theme, bridge: Bridge, qtbot: QtBot
) -> None:
    here = PlannedMachine(load_machine("laptop-16"), fitted_efficiencies())
    parts = DiscoverParts(bridge, lambda: Hub(HubSettings(offline=True)), lambda _m: here)
    page = DiscoverPage(theme, parts)
    qtbot.addWidget(page)
    page.show()
    settle(parts, qtbot)
    page.list.select(QWEN)
    settle(parts, qtbot)
    page.pane.look_up.click()
    settle(parts, qtbot)
    assert "Offline mode is on" in page.pane.notice.text()
    assert len(parts.variants.rows) == 20


def test_a_machine_from_a_file_is_planned_for_and_a_wrong_one_refused(
    page: DiscoverPage, parts: DiscoverParts, tmp_path: Path, qtbot: QtBot
) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"name": "?"}')
    with qtbot.waitSignal(parts.machines.failed):
        parts.machines.choose_file(wrong)
    assert "not described rightly" in page.pane.machine.about
    good = tmp_path / "mine.json"
    good.write_text(
        json.dumps({"name": "Mine", "ram_gib": 600, "ram_bandwidth_gb_s": 400, "cpu_tflops": 3})
    )
    with qtbot.waitSignal(parts.machines.changed):
        parts.machines.choose_file(good)
    settle(parts, qtbot)
    box = page.pane.machine.findChild(QComboBox)
    assert isinstance(box, QComboBox)
    assert box.currentText() == "Mine"
    assert texts(page, VERDICT)["Q4_K_M"] == "Fits in memory"


def test_vllm_sizes_are_listed_with_memory_a_gpu(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, M1, "h200-x8", qtbot)
    page.pane.ways.setCurrentIndex(1)
    table = page.pane.vllm.table
    assert [table.item(row, 0).text() for row in range(table.rowCount())] == [
        "1 GPU", "2 GPUs", "4 GPUs", "8 GPUs",
    ]  # fmt: skip
    assert table.item(3, 4).text() == "Fits"
    assert "--tensor-parallel-size 8" in page.pane.vllm.detail_text
    assert "0.9.2 to 0.23.0" in page.pane.vllm.about_text
    parts.machines.choose("strix-halo-128")
    settle(parts, qtbot)
    assert "needs NVIDIA GPUs" in page.pane.vllm.about_text


def test_costs_follow_the_assumptions(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, QWEN, "rtx-5090-x1", qtbot)
    panel = page.pane.cost
    panel.toggle.click()
    before = panel.sums_text
    assert "Your own: $" in before
    panel.field("electricity_usd_kwh").setValue(1.0)
    assert panel.sums_text != before
    parts.cost.reset()
    assert panel.sums_text == before


def test_the_engine_itself_can_be_asked(
    page: DiscoverPage, parts: DiscoverParts, qtbot: QtBot
) -> None:
    show(page, parts, "catalog:qwen3-0.6b", "laptop-16", qtbot)
    parts.exact.ask()
    qtbot.waitUntil(lambda: parts.exact.answer.state in {"done", "failed"}, timeout=2 * SLOW)
    found = parts.exact.answer.found
    plan = parts.variants.selected_plan
    assert found is not None, parts.exact.answer.error
    assert plan is not None
    assert found.needs.weights == pytest.approx(plan.needs.weights, rel=0.02)
    parts.variants.wish(Wished(context_tokens=4096))
    settle(parts, qtbot)
    assert parts.exact.answer.state == "none"

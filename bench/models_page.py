"""Measures Discover against its goal: 500 rows and a moving slider never stall the window.

    python bench/models_page.py [--rows N] [--json]

Runs offscreen with the real pages, catalog and planner; only the Hub is a stand-in that answers
at once, with as many repositories and files as are asked for. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PySide6.QtWidgets import QLabel, QSlider  # noqa: E402 - after the path

from bench.window import StallFigures, application, measured, settle, tell, wait  # noqa: E402 - after the path; sets the platform
from m1desk.fit import fitted_efficiencies, known_variants, load_machine  # noqa: E402 - after the path
from m1desk.models import (  # noqa: E402 - after the path
    GgufHeader,
    Hub,
    HubFile,
    HubModel,
    HubRepository,
    HubSettings,
    HubVariant,
)
from m1desk.ui.bridge import Bridge  # noqa: E402 - after the path
from m1desk.ui.pages.discover import DiscoverPage  # noqa: E402 - after the path
from m1desk.ui.pages.models_page import ModelsPage  # noqa: E402 - after the path
from m1desk.ui.theme import Theme  # noqa: E402 - after the path
from m1desk.ui.viewmodels.discover_machine import PlannedMachine  # noqa: E402 - after the path
from m1desk.ui.viewmodels.discover_parts import DiscoverParts  # noqa: E402 - after the path

ROWS = 500
MACHINES = ("strix-halo-128", "rtx-5090-x4")
MODEL = "MiniMax-M1-80k"


class ManyModels(Hub):
    """Stands in for the Hub: `rows` repositories, each with `rows` files."""

    def __init__(self, rows: int) -> None:
        super().__init__(HubSettings())
        self._rows = rows
        header = known_variants(MODEL, ["Q4_K_M"])[0].header
        assert header is not None
        self._header = header

    def search(self, *_: object, **__: object) -> tuple[HubModel, ...]:
        return tuple(HubModel(f"owner/model-{n}-GGUF", downloads=n) for n in range(self._rows))

    def repository(self, repo_id: str, _revision: str | None = None) -> HubRepository:
        variants = tuple(
            HubVariant(f"Q4_{n}", "gguf", (HubFile(f"m-{n}.gguf", (80 + n) << 30),))
            for n in range(self._rows)
        )
        return HubRepository(HubModel(repo_id), "0" * 40, (), variants=variants)

    def gguf_header(self, *_: object) -> GgufHeader:
        return self._header


class Bench:
    """The Models page with all that belongs to Discover."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.hub = ManyModels(rows)
        self.theme = Theme(application(), "light")
        self.bridge = Bridge()
        here = PlannedMachine(load_machine(MACHINES[0]), fitted_efficiencies())
        self.parts = DiscoverParts(self.bridge, lambda: self.hub, lambda _machine: here)
        self.discover = DiscoverPage(self.theme, self.parts)
        self.page = ModelsPage(self.theme, QLabel("My Models"), discover=self.discover)
        self.page.resize(1000, 700)
        self.page.show()
        settle()

    def open(self) -> StallFigures:
        """Show Discover until the first model's rows are all planned."""
        variants = self.parts.variants

        def run() -> None:
            self.page.show_tab("discover")
            wait(lambda: len(self.parts.machines.choices) > 1, 60)
            self.parts.machines.choose(MACHINES[0])
            wait(lambda: variants.state == "ready" and not variants.is_planning, 60)

        return measured("open", run)

    def find(self) -> StallFigures:
        """Show as many models as the Hub gives, then one with as many variants."""
        variants = self.parts.variants

        def run() -> None:
            self.parts.list.search("")
            wait(lambda: self.parts.list.found_count == self.rows, 60)
            self.discover.list.select(f"hub:owner/model-{self.rows // 2}-GGUF")
            wait(lambda: len(variants.rows) == self.rows and not variants.is_planning, 120)

        found = measured(f"{self.rows} models and {self.rows} variants come", run)
        assert all(variants.plan_of(number) for number in range(self.rows))
        return found

    def slide(self, machine: str) -> StallFigures:
        """Move the slider from end to end for five seconds, as a hand does: 60 steps a second."""
        self.parts.machines.choose(machine)
        slider = self.discover.pane.controls.context.findChild(QSlider)
        assert isinstance(slider, QSlider)

        def run() -> None:
            for step in range(300):
                slider.setValue(round(slider.maximum() * step / 299))
                wait(lambda: False, 1 / 60)
            wait(lambda: not self.parts.variants.is_planning, 60)

        return measured(f"the slider moves on {machine}", run)

    def close(self) -> None:
        self.page.close()
        self.bridge.stop()


def measure(rows: int) -> list[StallFigures]:
    """Run all measurements."""
    bench = Bench(rows)
    try:
        return [bench.open(), bench.find(), *(bench.slide(machine) for machine in MACHINES)]
    finally:
        bench.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="models, and variants of one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    return tell(measure(arguments.rows), as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())

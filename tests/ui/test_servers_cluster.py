"""Planning a cluster on the Servers page: verdict, files, and the server that comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from naming import unnamed_controls
from PySide6.QtGui import QGuiApplication

from m1desk.engines import Servers
from m1desk.engines.environments.desk import EngineDesk
from m1desk.engines.remote.profiles import checked
from m1desk.errors import HubError
from m1desk.hardware import probe_machine
from m1desk.recipes import (
    TARGETS,
    ClusterWish,
    RecipeOptions,
    find_served,
    make_recipe,
    parse_cluster,
    plan_cluster,
)
from m1desk.store import Database, Folders
from m1desk.ui.pages.servers_page import ServersPage
from m1desk.ui.viewmodels.environments import EnvironmentsViewModel
from m1desk.ui.viewmodels.recipes import RecipesViewModel, proposed_server
from m1desk.ui.viewmodels.servers import ServersViewModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.models import Hub
    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

SLOW = 60_000


def no_hub() -> Hub:
    raise HubError("The Hub is out of reach.", kind="offline")


class Desk:
    def __init__(self, theme: Theme, bridge: Bridge, database: Database, qtbot: QtBot) -> None:
        self.qtbot = qtbot
        self.servers = ServersViewModel(bridge, Servers(database, Folders.resolve(), bridge.post))
        self.recipes = RecipesViewModel(bridge, no_hub)
        self.failures: list[object] = []
        self.recipes.failed.connect(self.failures.append)
        folders = Folders.resolve()
        environments = EnvironmentsViewModel(bridge, EngineDesk(folders, lambda: probe_machine(())))
        self.page = ServersPage(theme, self.servers, self.recipes, environments)
        self.page.resize(1100, 760)
        qtbot.addWidget(self.page)
        self.page.show()
        self.page.show_tab("cluster")
        self.form, self.view = self.page.cluster.form, self.page.cluster.view
        self.settle()

    def settle(self) -> None:
        """Wait for the answer to what is asked."""
        self.qtbot.waitUntil(lambda: bool(self.recipes.gpus), timeout=SLOW)
        self.qtbot.waitUntil(
            lambda: not self.recipes.is_planning and self.view.verdict != "Planning…", timeout=SLOW
        )


@pytest.fixture
def desk(theme: Theme, bridge: Bridge, qtbot: QtBot, home: Path) -> Iterator[Desk]:
    with Database(Folders.under(home).database) as database:
        yield Desk(theme, bridge, database, qtbot)
        bridge.stop()


def test_it_begins_with_m1_on_two_nodes_and_follows_each_change(desk: Desk) -> None:
    assert desk.view.verdict.startswith("It fits on 2 × 8 GPUs")
    assert "vLLM 0.23.0" in desk.view.verdict
    assert unnamed_controls(desk.page.cluster) == []
    desk.form.target.setCurrentIndex(desk.form.target.findData("slurm"))
    desk.settle()
    names = [desk.view.files.itemText(at) for at in range(desk.view.files.count())]
    assert "serve.sbatch" in names
    desk.view.files.setCurrentIndex(names.index("serve.sbatch"))
    assert "#SBATCH" in desk.view.preview.toPlainText()
    desk.view.copy.click()
    assert "#SBATCH" in QGuiApplication.clipboard().text()


def test_what_does_not_fit_says_why_and_what_would(desk: Desk) -> None:
    desk.form.nodes.setValue(1)
    desk.form.gpus.setValue(4)
    desk.settle()
    assert desk.view.verdict.startswith("It does not run on 1x4xH100")
    assert "has room" in desk.view.why
    assert not desk.view.save.isEnabled()
    assert desk.view.save.toolTip() == "There are no files: it does not fit"


def test_a_model_that_is_not_known_is_looked_up_and_its_absence_said(desk: Desk) -> None:
    desk.form.model.setEditText("somebody/some-model")
    desk.form.model_line.editingFinished.emit()
    desk.settle()
    assert desk.view.verdict == "The Hub is out of reach."
    assert desk.view.recipe is None


def test_the_files_are_saved_and_nothing_else_is_replaced(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    written: list[tuple[Path, ...]] = []
    desk.recipes.written.connect(written.append)
    desk.page.cluster._on_folder(str(folder))
    desk.qtbot.waitUntil(lambda: bool(written), timeout=SLOW)
    recipe = desk.view.recipe
    assert recipe is not None
    assert {path.name for path in written[0]} == {one.name for one in recipe.files}
    (folder / "serve.sh").write_text("mine")
    desk.page.cluster._on_folder(str(folder))
    desk.qtbot.waitUntil(lambda: bool(desk.failures), timeout=SLOW)
    assert (folder / "serve.sh").read_text() == "mine"


@pytest.mark.usefixtures("memory_keyring")
def test_one_click_makes_the_server_of_it(desk: Desk) -> None:
    desk.form.host.setText("m1.example.org")
    desk.form.host.editingFinished.emit()
    desk.settle()
    desk.view.server.click()
    assert desk.page.tab == "servers"
    dialog = desk.page.servers.dialog
    assert dialog is not None
    assert "VLLM_API_KEY in keys.env" in dialog.said
    dialog.secrets.key.setText("a-key-of-mine-1")
    dialog.save.click()
    desk.qtbot.waitUntil(lambda: desk.servers.selected is not None, timeout=SLOW)
    known = desk.servers.selected
    assert known is not None
    profile = known.profile
    assert (profile.base_url, profile.model) == ("https://m1.example.org:8443", "MiniMax-M1-80k")
    assert (profile.wants_key, profile.context_tokens) == (True, 131_072)


@pytest.mark.parametrize("target", TARGETS)
def test_every_recipe_proposes_a_server_that_can_be_added(target: str) -> None:
    served = find_served("MiniMax-M1-80k", no_hub)
    plan = plan_cluster(served, parse_cluster("2x8xH100"), ClusterWish())
    (chosen,) = [one for one in TARGETS if one == target]
    recipe = make_recipe(plan, chosen, RecipeOptions(host="m1.example.org"))
    assert recipe.remote is not None
    profile = proposed_server(recipe.remote)
    assert checked(profile) == profile
    # what vLLM is told to call itself is what it will be asked for
    assert any(profile.model in one.text for one in recipe.files)


def test_the_engines_of_this_machine_are_looked_at_when_they_come_into_sight(
    desk: Desk, qtbot: QtBot
) -> None:
    panel = desk.page.engines.panel
    desk.page.show_tab("engines")
    qtbot.waitUntil(lambda: any("In use:" in text for text in panel.texts), timeout=SLOW)
    assert panel.install_newest.isVisible()
    assert unnamed_controls(desk.page.engines) == []

"""The Servers page: models that run elsewhere, clusters that run one, and the engines here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from m1desk.ui.pages.servers_cluster import ServersCluster
from m1desk.ui.pages.servers_engines import ServersEngines
from m1desk.ui.pages.servers_list import ServersList
from m1desk.ui.widgets.tabbed_page import TabbedPage

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from m1desk.engines import ServerProfile
    from m1desk.ui.theme import Theme
    from m1desk.ui.viewmodels.environments import EnvironmentsViewModel
    from m1desk.ui.viewmodels.recipes import RecipesViewModel
    from m1desk.ui.viewmodels.servers import ServersViewModel


class ServersPage(TabbedPage):
    """Shows the servers, the planning of a cluster, which leads to a new server, or the engines."""

    def __init__(
        self,
        theme: Theme,
        servers: ServersViewModel,
        recipes: RecipesViewModel,
        environments: EnvironmentsViewModel,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(theme, "Servers", parent)
        self.servers = ServersList(theme, servers)
        self.cluster = ServersCluster(theme, recipes)
        self.add_tab("servers", "Yours", self.servers)
        self.add_tab("cluster", "Plan a cluster", self.cluster)
        self.engines = ServersEngines(theme, environments)
        self.add_tab("engines", "Engines here", self.engines)
        self.servers.recipes_wished.connect(lambda: self.show_tab("cluster"))
        self.cluster.server_wished.connect(self._on_server_wished)

    def _on_server_wished(self, profile: ServerProfile, note: str) -> None:
        self.show_tab("servers")
        self.servers.open_dialog(profile, note)

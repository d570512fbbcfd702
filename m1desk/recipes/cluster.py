"""Clusters: equal nodes with GPUs, from words such as "2x8xH100"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from m1desk.errors import BadInput
from m1desk.fit import PlanDevice, PlanMachine, load_machine, preset_names

_MOST_NODES: Final = 64
_MOST_GPUS: Final = 16
_COUNTED: Final = re.compile(r"(?:(\d+)\s*[x×]\s*)?(\d+)\s*[x×]\s*(\S.*)", re.IGNORECASE)
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]")
_FORM: Final = "Write NODES x GPUS x GPU, such as 2x8xH100, or NODES x FILE.json."


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """Equal nodes.

    Attributes:
        nodes: how many.
        gpu: the GPU's name, as the presets have it.
        node: one of them, as the planner sees it.
    """

    nodes: int
    gpu: str
    node: PlanMachine

    @property
    def gpus_per_node(self) -> int:
        """GPUs of one node."""
        return len(self.node.devices)

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return self.nodes * self.gpus_per_node

    @property
    def gpu_bytes(self) -> int:
        """Memory of the smallest GPU; 0 without any."""
        return min((device.total_bytes for device in self.node.devices), default=0)

    @property
    def text(self) -> str:
        """As it is written: "2x8xH100"."""
        return f"{self.nodes}x{self.gpus_per_node}x{self.gpu}"

    def with_nodes(self, nodes: int) -> ClusterSpec:
        """The same with another number of nodes."""
        return replace(self, nodes=nodes)

    def machine(self) -> PlanMachine:
        """All nodes as one machine: what vLLM's memory is planned on."""
        return replace(self.node, name=self.text, devices=self.node.devices * self.nodes)


def parse_cluster(text: str) -> ClusterSpec:
    """Read "2x8xH100", "8xH100" (one node), or "2xNODE", NODE being a preset or a JSON file.

    Raises:
        BadInput: it has another form, or names a GPU or a machine nobody knows.
    """
    wanted = text.strip()
    found = _COUNTED.fullmatch(wanted)
    if found is None:
        if wanted in preset_names() or wanted.endswith(".json"):
            return _of_machine(1, wanted)
        raise BadInput(f'"{text}" does not describe a cluster.', _known_text(), _FORM)
    first, second, name = found.groups()
    if first is None and (name in preset_names() or name.endswith(".json")):
        return _of_machine(int(second), name)
    return cluster_of(int(first or 1), int(second), name)


def cluster_of(nodes: int, gpus: int, gpu: str) -> ClusterSpec:
    """Nodes with so many GPUs of a kind each; raises BadInput as `parse_cluster` does."""
    key = _key(gpu)
    servers = {_key(name): (name, machine) for name, machine in _servers().items()}
    if key not in servers:
        raise BadInput(f'A GPU called "{gpu}" is not known.', _known_text(), _FORM)
    _check_numbers(nodes, gpus)
    name, server = servers[key]
    devices = tuple(
        replace(server.devices[0], name=f"{name} {number + 1}") for number in range(gpus)
    )
    node = replace(server, id=f"{gpus}x{name}", name=f"{gpus} x {name}", devices=devices)
    return ClusterSpec(nodes=nodes, gpu=name, node=node)


def known_gpus() -> tuple[str, ...]:
    """Names of the GPUs a cluster can be made of, the one with the most memory first."""
    servers = _servers()
    return tuple(sorted(servers, key=lambda name: -servers[name].devices[0].total_bytes))


def _servers() -> Mapping[str, PlanMachine]:
    """Of each GPU, the preset with the most of it: the likeliest to be a server."""
    found: dict[str, PlanMachine] = {}
    for preset in preset_names():
        machine = load_machine(preset)
        if not machine.devices or machine.unified:
            continue
        name = _gpu_name(machine.devices)
        best = found.get(name)
        if best is None or len(best.devices) < len(machine.devices):
            found[name] = machine
    return found


def _of_machine(nodes: int, name: str) -> ClusterSpec:
    machine = load_machine(name)
    if not machine.devices:
        raise BadInput(
            f"{machine.name} has no GPU.", "vLLM needs NVIDIA GPUs for a large model.", _FORM
        )
    _check_numbers(nodes, len(machine.devices))
    return ClusterSpec(nodes=nodes, gpu=_gpu_name(machine.devices), node=machine)


def _gpu_name(devices: tuple[PlanDevice, ...]) -> str:
    """Without the number that tells several equal ones apart."""
    name = devices[0].name
    return name.removesuffix(" 1") if len(devices) > 1 else name


def _key(name: str) -> str:
    return _NOT_IN_NAMES.sub("", name.casefold()).removeprefix("nvidia").removeprefix("geforce")


def _check_numbers(nodes: int, gpus: int) -> None:
    if not 1 <= nodes <= _MOST_NODES or not 1 <= gpus <= _MOST_GPUS:
        raise BadInput(
            f"A cluster of {nodes} x {gpus} GPUs can't be planned.",
            f"1 to {_MOST_NODES} nodes with 1 to {_MOST_GPUS} GPUs each can.",
            _FORM,
        )


def _known_text() -> str:
    return f"Known GPUs: {', '.join(known_gpus())}."

"""NVIDIA's accelerators, through NVML (nvidia-ml-py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from m1desk.hardware.chips import GB10_BANDWIDTH
from m1desk.hardware.machine import DeviceReading, Link, LinkKind, PcieLink, VendorDevice
from m1desk.hardware.nvml import NOT_SUPPORTED, NvmlSession, NvmlUnavailable
from m1desk.hardware.sources import Nvml
from m1desk.hardware.sysfs import pci_devices, pci_name
from m1desk.hardware.vendor import Findings

_VENDOR_ID: Final = 0x10DE
_CLOCK_MEM: Final = 2  # NVML_CLOCK_MEM
_TEMPERATURE_GPU: Final = 0  # NVML_TEMPERATURE_GPU
_MIG_ENABLED: Final = 1  # NVML_DEVICE_MIG_ENABLE
_NVLINK_SWITCH: Final = 2  # NVML_NVLINK_DEVICE_TYPE_SWITCH
_NVLINK_MAX: Final = 36  # NVML_NVLINK_MAX_LINKS
_NVLINK_SPEED: Final = 90  # NVML_FI_DEV_NVLINK_SPEED_MBPS_COMMON, of each active lane
_TOPOLOGY: Final[dict[int, LinkKind]] = {
    0: "same_board", 10: "one_switch", 20: "several_switches", 30: "host_bridge",
    40: "same_node", 50: "system",
}  # fmt: skip

_Handle = object  # NVML's, opaque


@dataclass(frozen=True, slots=True)
class _Card:
    """A card as NVML holds it: its handle, its description, its slices (handle and description)."""

    handle: _Handle
    device: VendorDevice
    slices: tuple[tuple[_Handle, VendorDevice], ...] = ()


@dataclass(frozen=True, slots=True)
class _NvlinkEnds:
    """Where a card's active NVLinks end: the PCI ids of other cards, and how many at switches.

    `lane_bytes_per_second` is what one of them carries in one direction, None if not said.
    """

    cards: tuple[str, ...]
    switches: int
    lane_bytes_per_second: float | None


class NvidiaProbe:
    """Everything NVML says about cards, MIG slices and what links them."""

    vendor = "NVIDIA"

    def __init__(self, load: Callable[[], Nvml], root: Path) -> None:
        self._session = NvmlSession(load)
        self._root = root
        self._handles: dict[str, tuple[_Handle, _Handle]] = {}

    def find(self) -> Findings:
        """Cards, MIG slices instead of a card that is cut up, and links between cards."""
        try:
            self._session.open()
        except NvmlUnavailable as error:
            return Findings(notes=self._complaint(error))
        count = self._session.number("nvmlDeviceGetCount") or 0
        notes: list[str] = []
        cards: list[_Card] = []
        for index in range(count):
            handle = self._session.ask("nvmlDeviceGetHandleByIndex", index)
            if handle is None:
                notes.append(f"NVIDIA GPU {index} doesn't answer: {self._session.last_error}")
                continue
            cards.append(card := self._card(handle, index))
            if not card.slices and self._is_cut_up(handle):
                notes.append(
                    f"{card.device.name} is in MIG mode without an instance, so nothing can use it."
                )
        self._remember(cards)
        devices = [device for card in cards for device in _visible(card)]
        return Findings(tuple(devices), self._links(cards), tuple(notes))

    def read(self, device_id: str) -> DeviceReading:
        """Memory and load; watts, degrees and the PCIe link, which a MIG slice has of its card."""
        if device_id not in self._handles:
            return DeviceReading()
        handle, card = self._handles[device_id]
        ask = self._session
        memory = ask.memory(handle)
        load = ask.field("nvmlDeviceGetUtilizationRates", "gpu", handle)
        milliwatts = ask.number("nvmlDeviceGetPowerUsage", card)
        return DeviceReading(
            used_bytes=None if memory is None else memory.used,
            total_bytes=None if memory is None else memory.total,
            utilisation_percent=None if load is None else float(load),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            temperature_celsius=self._temperature(card),
            pcie=self._pcie(card),
        )

    def _temperature(self, card: _Handle) -> float | None:
        """By the newer function where the driver has it; the older one is deprecated."""
        degrees = self._session.number("nvmlDeviceGetTemperatureV", card, _TEMPERATURE_GPU)
        if degrees is None:
            degrees = self._session.number("nvmlDeviceGetTemperature", card, _TEMPERATURE_GPU)
        return None if degrees is None else float(degrees)

    def close(self) -> None:
        """Ends the NVML session."""
        self._handles.clear()
        self._session.close()

    def _complaint(self, error: NvmlUnavailable) -> tuple[str, ...]:
        """A note, if the machine has such a card at all or its driver is broken."""
        names = [
            pci_name(self._root, _VENDOR_ID, card.device) or f"at {card.pci_id}"
            for card in pci_devices(self._root, _VENDOR_ID)
        ]
        if names:
            return (f"An NVIDIA GPU ({', '.join(names)}) is here but can't be asked: {error}",)
        return () if error.is_absence else (f"NVIDIA GPUs can't be asked: {error}",)

    def _remember(self, cards: list[_Card]) -> None:
        for card in cards:
            self._handles[card.device.id] = (card.handle, card.handle)
            for handle, device in card.slices:
                self._handles[device.id] = (handle, card.handle)

    def _card(self, handle: _Handle, index: int) -> _Card:
        ask = self._session
        memory = ask.memory(handle)
        # GB10 has no memory of its own, and says so; a card that is lost says something else.
        unified = memory is None and ask.last_code == NOT_SUPPORTED
        pci_id = ask.pci_id("nvmlDeviceGetPciInfo", handle)
        name = ask.text("nvmlDeviceGetName", handle) or "NVIDIA GPU"
        capability = ask.pair("nvmlDeviceGetCudaComputeCapability", handle)
        milliwatts = ask.number("nvmlDeviceGetEnforcedPowerLimit", handle)
        device = VendorDevice(
            id=ask.text("nvmlDeviceGetUUID", handle) or pci_id or f"nvidia{index}",
            vendor="nvidia",
            name=name,
            unified=unified,
            pci_id=pci_id,
            total_bytes=None if memory is None else memory.total,
            free_bytes=None if memory is None else memory.free,
            bandwidth_bytes_per_second=self._bandwidth(handle, name),
            driver=ask.text("nvmlSystemGetDriverVersion"),
            compute_capability="" if capability is None else ".".join(map(str, capability)),
            pcie=self._pcie(handle),
            power_limit_watts=None if milliwatts is None else milliwatts / 1000,
        )
        return _Card(handle, device, self._slices(handle, device))

    def _bandwidth(self, handle: _Handle, name: str) -> float | None:
        """2 x highest memory clock x bus width / 8; NVML's clock is half the data rate."""
        megahertz = self._session.number("nvmlDeviceGetMaxClockInfo", handle, _CLOCK_MEM)
        bits = self._session.number("nvmlDeviceGetMemoryBusWidth", handle)
        if megahertz and bits:
            return 2 * megahertz * 1e6 * bits / 8
        return GB10_BANDWIDTH if "GB10" in name else None

    def _pcie(self, handle: _Handle) -> PcieLink | None:
        link = PcieLink(
            max_generation=self._session.number("nvmlDeviceGetMaxPcieLinkGeneration", handle),
            max_width=self._session.number("nvmlDeviceGetMaxPcieLinkWidth", handle),
            current_generation=self._session.number("nvmlDeviceGetCurrPcieLinkGeneration", handle),
            current_width=self._session.number("nvmlDeviceGetCurrPcieLinkWidth", handle),
        )
        return None if link == PcieLink() else link

    def _is_cut_up(self, handle: _Handle) -> bool:
        mode = self._session.pair("nvmlDeviceGetMigMode", handle)
        return mode is not None and mode[0] == _MIG_ENABLED

    def _slices(
        self, handle: _Handle, card: VendorDevice
    ) -> tuple[tuple[_Handle, VendorDevice], ...]:
        if not self._is_cut_up(handle):
            return ()
        found = []
        for index in range(self._session.number("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            part = self._session.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
            if part is not None:
                found.append((part, self._slice(part, index, card)))
        return tuple(found)

    def _slice(self, part: _Handle, index: int, card: VendorDevice) -> VendorDevice:
        memory = self._session.memory(part)
        total = None if memory is None else memory.total
        bandwidth = card.bandwidth_bytes_per_second
        if bandwidth is not None:
            # A memory slice is an equal share of both capacity and bandwidth (NVIDIA's MIG guide).
            bandwidth = bandwidth * total / card.total_bytes if total and card.total_bytes else None
        return replace(
            card,
            id=self._session.text("nvmlDeviceGetUUID", part) or f"{card.id}/mig{index}",
            name=self._session.text("nvmlDeviceGetName", part) or f"{card.name} MIG {index}",
            unified=False,
            total_bytes=total,
            free_bytes=None if memory is None else memory.free,
            bandwidth_bytes_per_second=bandwidth,
            part_of=card.id,
        )

    def _links(self, cards: list[_Card]) -> tuple[Link, ...]:
        ends = {card.device.id: self._nvlink_ends(card.handle) for card in cards}
        return tuple(
            link
            for position, first in enumerate(cards)
            for second in cards[position + 1 :]
            if (link := self._link(first, second, ends)) is not None
        )

    def _link(self, first: _Card, second: _Card, ends: dict[str, _NvlinkEnds]) -> Link | None:
        ours, theirs = ends[first.device.id], ends[second.device.id]
        # Through NVSwitch every card reaches every other; its links end at switches.
        direct = ours.cards.count(second.device.pci_id)
        lanes = direct or min(ours.switches, theirs.switches)
        if lanes:
            speed = ours.lane_bytes_per_second
            return Link(
                first.device.id,
                second.device.id,
                "nvlink",
                lanes,
                through_switches=not direct,
                bytes_per_second=None if speed is None else lanes * speed,
            )
        level = self._session.number(
            "nvmlDeviceGetTopologyCommonAncestor", first.handle, second.handle
        )
        kind = _TOPOLOGY.get(level) if level is not None else None
        return Link(first.device.id, second.device.id, kind) if kind else None

    def _nvlink_ends(self, handle: _Handle) -> _NvlinkEnds:
        cards, switches = [], 0
        for lane in range(_NVLINK_MAX):
            state = self._session.number("nvmlDeviceGetNvLinkState", handle, lane)
            if state is None:  # past the last lane, or a card without NVLink
                break
            if state != 1:
                continue
            kind = self._session.number("nvmlDeviceGetNvLinkRemoteDeviceType", handle, lane)
            if kind == _NVLINK_SWITCH:
                switches += 1
            else:
                cards.append(self._session.pci_id("nvmlDeviceGetNvLinkRemotePciInfo", handle, lane))
        megabytes = self._session.field_value(handle, _NVLINK_SPEED) if cards or switches else None
        return _NvlinkEnds(tuple(cards), switches, megabytes * 1e6 if megabytes else None)


def _visible(card: _Card) -> tuple[VendorDevice, ...]:
    return tuple(part for _handle, part in card.slices) or (card.device,)

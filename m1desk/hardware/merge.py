"""One list of accelerators out of two: the engine's devices, and what the vendors say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from m1desk.hardware.machine import Accelerator, EngineDevice, EngineView, Ram, VendorDevice

_WORDS: Final = (
    ("nvidia", ("nvidia", "geforce", "quadro", "tesla")),
    ("amd", ("amd", "radeon", "instinct")),
    ("intel", ("intel", "arc(tm)")),
    ("apple", ("apple",)),
)
_VENDOR_BY_BACKEND: Final = {"cuda": "nvidia", "rocm": "amd", "hip": "amd", "sycl": "intel"}
_BUILDS: Final = {
    "nvidia": "CUDA or Vulkan",
    "amd": "ROCm or Vulkan",
    "intel": "SYCL or Vulkan",
    "apple": "Metal",
}


@dataclass(slots=True)
class _Pair:
    """A device in the making: how its vendor describes it, and the engine's handles on it."""

    vendor: VendorDevice | None
    engine: list[EngineDevice] = field(default_factory=list)

    def takes(self, device: EngineDevice) -> bool:
        """One backend lists a device once, so a second one of its devices is another device."""
        return all(device.backend != known.backend for known in self.engine)


def merge_accelerators(
    view: EngineView, described: Sequence[VendorDevice], ram: Ram
) -> tuple[Accelerator, ...]:
    """The accelerators in the engine's order, then those only their vendor knows.

    The CPU, and helpers of it (BLAS, AMX), are not among them. A device that two backends of the
    engine drive is one accelerator with two names.
    """
    pairs = [_Pair(device) for device in described]
    order: list[_Pair] = []
    for device in view.devices:
        if device.kind not in {"gpu", "igpu"}:
            continue
        pair = _partner(device, pairs)
        if pair is None:
            pair = _Pair(None)
            pairs.append(pair)
        pair.engine.append(device)
        if pair not in order:
            order.append(pair)
    alone = [pair for pair in pairs if not pair.engine]
    used_cards = {pair.vendor.part_of for pair in order if pair.vendor and pair.vendor.part_of}
    return (
        *(_accelerator(pair, ram) for pair in order),
        *(_explain(_accelerator(pair, ram), view, used_cards) for pair in alone),
    )


def _partner(device: EngineDevice, pairs: Sequence[_Pair]) -> _Pair | None:
    """The pair this device belongs to: the same PCI id, or without one the same vendor's next."""
    free = [pair for pair in pairs if pair.takes(device)]
    if device.pci_id:
        same = [pair for pair in free if device.pci_id in _pci_ids(pair)]
        return min(same, key=lambda pair: _unlikeness(device, pair), default=None)
    vendor = _vendor_of(device)
    same = [pair for pair in free if pair.vendor is not None and pair.vendor.vendor == vendor]
    return min(same, key=lambda pair: _unlikeness(device, pair), default=None)


def _pci_ids(pair: _Pair) -> set[str]:
    vendor = pair.vendor.pci_id if pair.vendor else ""
    return {vendor, *(device.pci_id for device in pair.engine)} - {""}


def _unlikeness(device: EngineDevice, pair: _Pair) -> tuple[bool, int]:
    """MIG slices share one PCI id: the name tells them apart, else the memory."""
    if pair.vendor is None:
        return True, 0
    names_differ = pair.vendor.name.lower() != device.description.lower()
    return names_differ, abs((pair.vendor.total_bytes or 0) - device.total_bytes)


def _accelerator(pair: _Pair, ram: Ram) -> Accelerator:
    engine = next((device for device in pair.engine if device.total_bytes), None)
    vendor = pair.vendor or _from_engine(pair.engine[0])
    unified = vendor.unified or any(device.kind == "igpu" for device in pair.engine)
    total, free = vendor.total_bytes, vendor.free_bytes
    if engine is not None:
        total, free = engine.total_bytes, engine.free_bytes
    if unified:
        # Nobody but the kernel knows what other processes use of shared memory.
        most = ram.usable_bytes + vendor.carve_out_bytes
        left = ram.available_bytes + vendor.carve_out_free_bytes
        total = most if total is None else min(total, most)
        free = min(total, left) if free is None else min(free, left, total)
    kind = pair.engine[0].kind if pair.engine else ("igpu" if unified else "gpu")
    return Accelerator(
        id=vendor.id,
        vendor=vendor.vendor,
        name=vendor.name,
        kind=kind,
        unified=unified,
        total_bytes=total,
        free_bytes=free,
        engine_names=tuple(device.name for device in pair.engine),
        pci_id=vendor.pci_id,
        bandwidth_bytes_per_second=vendor.bandwidth_bytes_per_second,
        driver=vendor.driver,
        compute_capability=vendor.compute_capability,
        pcie=vendor.pcie,
        power_limit_watts=vendor.power_limit_watts,
        part_of=vendor.part_of,
        hints=vendor.hints,
    )


def _from_engine(device: EngineDevice) -> VendorDevice:
    return VendorDevice(
        id=device.pci_id or device.name,
        vendor=_vendor_of(device),
        name=device.description or device.name,
        pci_id=device.pci_id,
    )


def _explain(device: Accelerator, view: EngineView, used_cards: set[str]) -> Accelerator:
    """Says why the engine doesn't list the device; without the engine's answer nobody knows."""
    if view.note:
        return device
    if device.part_of in used_cards:
        hint = "llama.cpp uses one MIG instance in a process; this one stays unused."
    else:
        backends = ", ".join(dict.fromkeys(entry.backend for entry in view.devices)) or "none"
        build = _BUILDS.get(device.vendor, "it")
        hint = f"The installed engine (backends: {backends}) can't use it; a build for {build} can."
    return replace(device, hints=(*device.hints, hint))


def _vendor_of(device: EngineDevice) -> str:
    text = device.description.lower()
    for vendor, words in _WORDS:
        if any(word in text for word in words):
            return vendor
    return _VENDOR_BY_BACKEND.get(device.backend.lower(), "other")

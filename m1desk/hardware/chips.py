"""Memory bandwidths of chips whose drivers don't tell, from their makers' specifications."""

from __future__ import annotations

from typing import Final

_GIGA: Final = 1e9

GB10_BANDWIDTH: Final = 273 * _GIGA
"""NVIDIA DGX Spark: 256 bit of LPDDR5X at 8533 MT/s."""

_APPLE: Final = {
    "M1": 68, "M1 Pro": 200, "M1 Max": 400, "M1 Ultra": 800,
    "M2": 100, "M2 Pro": 200, "M2 Max": 400, "M2 Ultra": 800,
    "M3": 100, "M3 Pro": 150, "M3 Max": 400, "M3 Ultra": 819,
    "M4": 120, "M4 Pro": 273, "M4 Max": 546,
    "M5": 153,
}  # fmt: skip

_APPLE_BINNED: Final = {"M3 Max": (14, 300), "M4 Max": (14, 410)}
"""Chips also sold with part of their memory channels: the CPU cores of that one, and its GB/s."""

_AMD: Final = {
    (0x1586, None): 256,  # Strix Halo: Radeon 8040S, 8050S, 8060S; 256 bit of LPDDR5X-8000
    (0x150E, None): 120,  # Strix Point: Radeon 880M, 890M; 128 bit of LPDDR5X-7500
    (0x744C, 0xC8): 960,  # Radeon RX 7900 XTX
    (0x744C, 0xCC): 800,  # Radeon RX 7900 XT
    (0x744C, 0xCE): 576,  # Radeon RX 7900 GRE
    (0x7448, None): 864,  # Radeon PRO W7900
    (0x7550, None): 640,  # Radeon RX 9070, 9070 XT
    (0x74A0, None): 5300,  # Instinct MI300A
    (0x74A1, None): 5300,  # Instinct MI300X
}

_INTEL: Final = {
    0x56A0: 560,  # Arc A770
    0x56A1: 512,  # Arc A750
    0xE20B: 456,  # Arc B580
    0xE20C: 380,  # Arc B570
}


def apple_bandwidth(chip: str, cores: int | None) -> float | None:
    """Bytes per second of "Apple M3 Ultra" with so many CPU cores, None when unknown."""
    name = chip.removeprefix("Apple ").strip()
    small = _APPLE_BINNED.get(name)
    if small and cores is not None and cores <= small[0]:
        return small[1] * _GIGA
    return _in_bytes(_APPLE.get(name))


def amd_bandwidth(device: int, revision: int) -> float | None:
    """Bytes per second of the chip with this PCI device id and revision, None when unknown."""
    return _in_bytes(_AMD.get((device, revision), _AMD.get((device, None))))


def intel_bandwidth(device: int) -> float | None:
    """Bytes per second of the card with this PCI device id, None when unknown."""
    return _in_bytes(_INTEL.get(device))


def _in_bytes(gigabytes: int | None) -> float | None:
    return None if gigabytes is None else gigabytes * _GIGA

"""Which vendors' probes a platform has, and running one so that its faults stay its own."""

from __future__ import annotations

from m1desk.hardware.amd import AmdProbe
from m1desk.hardware.apple import AppleProbe
from m1desk.hardware.intel import IntelProbe
from m1desk.hardware.nvidia import NvidiaProbe
from m1desk.hardware.sources import Sources
from m1desk.hardware.vendor import Findings, VendorProbe
from m1desk.hardware.windows import WindowsProbe


def probes_for(sources: Sources, ram_total_bytes: int) -> tuple[VendorProbe, ...]:
    """The probes that make sense on the platform of `sources`."""
    if sources.platform == "darwin":
        return (AppleProbe(sources.sysctl),)
    nvidia = NvidiaProbe(sources.load_nvml, sources.root)
    if sources.platform == "win32":
        return (nvidia, WindowsProbe())
    return (nvidia, AmdProbe(sources.root, ram_total_bytes), IntelProbe(sources.root))


def find_safely(probe: VendorProbe) -> Findings:
    """What the probe finds; any fault in it becomes a note of one line."""
    try:
        return probe.find()
    except Exception as error:  # noqa: BLE001 - a broken driver may fail in any way, and must not stop the rest
        return Findings(notes=(f"{probe.vendor}'s devices could not be read: {one_line(error)}",))


def one_line(error: Exception) -> str:
    """The error's text without line breaks, with its type where the text says nothing."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

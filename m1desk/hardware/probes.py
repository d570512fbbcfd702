"""Which vendors' probes a platform has, and running one so that its faults stay its own."""

from __future__ import annotations

from m1desk.hardware.sources import Sources
from m1desk.hardware.vendor import Findings, VendorProbe


def probes_for(sources: Sources, ram_total_bytes: int) -> tuple[VendorProbe, ...]:
    """The probes that make sense on the platform of `sources`."""
    # Imported here, so that the front door opens fast and only the platform's probes are loaded.
    if sources.platform == "darwin":
        from m1desk.hardware.apple import AppleProbe  # noqa: PLC0415 - see above

        return (AppleProbe(sources.sysctl),)
    from m1desk.hardware.nvidia import NvidiaProbe  # noqa: PLC0415 - see above

    nvidia = NvidiaProbe(sources.load_nvml, sources.root)
    if sources.platform == "win32":
        from m1desk.hardware.windows import WindowsProbe  # noqa: PLC0415 - see above

        return (nvidia, WindowsProbe())
    from m1desk.hardware.amd import AmdProbe  # noqa: PLC0415 - see above
    from m1desk.hardware.intel import IntelProbe  # noqa: PLC0415 - see above

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

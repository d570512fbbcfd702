"""The operating system, and what it runs inside of."""

from __future__ import annotations

import platform
import shlex
from pathlib import Path

from m1desk.hardware.machine import OperatingSystem
from m1desk.hardware.sources import Sources
from m1desk.hardware.sysfs import read_text


def read_system(sources: Sources) -> OperatingSystem:
    """The operating system of the machine."""
    return OperatingSystem(
        platform=sources.platform,
        name=_name(sources),
        kernel=platform.release(),
        architecture=platform.machine(),
        container=_container(sources.root) if sources.platform == "linux" else "",
    )


def _name(sources: Sources) -> str:
    if sources.platform == "linux":
        for line in read_text(sources.root / "etc/os-release").splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return "".join(shlex.split(value))
        return "Linux"
    if sources.platform == "darwin":
        return f"macOS {sources.sysctl('kern.osproductversion')}".strip()
    return platform.platform()


def _container(root: Path) -> str:
    signs = {
        "kubernetes": root / "var/run/secrets/kubernetes.io",
        "podman": root / "run/.containerenv",
        "docker": root / ".dockerenv",
    }
    for name, sign in signs.items():
        if sign.exists():
            return name
    if "microsoft" in read_text(root / "proc/sys/kernel/osrelease").lower():
        return "wsl"
    return read_text(root / "run/systemd/container")

"""What comes from the system: compilers, Python's venv module, Qt's libraries, tests' servers."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootstrap.console import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bootstrap.console import Console


@dataclass(frozen=True, slots=True)
class Need:
    """Something that is missing.

    Attributes:
        name: what the system calls it.
        package: Debian's package of it.
        service: what that package would start, and start again with the machine; "" for nothing.
    """

    name: str
    package: str
    service: str = ""


QT_LIBRARIES: Final = (
    Need("libglib-2.0.so.0", "libglib2.0-0"),
    Need("libGL.so.1", "libgl1"),
    Need("libEGL.so.1", "libegl1"),
    Need("libxkbcommon.so.0", "libxkbcommon0"),
    Need("libfontconfig.so.1", "libfontconfig1"),
    Need("libfreetype.so.6", "libfreetype6"),
    Need("libdbus-1.so.3", "libdbus-1-3"),
)
X11_LIBRARIES: Final = (
    Need("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
    Need("libxcb-cursor.so.0", "libxcb-cursor0"),
    Need("libxcb-icccm.so.4", "libxcb-icccm4"),
    Need("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    Need("libxcb-shape.so.0", "libxcb-shape0"),
)
FONT: Final = Need("a font", "fonts-dejavu-core")
TEST_PROGRAMS: Final = (
    Need("nginx", "nginx-light", service="nginx"),
    Need("sshd", "openssh-server", service="ssh"),
    Need("ssh", "openssh-client"),
    Need("ip", "iproute2"),
    Need("ps", "procps"),
    Need("openssl", "openssl"),
)
"""What others wrote and some tests talk to."""
POLICY: Final = Path("/usr/sbin/policy-rc.d")
"""Debian asks this program whether a service may start."""
_QUIETLY: Final = """\
set -e
policy=$1 services=$2
shift 2
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\\nexit 101\\n' >"$policy"
    chmod 755 "$policy"
fi
"$@"
for service in $services; do
    update-rc.d "$service" disable
done
"""
_SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where programs are that a user's own PATH may leave out."""
_FONT_FOLDERS: Final = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
)


def can_load(library: str) -> bool:
    """Whether the dynamic linker finds `library`."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def missing_libraries(*, x11: bool, loads: Callable[[str], bool] = can_load) -> list[Need]:
    """The libraries that Qt needs of a Linux system and does not find.

    Args:
        x11: count those for a window on an X11 display too; Wayland needs none of them.
        loads: whether a library can be loaded.
    """
    if platform.system() != "Linux":
        return []
    needed = [*QT_LIBRARIES, *(X11_LIBRARIES if x11 else ())]
    return [need for need in needed if not loads(need.name)]


def missing_for_window(loads: Callable[[str], bool] = can_load) -> list[Need]:
    """What a window on any display needs and does not find, a font to write with included."""
    missing = missing_libraries(x11=True, loads=loads)
    return missing if platform.system() != "Linux" or _has_font() else [*missing, FONT]


def missing_for_setup(*, venv: bool, engine: bool) -> list[Need]:
    """What making `venv` and building `engine` need of the system and do not find."""
    missing = []
    if venv and not _imports("ensurepip"):
        name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        missing.append(Need("Python's venv module", name))
    if engine and platform.system() != "Windows":
        if not (os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")):
            missing.append(Need("a C compiler", "gcc"))
        if not (os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")):
            missing.append(Need("a C++ compiler", "g++"))
    return missing


def missing_for_tests() -> list[Need]:
    """The programs that some tests need of a Linux system and do not find."""
    if platform.system() != "Linux":
        return []
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    return [need for need in TEST_PROGRAMS if shutil.which(need.name, path=folders) is None]


def apt_command(packages: Iterable[str]) -> list[str]:
    """The command that installs Debian packages, without `sudo`."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]


def quietly(command: list[str], services: Sequence[str], policy: Path = POLICY) -> list[str]:
    """The command, so that no service which it installs is started, now or with the machine."""
    if not services:
        return command
    return ["sh", "-c", _QUIETLY, "sh", str(policy), " ".join(services), *command]


def how_to_get(needs: Sequence[Need]) -> str:
    """One line for the user: what to run or to install for `needs`."""
    if shutil.which("apt-get"):
        command = ["apt-get", "install", *(need.package for need in needs)]
        return " ".join(command if _is_root() else ["sudo", *command])
    if platform.system() == "Darwin":
        return "xcode-select --install"
    return "install " + ", ".join(need.name for need in needs)


def install(needs: Sequence[Need], console: Console, *, allowed: bool) -> bool:
    """Install `needs` with apt-get where it may run without asking; says whether it did."""
    prefix = _privilege() if allowed and shutil.which("apt-get") else None
    if prefix is None:
        return False
    names = ", ".join(need.name for need in needs)
    services = [need.service for need in needs if need.service]
    command = [*prefix, *quietly(apt_command(need.package for need in needs), services)]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with console.step(f"Debian packages for: {names}"):
        console.note(" ".join([*prefix, *apt_command(need.package for need in needs)]))
        try:
            try:
                console.run(command, pick=_apt_news, environment=environment)
            except ProgramError:  # usually package lists that are missing or old
                console.run([*prefix, "apt-get", "update"], environment=environment)
                console.run(command, pick=_apt_news, environment=environment)
        except ProgramError as error:
            console.note(f"apt-get failed: {error.tail.strip().splitlines()[-1:]}")
            return False
    return True


def _apt_news(line: str) -> str:
    """The lines of apt-get that say what it does."""
    return line.strip() if line.startswith(("Get:", "Unpacking", "Setting up")) else ""


def _privilege() -> list[str] | None:
    """What to put before a command that root must run; None when that would need a password."""
    if _is_root():
        return []
    if not shutil.which("sudo"):
        return None
    sudo = [shutil.which("sudo") or "sudo", "-n"]
    asked = subprocess.run([*sudo, "true"], capture_output=True, check=False)
    return sudo if asked.returncode == 0 else None


def _is_root() -> bool:
    return platform.system() != "Windows" and os.geteuid() == 0


def _imports(module: str) -> bool:
    """Whether this Python has a module (Debian leaves ensurepip out)."""
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def _has_font() -> bool:
    """Whether any scalable font is installed; without one Qt draws boxes."""
    folders = (Path(folder).expanduser() for folder in _FONT_FOLDERS)
    return any(
        next(folder.rglob(kind), None) for folder in folders for kind in ("*.[to]tf", "*.ttc")
    )

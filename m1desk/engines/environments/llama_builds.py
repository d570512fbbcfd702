"""Ready-made builds of llama.cpp: which of them suit a machine, and whether one would be better."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from m1desk.errors import BadInput
from m1desk.store import resource_folder

if TYPE_CHECKING:
    from m1desk.hardware import Accelerator, Machine

_CPU: Final = "CPU"
_ALIASES: Final = {"hip": "ROCm", "mtl": "Metal", "blas": _CPU}
"""What llama.cpp calls a backend, where it is better known by another name."""


@dataclass(frozen=True, slots=True)
class LlamaBuild:
    """A kind of wheel that the makers of llama-cpp-python publish.

    Attributes:
        name: in their index, such as "cu124".
        backend: "CUDA", "ROCm", "Metal", "Vulkan" or "CPU".
        vendors: of the GPUs that it can use; empty for none.
        driver: the oldest major version of NVIDIA's driver.
        capability: NVIDIA's compute capabilities, from and to.
        needs: what must be on the machine, in words.
        index: where its wheels are listed.
    """

    name: str
    backend: str
    platforms: tuple[str, ...]
    vendors: tuple[str, ...]
    driver: int
    capability: tuple[float, float]
    needs: str
    index: str

    def suits(self, machine: Machine) -> bool:
        """Whether it runs there, and if it is for GPUs, uses one."""
        if machine.system.platform not in self.platforms:
            return False
        return not self.vendors or any(map(self.can_use, machine.accelerators))

    def can_use(self, device: Accelerator) -> bool:
        """Whether it can compute on a device; a driver that is unknown counts as new enough."""
        if device.vendor not in self.vendors:
            return False
        driver, capability = _number(device.driver), _number(device.compute_capability)
        new_enough = not self.driver or driver is None or driver >= self.driver
        return new_enough and (
            device.vendor != "nvidia"
            or capability is None
            or self.capability[0] <= capability <= self.capability[1]
        )


@dataclass(frozen=True, slots=True)
class LlamaAdvice:
    """What the build in use makes of a machine.

    Attributes:
        in_use: the backends of the build in use; empty where the engine gave no answer.
        unused: names of the accelerators that it can't use.
        better: a build that could use one of them; None where there is none.
        reason: a whole sentence.
    """

    in_use: tuple[str, ...]
    unused: tuple[str, ...]
    better: LlamaBuild | None
    reason: str


def known_builds() -> tuple[LlamaBuild, ...]:
    """All builds that are published, the preferred ones first."""
    text = (resource_folder() / "engines" / "llama_cpp_builds.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return tuple(_build(fields, table["index"]) for fields in table["builds"])


def find_build(name: str) -> LlamaBuild:
    """The build of that name; raises BadInput when none is published under it."""
    builds = known_builds()
    for build in builds:
        if build.name == name:
            return build
    names = ", ".join(build.name for build in builds)
    raise BadInput(f'There is no build "{name}" of llama.cpp.', "", f"There are: {names}.")


def backends_of(machine: Machine) -> tuple[str, ...]:
    """The backends of the build in use, by their usual names."""
    return backend_names(device.backend for device in machine.engine_devices)


def backend_names(names: Any) -> tuple[str, ...]:  # noqa: ANN401 - any iterable of texts
    """Backends by their usual names, each once."""
    return tuple(dict.fromkeys(_ALIASES.get(name.lower(), name) for name in names))


def advise(machine: Machine) -> LlamaAdvice:
    """Whether another build of llama.cpp would do more with this machine."""
    in_use = backends_of(machine)
    devices = [device for device in machine.accelerators if not device.part_of]
    unused = [device for device in devices if not device.usable_by_engine]
    names = tuple(device.name for device in unused)
    if not in_use:
        note = "The engine did not say what it was built for."
        return LlamaAdvice(in_use, names, None, note)
    if not devices:
        return LlamaAdvice(in_use, (), None, "There is no GPU that another build could use.")
    if not unused:
        return LlamaAdvice(in_use, (), None, "The build in use reaches every GPU.")
    for build in known_builds():
        if build.suits(machine) and any(map(build.can_use, unused)):
            reason = (
                f"The build in use ({', '.join(in_use)}) can't use {', '.join(names)}; "
                f"{build.name} ({build.backend}) can. It needs {build.needs}."
            )
            return LlamaAdvice(in_use, names, build, reason)
    return LlamaAdvice(
        in_use, names, None, f"No ready-made build is published that can use {', '.join(names)}."
    )


def _build(fields: dict[str, Any], index: str) -> LlamaBuild:
    first, last = fields["capability"]
    return LlamaBuild(
        name=fields["name"],
        backend=fields["backend"],
        platforms=tuple(fields["platforms"]),
        vendors=tuple(fields["vendors"]),
        driver=int(fields["driver"]),
        capability=(float(first), float(last)),
        needs=fields["needs"],
        index=f"{index}{fields['name']}",
    )


def _number(text: str) -> float | None:
    """The leading number of "580.65.06" or "8.9"; None where there is none."""
    found = re.match(r"\d+(\.\d+)?", text)
    return float(found[0]) if found else None

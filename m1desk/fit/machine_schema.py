"""The JSON form of a machine, checked field by field. Importing this loads pydantic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from m1desk.errors import BadInput
from m1desk.fit.machines import HardwareClass, PlanDevice, PlanMachine

_GIB: Final = 1 << 30
_GIGA: Final = 1e9
_TERA: Final = 1e12


class _DeviceFields(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    hardware_class: HardwareClass
    count: Annotated[int, Field(ge=1, le=64)] = 1
    memory_gib: Annotated[float, Field(gt=0)]
    used_gib: Annotated[float, Field(ge=0)] = 0.0
    bandwidth_gb_s: Annotated[float, Field(gt=0)]
    half_precision_tflops: Annotated[float, Field(gt=0)]
    link_gb_s: Annotated[float, Field(gt=0)] = 25.0
    raisable_to_gib: Annotated[float, Field(ge=0)] = 0.0
    raise_hint: str = ""
    power_watts: Annotated[float | None, Field(gt=0)] = None


class _MachineFields(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    unified: bool = False
    ram_gib: Annotated[float, Field(gt=0)]
    ram_used_gib: Annotated[float, Field(ge=0)] = 2.0
    ram_bandwidth_gb_s: Annotated[float, Field(gt=0)]
    cpu_tflops: Annotated[float, Field(gt=0)]
    devices: tuple[_DeviceFields, ...] = ()
    disk_gb_s: Annotated[float, Field(gt=0)] = 5.0
    idle_watts: Annotated[float | None, Field(ge=0)] = None
    busy_watts: Annotated[float | None, Field(gt=0)] = None
    price_usd: Annotated[float | None, Field(gt=0)] = None
    sources: tuple[str, ...] = ()


def machine_of(identifier: str, data: object) -> PlanMachine:
    """Make a machine of JSON data; raises BadInput that names the fields that are wrong."""
    try:
        fields = _MachineFields.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in one['loc']) or 'the file'}: {one['msg']}"
            for one in error.errors()
        )
        raise BadInput(
            f'The machine "{identifier}" is not described rightly.',
            f"{problems}.",
            "Correct these fields (docs/fit.md names all of them).",
        ) from error
    return PlanMachine(
        id=identifier,
        name=fields.name,
        unified=fields.unified,
        ram_total_bytes=_gib(fields.ram_gib),
        ram_used_bytes=_gib(fields.ram_used_gib),
        ram_bandwidth=fields.ram_bandwidth_gb_s * _GIGA,
        cpu_flops=fields.cpu_tflops * _TERA,
        devices=tuple(_devices(fields)),
        disk_bandwidth=fields.disk_gb_s * _GIGA,
        idle_watts=fields.idle_watts,
        busy_watts=fields.busy_watts,
        price_usd=fields.price_usd,
        set_up=True,
        sources=fields.sources,
    )


def _devices(fields: _MachineFields) -> Iterator[PlanDevice]:
    for device in fields.devices:
        for number in range(device.count):
            yield PlanDevice(
                name=f"{device.name} {number + 1}" if device.count > 1 else device.name,
                hardware_class=device.hardware_class,
                total_bytes=_gib(device.memory_gib),
                used_bytes=_gib(device.used_gib),
                bandwidth=device.bandwidth_gb_s * _GIGA,
                flops=device.half_precision_tflops * _TERA,
                link_bandwidth=device.link_gb_s * _GIGA,
                raisable_bytes=_gib(device.raisable_to_gib),
                raise_hint=device.raise_hint,
                power_watts=device.power_watts,
            )


def _gib(size: float) -> int:
    return round(size * _GIB)

"""The speed model against published measurements: one efficiency for each class of hardware.

    python -m bench.speed            # the table, leave-one-out beside it
    python -m bench.speed --write    # and put the fitted efficiencies into resources/

Fitted: one number a class, the one with the least median of |log(predicted / measured)| over all
its prefill and decode rows. A class with one row has nothing to be tested against.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from m1desk.fit import (
    Efficiencies,
    PlanMachine,
    Variant,
    Wished,
    load_machine,
    machine_from_json,
    plan,
    preset_names,
    variant_from_config,
    variant_from_table,
)
from m1desk.fit.machines import HardwareClass

DATA = Path(__file__).with_name("published_speeds.json")
WRITTEN = Path(__file__).parent.parent / "resources" / "efficiencies.json"
START = {"nvidia": 0.65, "nvidia_unified": 0.6, "nvidia_datacenter": 0.5, "amd": 0.6,
         "amd_unified": 0.6, "apple": 0.45, "intel": 0.5, "cpu": 0.55}  # fmt: skip
GRID = [0.02 * 1.02**step for step in range(220)]


@dataclass(frozen=True)
class Measured:
    """One published figure."""

    label: str
    machine: PlanMachine
    variant: Variant
    wished: Wished
    kind: str
    tokens_per_second: float
    hardware_class: HardwareClass

    def predicted(self, efficiencies: Efficiencies) -> float:
        fit = plan(self.machine, self.variant, self.wished, efficiencies=efficiencies)
        return (fit.decode if self.kind == "decode" else fit.prefill).middle

    def error(self, efficiencies: Efficiencies) -> float:
        return self.predicted(efficiencies) / self.tokens_per_second - 1


def read_measurements() -> list[Measured]:
    """All published figures, prefill and decode apart."""
    data = json.loads(DATA.read_text())
    found = []
    for row in data["rows"]:
        name = row["machine"]
        machine = (
            load_machine(name)
            if name in preset_names()
            else machine_from_json(name, data["machines"][name])
        )
        model = data["models"][row["model"]]
        if "table" in model:
            variant = variant_from_table(row["model"], "", model["table"])
        else:
            variant = variant_from_config(model["config"], row["model"], model["quantization"])
        context = max(row["depth"] + 4096, row["ubatch"])
        wished = Wished(context, ubatch_tokens=row["ubatch"], depth_tokens=row["depth"])
        label = f"{row['model']} on {name}, depth {row['depth']}, batch {row['ubatch']}"
        for kind in ("prefill", "decode"):
            on_cpu = kind == "decode" and "on CPU" in name
            found.append(
                Measured(
                    label,
                    machine,
                    variant,
                    wished,
                    kind,
                    row[kind],
                    "cpu" if on_cpu else machine.hardware_class,
                )
            )
    return found


def fit(measured: list[Measured]) -> Efficiencies:
    """One efficiency a class; twice round, because rows with the experts in main memory use two."""
    efficiencies = Efficiencies(dict(START))
    for _ in range(2):
        for name in sorted({one.hardware_class for one in measured}):
            own = [one for one in measured if one.hardware_class == name]
            efficiencies = best(own, name, efficiencies)
    return efficiencies


def best(own: list[Measured], name: HardwareClass, start: Efficiencies) -> Efficiencies:
    def loss(value: float) -> tuple[float, float]:
        tried = Efficiencies({**start.by_class, name: value})
        logs = [abs(math.log(one.predicted(tried) / one.tokens_per_second)) for one in own]
        return round(median(logs), 3), mean(logs)

    return Efficiencies({**start.by_class, name: min(GRID, key=loss)})


def left_out(measured: list[Measured], fitted: Efficiencies) -> dict[int, float]:
    """Each row's error when the rest of its class is what it is fitted to."""
    errors = {}
    for number, one in enumerate(measured):
        # prefill and decode of one run, and of the same model on the same machine, go together
        rest = [
            other
            for other in measured
            if other.hardware_class == one.hardware_class
            and (other.variant.model, other.machine.id) != (one.variant.model, one.machine.id)
        ]
        if rest:
            errors[number] = one.error(best(rest, one.hardware_class, fitted))
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the fitted efficiencies")
    options = parser.parse_args()
    measured = read_measurements()
    fitted = fit(measured)
    alone = left_out(measured, fitted)
    print(f"{'':92} {'measured':>9} {'predicted':>9} {'error':>7} {'left out':>9}")
    for number, one in enumerate(measured):
        apart = f"{alone[number]:+.0%}" if number in alone else "-"
        print(
            f"{one.label[:82]:82} {one.kind:9} {one.tokens_per_second:9.1f} "
            f"{one.predicted(fitted):9.1f} {one.error(fitted):+7.0%} {apart:>9}"
        )
    errors = [abs(one.error(fitted)) for one in measured]
    used = sorted({one.hardware_class for one in measured})
    print("efficiencies:", {name: round(fitted.of(name), 3) for name in used})
    for name in used:
        own = [abs(one.error(fitted)) for one in measured if one.hardware_class == name]
        print(f"  {name}: {len(own)} rows, median error {median(own):.0%}")
    for kind in ("prefill", "decode"):
        own = [abs(one.error(fitted)) for one in measured if one.kind == kind]
        print(f"  {kind}: {len(own)} rows, median error {median(own):.0%}")
    print(f"median error {median(errors):.0%} over {len(errors)} rows")
    print(
        f"median error {median(map(abs, alone.values())):.0%} over {len(alone)} rows, each left "
        "out of its own fit"
    )
    if options.write:
        write(fitted, used)


def write(fitted: Efficiencies, used: list[HardwareClass]) -> None:
    data = {
        "source": "Fitted by bench/speed.py to published measurements (bench/published_speeds.json)"
        f" for {', '.join(used)}; the others are assumed.",
        "efficiencies": {name: round(value, 3) for name, value in fitted.by_class.items()},
    }
    WRITTEN.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()

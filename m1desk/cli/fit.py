"""`m1desk fit`: which variants of a model fit a machine, how fast, and what would help."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import typer

from m1desk.cli.session import say
from m1desk.engines import efficiencies_measured_here
from m1desk.engines.fingerprint import machine_fingerprint
from m1desk.engines.spec import child_environment, module_command
from m1desk.errors import BadInput
from m1desk.fit import (
    Efficiencies,
    FitPlan,
    PlanMachine,
    Range,
    SpeedRecord,
    Variant,
    Wished,
    assumption_lines,
    assumptions_for,
    exact_needs,
    fitted_efficiencies,
    is_known,
    known_variants,
    load_machine,
    machine_from_probe,
    plan,
    plan_cost,
    quantizations,
    read_records,
    size_text,
    variant_from_config,
    variant_from_header,
)
from m1desk.hardware import probe_machine
from m1desk.models import Hub, hub_settings, load_catalog, read_gguf_header
from m1desk.store import Database, Folders, Measurements, SettingsStore

if TYPE_CHECKING:
    from m1desk.fit import ExactNeeds

_THIS: Final = "this"
_WORDS: Final = {
    "fits_gpu": "GPU",
    "fits_offload": "partly RAM",
    "fits_disk": "from disk",
    "does_not_fit": "no",
}
_WORKER: Final = "m1desk.llama_worker"


@dataclass(frozen=True, slots=True)
class FitOptions:
    """The command line.

    Attributes:
        model: a GGUF file, a known model's name, or a repository with GGUF files.
        variants: quantizations; empty: all.
        machine: a preset, a file, or "this".
        exact: ask the engine instead of the formulas.
        cost: print what tokens cost on this machine, rented, and from an API.
        history: instead, what was predicted for real answers here beside what they gave.
    """

    model: str
    variants: tuple[str, ...]
    machine: str
    wished: Wished
    exact: bool
    cost: bool
    as_json: bool
    history: bool = False


def fit(options: FitOptions) -> None:
    """Print the plan of each variant; raises M1DeskError."""
    if options.history:
        _print_history(as_json=options.as_json)
        return
    if not options.model:
        raise BadInput("No model is named.", "", "Give a GGUF file, or a model's name.")
    here = _machine(options.machine)
    everything = _variants(options.model, options.variants)
    exact = tuple(_asked(everything, options.wished)) if options.exact else ()
    plans = tuple(
        plan(
            here.machine,
            one,
            options.wished,
            efficiencies=here.efficiencies,
            others=everything,
            exact=exact[number].needs if exact else None,
        )
        for number, one in enumerate(everything)
    )
    if options.as_json:
        typer.echo(json.dumps(_report(options, here, plans), indent=2))
        return
    for line in _lines(here, options.wished, plans):
        typer.echo(line)
    for one, found in zip(plans, exact, strict=False):
        buffers = ", ".join(f"{name} {size_text(size)}" for name, size in found.compute.items())
        typer.echo(f"{one.variant.name}: the engine's compute buffers: {buffers}")
    if options.cost:
        for line in _cost_lines(plans):
            typer.echo(line)


@dataclass(frozen=True, slots=True)
class _Here:
    """The machine that is planned for, what is reached on it, and this one's real runs."""

    machine: PlanMachine
    efficiencies: Efficiencies
    records: tuple[SpeedRecord, ...] = ()


def _machine(name: str) -> _Here:
    """The machine, and what is reached on it: of this one, what was measured."""
    if name != _THIS:
        return _Here(load_machine(name), fitted_efficiencies())
    folders = Folders.resolve()
    with Database(folders.database) as database:
        measurements = Measurements(database)
        machine = machine_from_probe(probe_machine((folders.models,), measurements=measurements))
        efficiencies = efficiencies_measured_here(measurements, machine)
        records = read_records(measurements, machine_fingerprint())
    return _Here(machine, efficiencies, records)


def _variants(model: str, chosen: Sequence[str]) -> tuple[Variant, ...]:
    path = Path(model).expanduser()
    if path.suffix.lower() == ".gguf" or path.is_file():
        return (variant_from_header(read_gguf_header(path)),)
    if is_known(model):
        return known_variants(model, chosen)
    entry = load_catalog().find(model)
    if entry is not None and is_known(entry.name):
        return known_variants(entry.name, chosen)
    repositories = entry.gguf_repositories if entry is not None else ()
    if not repositories and "/" in model:
        repositories = (model,)
    if repositories:
        return tuple(_from_hub(repositories[0], chosen))
    return known_variants(model, chosen)  # which says what is known


def _from_hub(repository: str, chosen: Sequence[str]) -> Iterator[Variant]:
    """Variants of a repository, exact, by their headers; weights don't travel.

    Of a repository without GGUF files, what converting and quantizing its checkpoint would give.
    """
    folders = Folders.resolve()
    with Database(folders.database) as database:
        hub = Hub(hub_settings(SettingsStore(database).load()))
    found = hub.repository(repository)
    ggufs = [variant for variant in found.variants if variant.format == "gguf"]
    if not ggufs:
        config = hub.safetensors_model(repository, found.commit).config
        name = repository.rsplit("/", maxsplit=1)[-1]
        yield from (variant_from_config(config, name, one) for one in chosen or quantizations())
        return
    wanted = {name.casefold() for name in chosen}
    for variant in ggufs:
        if wanted and variant.name.casefold() not in wanted:
            continue
        say(f"Reading the header of {variant.name} ...")
        header = hub.gguf_header(repository, variant.main_file.path, found.commit)
        yield replace(variant_from_header(header), name=variant.name)


def _asked(variants: Sequence[Variant], wished: Wished) -> Iterator[ExactNeeds]:
    """What the engine itself says of each."""
    command, environment = module_command(_WORKER), child_environment()
    for variant in variants:
        say(f"Asking the engine about {variant.name} ...")
        yield exact_needs(variant, wished, command, environment)


def _report(options: FitOptions, here: _Here, plans: Sequence[FitPlan]) -> dict[str, object]:
    report: dict[str, object] = {
        "model": plans[0].variant.model if plans else options.model,
        "machine": {"id": here.machine.id, "name": here.machine.name},
        "context_tokens": options.wished.context_tokens,
        "kv_type": options.wished.kv_type,
        "parallel": options.wished.parallel,
        "ubatch_tokens": options.wished.ubatch_tokens,
        "exact": options.exact,
        "variants": [one.to_json() for one in plans],
    }
    if options.cost:
        report["cost"] = [_cost_json(one) for one in plans]
    return report


def _lines(here: _Here, wished: Wished, plans: Sequence[FitPlan]) -> Iterator[str]:
    if not plans:
        raise BadInput("There is no such variant.", "", "Leave --variant out to see all.")
    yield (
        f"{plans[0].variant.model} on {here.machine.name}, {wished.context_tokens:,} tokens of "
        f"context, {wished.kv_type} KV cache (estimates)"
    )
    yield ""
    yield (
        f"{'variant':10} {'weights':>9} {'KV':>9} {'state':>9} {'compute':>9} {'total':>9}  "
        f"{'fits':11} {'longest':>10}  {'prefill tok/s':>14}  {'decode tok/s':>13}"
    )
    for one in plans:
        needs = one.needs
        sizes = (needs.weights, needs.kv_cache, needs.state, needs.compute, needs.total)
        columns = " ".join(f"{size_text(size):>9}" for size in sizes)
        yield (
            f"{one.variant.name:10} {columns}  {_WORDS[one.verdict]:11} "
            f"{one.max_context_tokens:>10,}  {_range(one.prefill):>14}  {_range(one.decode):>13}"
        )
    for one in plans:
        yield ""
        yield f"{one.variant.name}: {' '.join(one.reasons)}"
        yield (
            f"  {wished.input_tokens:,} tokens in: the first token after "
            f"{_seconds(one.first_token_seconds)}; with {wished.output_tokens:,} out: "
            f"{_seconds(one.total_seconds)}."
        )
        yield from _measured(here.records, one.variant)
        yield from (f"  {change.text}" for change in one.changes[1:])


def _measured(records: Sequence[SpeedRecord], variant: Variant) -> Iterator[str]:
    """What real answers of this variant gave here; nothing where there were none."""
    own = [one for one in records if (one.model, one.variant) == (variant.model, variant.name)]
    decodes = [one.actual_decode for one in own if one.actual_decode]
    prefills = [one.actual_prefill for one in own if one.actual_prefill]
    speeds = [
        f"{word} {median(found):.1f} tok/s ({len(found)} answer{'s' if len(found) > 1 else ''})"
        for word, found in (("prefill", prefills), ("decode", decodes))
        if found
    ]
    if speeds:
        yield f"  Here, measured: {', '.join(speeds)}."


def _print_history(*, as_json: bool) -> None:
    """Every answer on this machine that was kept: predicted beside actual, the newest last."""
    with Database(Folders.resolve().database) as database:
        records = read_records(Measurements(database), machine_fingerprint())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in records], indent=2))
        return
    if not records:
        typer.echo("No answer on this machine was long enough to be kept yet.")
        return
    typer.echo(
        f"{'when':16}  {'model':32} {'depth':>9}  {'prefill tok/s':>21}  {'decode tok/s':>21}"
    )
    for one in records:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.time))
        typer.echo(
            f"{when:16}  {f'{one.model} {one.variant}':32.32} {one.depth_tokens:>9,}  "
            f"{_beside(one.predicted_prefill, one.actual_prefill, one.prefill_error):>21}  "
            f"{_beside(one.predicted_decode, one.actual_decode, one.decode_error):>21}"
        )


def _beside(predicted: float, actual: float, error: float) -> str:
    return f"{predicted:.1f} / {actual:.1f} {error:+.0%}" if actual else "-"


def _range(speed: Range) -> str:
    digits = 0 if speed.high >= 10 else 1
    return f"{speed.low:.{digits}f}-{speed.high:.{digits}f}"


def _seconds(time: Range) -> str:
    if time.high >= 7200:
        return f"{time.low / 3600:.1f}-{time.high / 3600:.1f} h"
    if time.high >= 180:
        return f"{time.low / 60:.0f}-{time.high / 60:.0f} min"
    return f"{time.low:.0f}-{time.high:.0f} s"


def _cost_json(one: FitPlan) -> dict[str, object]:
    given = assumptions_for(one)
    cost = plan_cost(given)
    fields = cost.__slots__
    return {
        "name": one.variant.name,
        **{name: getattr(cost, name) for name in fields},
        "assumptions": list(assumption_lines(given)),
    }


def _cost_lines(plans: Sequence[FitPlan]) -> Iterator[str]:
    yield ""
    yield "Cost in US dollars a month (every figure rests on the assumptions below)"
    shown = None
    for one in plans:
        if one.verdict == "does_not_fit":
            continue
        shown = assumptions_for(one)
        cost = plan_cost(shown)
        months = cost.break_even_months_api
        paid = f"pays off against the API after {months:.0f} months" if months else "never pays off"
        yield (
            f"  {one.variant.name:10} own {cost.own:8.2f} (of it energy {cost.own_energy:.2f}), "
            f"rent {cost.rent:8.2f}, API {cost.api:8.2f}; {cost.busy_hours_month:.0f} h of work; "
            f"{paid}" + ("" if cost.possible else "; a month has not so many hours")
        )
    if shown is not None:
        yield from (f"  {line}" for line in assumption_lines(shown))

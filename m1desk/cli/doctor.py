"""`m1desk doctor`: what this machine has, and whether the engine works on it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import typer

from m1desk import __version__
from m1desk.cli.session import say
from m1desk.engines import calibrate, remembered_calibration, sweep_leftovers
from m1desk.hardware import machine_to_json, machine_to_text, probe_machine
from m1desk.store import Database, Folders, Measurements, keyring_status

if TYPE_CHECKING:
    from m1desk.engines import CalibrationProgress, EngineCalibration


def doctor(*, as_json: bool, measure: bool) -> None:
    """Print the machine and the engine's self-test.

    With `measure`, memory bandwidth is measured, and the engine is tested and calibrated unless
    that is remembered from before.
    """
    folders = Folders.resolve()
    sweep_leftovers(folders.runs)
    machine = probe_machine((folders.models, folders.data), measure_bandwidth=measure)
    calibration = asyncio.run(_engine(folders, measure=measure))
    keyring = keyring_status()
    if as_json:
        report = {
            "version": __version__,
            "machine": machine_to_json(machine),
            "engine": calibration.to_dict() if calibration else None,
            "keyring": {"usable": keyring.usable, "name": keyring.name},
        }
        typer.echo(json.dumps(report, indent=2))
        return
    typer.echo(machine_to_text(machine))
    typer.echo("")
    typer.echo(_engine_text(calibration))
    typer.echo(f"Keyring      {keyring.explanation}")


async def _engine(folders: Folders, *, measure: bool) -> EngineCalibration | None:
    database = Database(folders.database)
    try:
        measurements = Measurements(database)
        remembered = await remembered_calibration(measurements)
        if remembered or not measure:
            return remembered
        say("Testing the engine on this machine and measuring (about 10 s) ...")
        return await calibrate(folders, measurements, _on_progress)
    finally:
        database.close()


def _on_progress(progress: CalibrationProgress) -> None:
    say(f"  {progress.text}")


def _engine_text(calibration: EngineCalibration | None) -> str:
    if calibration is None:
        return "Engine       not tested yet on this machine"
    return "\n".join(f"{'Engine' if not i else '':<13}{line}" for i, line in enumerate(calibration.lines()))

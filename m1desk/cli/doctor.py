"""`m1desk doctor`: what this machine has, and whether the engine works on it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import typer

from m1desk import __version__
from m1desk.cli.session import say, say_calibration
from m1desk.engines import calibrate, remembered_calibration, sweep_leftovers
from m1desk.hardware import machine_to_json, machine_to_text, probe_machine
from m1desk.store import Database, Folders, Measurements, keyring_status

if TYPE_CHECKING:
    from m1desk.engines import EngineCalibration


def doctor(*, as_json: bool, measure: bool, measure_again: bool = False) -> None:
    """Print the machine and the engine's self-test.

    With `measure`, memory bandwidth is measured, and the engine is tested and calibrated unless
    that is remembered from a time when nothing disturbed it. `measure_again` does it anyway.
    """
    folders = Folders.resolve()
    sweep_leftovers(folders)
    with Database(folders.database) as database:
        measurements = Measurements(database)
        machine = probe_machine(
            (folders.models, folders.data), measure_bandwidth=measure, measurements=measurements
        )
        calibration = remembered_calibration(measurements)
        is_good = calibration is not None and not calibration.disturbed
        if measure_again or (measure and not is_good):
            say("Testing the engine on this machine and measuring (about 10 s) ...")
            calibration = asyncio.run(calibrate(folders, measurements, say_calibration))
    keyring = keyring_status()
    if as_json:
        report = {
            "version": __version__,
            "machine": machine_to_json(machine),
            "engine": calibration.to_dict() if calibration else None,
            "keyring": {
                "usable": keyring.usable,
                "backend": keyring.backend,
                "reason": keyring.reason,
            },
        }
        typer.echo(json.dumps(report, indent=2))
        return
    typer.echo(machine_to_text(machine))
    typer.echo("")
    typer.echo(_engine_text(calibration))
    typer.echo(f"Keyring      {keyring.backend if keyring.usable else keyring.reason}")


def _engine_text(calibration: EngineCalibration | None) -> str:
    if calibration is None:
        return "Engine       not tested yet on this machine"
    verdict = {
        "passed": "self-test passed",
        "safe_only": "self-test passed with the safe settings only",
        "failed": "self-test failed",
        "not_run": "self-test not run",
    }[calibration.self_test]
    lines = [f"Engine       {verdict}"]
    if calibration.note:
        lines.append(f"             {calibration.note}")
    if calibration.is_measured:
        flash, extra = _on_off(calibration.flash_attention), _on_off(calibration.extra_buffers)
        lines.append(
            f"             {calibration.threads} threads, flash attention {flash}, "
            f"extra buffers {extra}: on a model of 68 M parameters "
            f"{calibration.decode_tokens_per_second:.0f} tok/s decode, "
            f"{calibration.prefill_tokens_per_second:.0f} tok/s prefill"
        )
    if calibration.flash_attention_gain is not None and not calibration.disturbed:
        lines.append(f"             {_flash_attention_text(calibration.flash_attention_gain)}")
    return "\n".join(lines)


def _flash_attention_text(gain: float) -> str:
    """What flash attention costs or gains, in words."""
    percent = round((gain - 1) * 100)
    if percent == 0:
        return "flash attention is as fast as none here, and saves memory"
    if percent > 0:
        return f"flash attention makes decoding {percent} % faster here, and saves memory"
    return f"flash attention costs {-percent} % of the decode speed here; it saves memory"


def _on_off(switch: bool) -> str:  # noqa: FBT001 - a word for a switch
    return "on" if switch else "off"

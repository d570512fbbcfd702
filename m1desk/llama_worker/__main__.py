"""The worker's door: `python -m m1desk.llama_worker serve`, `selftest`, `calibrate` and so on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise argparse.ArgumentTypeError("must be on or off")
    return text == "on"


def _layers(text: str) -> tuple[int, ...]:
    """Numbers of layers from "0,2,4"; "" is none."""
    try:
        layers = tuple(int(part) for part in text.split(",") if text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("must be numbers of layers, such as 0,2,4") from error
    if min(layers, default=0) < 0:
        raise argparse.ArgumentTypeError("a layer's number can't be negative")
    return layers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="m1desk.llama_worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="load a model and answer over HTTP on 127.0.0.1")
    serve.add_argument("--model", type=Path, required=True)
    serve.add_argument("--alias", default="")
    serve.add_argument("--port", type=int, default=0)
    serve.add_argument("--context", type=int, required=True, help="context length (tokens)")
    serve.add_argument("--parallel", type=int, default=4, help="requests served at once")
    serve.add_argument("--gpu-layers", type=int, default=-1)
    serve.add_argument("--cpu-expert-layers", type=_layers, default=(), help="such as 0,2,4")
    serve.add_argument("--kv-type", default="f16")
    serve.add_argument("--ubatch", type=int, default=512)
    serve.add_argument("--threads", type=int, default=0)
    serve.add_argument("--threads-batch", type=int, default=0)
    serve.add_argument("--flash-attention", type=_switch, default=True)
    serve.add_argument("--extra-buffers", type=_switch, default=True)
    serve.add_argument(
        "--state-bytes", type=int, default=0, help="for saved states; 0: a share of memory"
    )
    serve.add_argument(
        "--states", type=Path, default=None, help="folder for prepared documents; none without it"
    )
    selftest = commands.add_parser(
        "selftest", help="compute once; dies where the build does not fit"
    )
    selftest.add_argument("--model", type=Path, default=None)
    selftest.add_argument("--question", default="", help="for a model that can answer it")
    selftest.add_argument("--expect", default="", help="words that must be in the answer")
    selftest.add_argument("--extra-buffers", type=_switch, default=True)
    calibrate = commands.add_parser("calibrate", help="measure threads and settings")
    calibrate.add_argument("--extra-buffers", type=_switch, default=True)
    commands.add_parser("devices", help="the accelerators the engine sees")
    dry = commands.add_parser("dry-run", help="what a model would take, without its weights")
    dry.add_argument("--header", type=Path, action="append", required=True, help="once a part")
    dry.add_argument("--size", type=int, action="append", default=[], help="full size (bytes)")
    dry.add_argument("--context", type=int, required=True, help="context length (tokens)")
    dry.add_argument("--parallel", type=int, default=1)
    dry.add_argument("--gpu-layers", type=int, default=-1)
    dry.add_argument("--cpu-expert-layers", type=_layers, default=())
    dry.add_argument("--kv-type", default="f16")
    dry.add_argument("--ubatch", type=int, default=512)
    dry.add_argument("--flash-attention", type=_switch, default=True)
    dry.add_argument("--outputs", type=int, default=0, help="rows of logits; 0: one a token")
    commands.add_parser("build-info", help="which build of the engine this is")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status says whether it worked."""
    options = _parser().parse_args(arguments)
    # each command imports only what it needs: a crash of one library must not reach the others
    if options.command == "serve":
        from m1desk.llama_worker.engine import EngineOptions  # noqa: PLC0415
        from m1desk.llama_worker.serve import serve  # noqa: PLC0415

        return serve(
            options.port,
            EngineOptions(
                path=options.model,
                alias=options.alias,
                context_tokens=options.context,
                parallel=options.parallel,
                gpu_layers=options.gpu_layers,
                kv_type=options.kv_type,
                ubatch_tokens=options.ubatch,
                threads=options.threads,
                threads_batch=options.threads_batch,
                flash_attention=options.flash_attention,
                extra_buffers=options.extra_buffers,
                state_bytes=options.state_bytes,
                states=options.states,
                cpu_expert_layers=options.cpu_expert_layers,
            ),
        )
    if options.command == "selftest":
        from m1desk.llama_worker.selftest import Probe, run_selftest  # noqa: PLC0415

        probe = Probe(options.question, options.expect) if options.question else None
        return run_selftest(options.model, extra_buffers=options.extra_buffers, probe=probe)
    if options.command == "calibrate":
        from m1desk.llama_worker.calibrate import run_calibration  # noqa: PLC0415

        return run_calibration(allow_extra_buffers=options.extra_buffers)
    if options.command == "devices":
        from m1desk.llama_worker.devices import main as list_devices  # noqa: PLC0415

        return list_devices()
    if options.command == "dry-run":
        from m1desk.llama_worker.dry_run import DryRunOptions, run_dry  # noqa: PLC0415

        return run_dry(
            DryRunOptions(
                headers=tuple(options.header),
                sizes=tuple(options.size),
                context_tokens=options.context,
                parallel=options.parallel,
                ubatch_tokens=options.ubatch,
                kv_type=options.kv_type,
                gpu_layers=options.gpu_layers,
                flash_attention=options.flash_attention,
                outputs=options.outputs,
                cpu_expert_layers=options.cpu_expert_layers,
            )
        )
    return _print_build_info()


def _print_build_info() -> int:
    from m1desk.llama_worker.native import Native  # noqa: PLC0415

    native = Native()
    information = {
        "library_version": version("llama-cpp-python"),
        "system_info": native.system_info(),
        "build": str(Path(native.lib.__file__).stat().st_mtime_ns),
    }
    sys.stdout.write(json.dumps(information) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

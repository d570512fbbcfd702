"""Predicted memory against what is measured, as tables.

    python -m bench.fit                   # everything, some minutes
    python -m bench.fit --presets         # MiniMax-M1 on each preset, against what was measured
    python -m bench.fit --worker          # the real worker's peak memory
    python -m bench.fit --worker --quick  # six of its combinations
    python -m bench.fit --engine          # the formula against the engine's dry run

The worker's memory is the peak of what it holds (VmHWM) when the whole context has been read, with
every sequence used, less that of a worker with a model of two megabytes. Both predictions count
what the engine takes beside its buffers, too: its graphs, its vocabulary, a processor's work space.

Memory that is reserved but never touched is not held. Of the compute buffer that is the place for a
batch of embeddings, which text leaves empty, and both predictions leave it out. The worker runs
without its limit on the time of a batch: a slow machine would never fill one of 2048 tokens.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.fit_models import write_model
from support.worker import Worker, running_worker

from m1desk.fit import (
    Needs,
    Variant,
    Wished,
    load_machine,
    plan,
    preset_names,
    variant_from_config,
    variant_from_header,
)
from m1desk.fit.data import read_resource
from m1desk.fit.exact import exact_needs
from m1desk.fit.formulas import (
    compute_bytes,
    graph_bytes,
    kv_cache_bytes,
    state_bytes,
    unused_input_bytes,
    vocabulary_bytes,
    work_bytes,
)
from m1desk.llama_worker.tiny_model import TinyModelSpec, write_tiny_model
from m1desk.models import read_gguf_header

MIB = 1 << 20
GIB = 1 << 30
COMMAND = [sys.executable, "-m", "m1desk.llama_worker"]
MEASURED = [sys.executable, "-m", "bench.full_batches"]
ARCHITECTURES = ("llama", "qwen3", "minimax-01")
# facts measured on a full-size, weightless MiniMax-M1 with llama-cpp-python 0.3.36
WEIGHTS_GIB = {"BF16": 849.6, "Q8_0": 451.4, "Q6_K": 348.5, "Q5_K_M": 301.8, "Q4_K_M": 257.9,
               "IQ4_XS": 230.2, "Q3_K_M": 203.9, "IQ3_XXS": 173.6, "Q2_K": 156.4,
               "IQ2_XXS": 114.4, "IQ1_M": 99.0, "IQ1_S": 89.9}  # fmt: skip
KV_BYTES_A_TOKEN = {"f16": 40_960, "q8_0": 21_760, "q4_0": 11_520}
STATE_BYTES = 293_601_280


@dataclass(frozen=True)
class Case:
    """One run of the worker."""

    architecture: str
    context: int
    kv_type: str
    ubatch: int
    parallel: int

    @property
    def wished(self) -> Wished:
        return Wished(
            self.context, parallel=self.parallel, kv_type=self.kv_type, ubatch_tokens=self.ubatch
        )


@dataclass(frozen=True)
class Outcome:
    """Bytes: measured, by the formulas, by the engine's dry run."""

    case: Case
    measured: int
    formula: int
    exact: int


SHAPES = (
    (1024, "f16", 512, 1), (2048, "q8_0", 512, 2), (2048, "f16", 256, 1), (4096, "q8_0", 512, 4),
    (4096, "f16", 1024, 2), (3072, "q8_0", 1024, 1), (6144, "f16", 512, 2), (2048, "q4_0", 512, 4),
    (4096, "f16", 2048, 1),
)  # fmt: skip
QUICK = SHAPES[:2]


def cases(shapes: tuple[tuple[int, str, int, int], ...] = SHAPES) -> list[Case]:
    """The grid: every architecture with every shape."""
    return [Case(name, *shape) for name in ARCHITECTURES for shape in shapes]


def measure(folder: Path, chosen: list[Case]) -> Iterator[Outcome]:
    """Run the worker for each case."""
    base = baseline(folder)
    for case in chosen:
        path = write_model(folder, case.architecture)
        variant = variant_from_header(read_gguf_header(path))
        with running_worker(
            path, context=case.context, kv_type=case.kv_type, ubatch=case.ubatch,
            parallel=case.parallel, threads=1, threads_batch=1, state_bytes=1, program=MEASURED,
        ) as worker:  # fmt: skip
            worker.client.timeout = 3600  # a busy machine is slow
            fill(worker, case)
            peak = peak_bytes(worker.process.pid)
        yield Outcome(case, peak - base, formula(variant, case), exact(variant, case))


def baseline(folder: Path) -> int:
    """What a worker takes beside its model."""
    spec = TinyModelSpec(quantization="Q8_0")
    path = write_tiny_model(folder / "baseline.gguf", spec)
    with running_worker(path, context=256, ubatch=32, parallel=1) as worker:
        worker.complete([5] * 200, max_tokens=2)
        return peak_bytes(worker.process.pid)


def fill(worker: Worker, case: Case) -> None:
    """Use every sequence at once, then fill the whole context with one."""
    if case.parallel > 1:
        with ThreadPoolExecutor(case.parallel) as pool:
            prompts = [[number + 5] * 200 for number in range(case.parallel)]
            list(pool.map(lambda prompt: worker.complete(prompt, max_tokens=4), prompts))
    worker.complete([5] * (case.context - 16), max_tokens=2)


def formula(variant: Variant, case: Case) -> int:
    shape = variant.shape
    return (
        variant.weights_bytes
        + kv_cache_bytes(shape, case.context, case.kv_type)
        + state_bytes(shape, case.parallel)
        + compute_bytes(
            shape, case.context, case.ubatch, kv_type=case.kv_type, outputs=case.parallel
        )
        + beside(variant, case)
    )


def exact(variant: Variant, case: Case) -> int:
    answer = exact_needs(variant, case.wished, COMMAND)
    return answer.needs.total + beside(variant, case)


def beside(variant: Variant, case: Case) -> int:
    """What the engine takes on a processor beside its buffers, less what of them is not touched."""
    shape = variant.shape
    taken = (
        graph_bytes(shape, case.ubatch) + work_bytes(shape, case.ubatch) + vocabulary_bytes(shape)
    )
    return taken - unused_input_bytes(shape, case.context, case.ubatch)


def peak_bytes(pid: int) -> int:
    """The most a process has held so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not say a process's peak memory")


def print_worker(*, quick: bool) -> bool:
    print("Peak memory of the real worker (MiB)")
    print(f"{'':44} {'measured':>9} {'formula':>9} {'':>7} {'exact':>9}")
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for one in measure(Path(folder), cases(QUICK if quick else SHAPES)):
            outcomes.append(one)
            case = one.case
            label = (
                f"{case.architecture}, {case.context} {case.kv_type}, batch {case.ubatch}, "
                f"{case.parallel} seq"
            )
            print(
                f"{label:44} {one.measured / MIB:9.1f} {one.formula / MIB:9.1f} "
                f"{one.formula / one.measured - 1:+7.1%} {one.exact / MIB:9.1f} "
                f"{one.exact / one.measured - 1:+7.1%}",
                flush=True,
            )
    formulas = [abs(one.formula / one.measured - 1) for one in outcomes]
    exacts = [abs(one.exact / one.measured - 1) for one in outcomes]
    print(
        f"{len(outcomes)} combinations: formula at most {max(formulas):.1%} off (median "
        f"{median(formulas):.1%}), exact at most {max(exacts):.1%} (median {median(exacts):.1%})"
    )
    return max(formulas) <= 0.05 and max(exacts) <= 0.02


def print_presets() -> bool:
    print("MiniMax-M1-80k, 131,072 tokens: the largest deviation from what was measured")
    config = read_resource("models/minimax-m1.json")["config"]
    worst = 0.0
    for name in preset_names():
        machine = load_machine(name)
        errors = []
        for quantization, gib in WEIGHTS_GIB.items():
            variant = variant_from_config(config, "MiniMax-M1-80k", quantization)
            for kv_type, each in KV_BYTES_A_TOKEN.items():
                needs: Needs = plan(machine, variant, Wished(131_072, kv_type=kv_type)).needs
                errors += [
                    abs(needs.weights / (gib * GIB) - 1),
                    abs(needs.kv_cache / (each * 131_072) - 1),
                    abs(needs.state / STATE_BYTES - 1),
                ]
        worst = max(worst, *errors)
        print(f"  {name:28} {max(errors):.3%} over {len(errors)} figures")
    return worst <= 0.01


def print_engine() -> bool:
    print("Compute buffers of a full-size MiniMax-M1 (MiB): the formula, the engine's dry run")
    config = read_resource("models/minimax-m1.json")["config"]
    variant = variant_from_config(config, "MiniMax-M1-80k", "Q4_K_M")
    worst = 0.0
    for context, ubatch, flash in (
        (32_768, 512, True), (131_072, 512, True), (1 << 20, 512, True), (131_072, 1024, True),
        (131_072, 2048, True), (131_072, 4096, True), (32_768, 512, False),
        (131_072, 512, False),
    ):  # fmt: skip
        wished = Wished(context, ubatch_tokens=ubatch, flash_attention=flash)
        start = time.perf_counter()
        engine = exact_needs(variant, wished, COMMAND, outputs=0).needs
        seconds = time.perf_counter() - start
        ours = compute_bytes(variant.shape, context, ubatch, flash_attention=flash)
        worst = max(worst, abs(ours / engine.compute - 1))
        print(
            f"  {context:8} tokens, batch {ubatch:4}, flash attention {'on ' if flash else 'off'} "
            f"{ours / MIB:10.1f} {engine.compute / MIB:10.1f} {ours / engine.compute - 1:+6.1%} "
            f"({seconds:.1f} s)"
        )
    return worst <= 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("presets", "worker", "engine", "quick"):
        parser.add_argument(f"--{name}", action="store_true")
    options = parser.parse_args()
    everything = not (options.presets or options.worker or options.engine)
    held = []
    if everything or options.presets:
        held.append(print_presets())
    if everything or options.engine:
        held.append(print_engine())
    if everything or options.worker:
        held.append(print_worker(quick=options.quick))
    print("holds" if all(held) else "does not hold")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

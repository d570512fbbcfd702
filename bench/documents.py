"""A million tokens of documents, from the drop on the window to the text in sight; a large PDF.

Run: python -m bench.documents [--megabytes 4] [--pages 10000] [--model FILE.gguf]

Documents of all formats are made first, four million characters, about a million tokens. They are
dropped on the whole app, which reads them, counts them with the loaded model's tokenizer and shows
their text; meanwhile the stalls of its window and the memory of it and of its readers are watched.
Counting is compared with the bare tokenizer, taking turns. Then a PDF of 10,000 full pages is read
and, once more, cancelled in the middle. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.made_documents import make_documents, make_large_pdf  # noqa: E402 - after the path
from bench.peak_memory import Watch  # noqa: E402 - after the path
from m1desk.documents.reading import read_documents  # noqa: E402 - after the path
from m1desk.documents.values import Document, ExtractionReport, ReadProgress  # noqa: E402 - after the path
from m1desk.models.demo import demo_model  # noqa: E402 - after the path

GOAL_RATIO = 1.5
"""What counting may take of the bare tokenizer's time."""
GOAL_CANCEL_SECONDS = 1.0
CONTEXT_TOKENS = 4096
ROUNDS = 3
MIB = 1 << 20


def in_a_process_of_its_own(make: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - what `make` gives
    """Make something elsewhere: its memory is not that of what is measured here."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(make, *arguments).result()


# -- the window ------------------------------------------------------------------------------------


def in_the_window(paths: Sequence[Path], model: Path, home: Path) -> bool:
    """Drop the documents on the app, and print what it took; whether the goals were met."""
    from bench.whole_app import WholeApp  # noqa: PLC0415 - not in the processes that make files
    from bench.window import measured, tell, wait  # noqa: PLC0415

    app = WholeApp(home)
    try:
        app.load(model, CONTEXT_TOKENS)
        page = app.parts.documents_desk.page
        documents = app.parts.documents_desk.documents
        files, budget = documents.files, documents.budget
        watch = Watch()
        stalls = [
            measured(
                "drop and read",
                lambda: (app.drop(paths), wait(lambda: bool(files.files), 600)),
            ),
            measured("count", lambda: wait(lambda: budget.is_exact, 600)),
            measured("show the text", lambda: show(page, wait)),
            measured("scroll through it", lambda: scroll(page, wait)),
        ]
        peaks = watch.peaks()
        tell_reading([file.report for file in files.files], stalls[0].seconds, peaks)
        met = tell(stalls, as_json=False) == 0
        read = [file.document for file in files.files if file.document is not None]
        return compare_counting(app, read, model) and met
    finally:
        app.close()


def show(page: Any, wait: Callable[..., bool]) -> None:  # noqa: ANN401 - a DocumentsPage
    """Open the viewer, until all text is in it."""
    page.show_viewer(shown=True)
    assert wait(lambda: page.viewer.text.is_loaded, 120)


def scroll(page: Any, wait: Callable[..., bool]) -> None:  # noqa: ANN401 - as above
    """Go through the text from end to end."""
    bar = page.viewer.text.verticalScrollBar()
    for step in range(120):
        bar.setValue(bar.maximum() * step // 119)
        wait(lambda: False, 1 / 60)


def tell_reading(
    reports: Sequence[ExtractionReport], seconds: float, peaks: dict[str, Any]
) -> None:
    """Print how the files were read, and what memory that took."""
    pages = sum(one.pages_read for one in reports)
    characters = sum(one.characters for one in reports)
    outcomes = dict(Counter(one.outcome for one in reports))
    cpu = sum(peaks["reader_cpu"].values())
    print(f"{len(reports)} files {outcomes}, {pages:,} pages, {characters:,} characters")
    print(
        f"dropped and read in {seconds:.1f} s: {pages / seconds:,.0f} pages/s; the readers "
        f"computed for {cpu:.1f} s ({pages / max(cpu, 1e-9):,.0f} pages/s of it)"
    )
    by_kind: dict[str, list[ExtractionReport]] = {}
    for report in reports:
        by_kind.setdefault(report.kind, []).append(report)
    for kind, group in sorted(by_kind.items()):
        read = sum(one.pages_read for one in group)
        took = sum(one.seconds for one in group)
        text = sum(one.characters for one in group)
        print(f"  {kind:10} {read:6,} pages {text:10,} characters {read / took:8,.0f} pages/s")
    print(
        f"peak memory: app {peaks['owner'] // MIB} MiB, largest reader "
        f"{peaks['one_reader'] // MIB} MiB, all readers {peaks['all_readers'] // MIB} MiB"
    )


# -- counting --------------------------------------------------------------------------------------


class BareTokenizer:
    """The bare tokenizer, in a process of its own."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, str(ROOT / "bench" / "bare_tokenizer.py"), str(model)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def count(self, text: str) -> tuple[int, float]:
        """Tokens, and the seconds that it took there."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        tokens, seconds = json.loads(self._process.stdout.readline())
        return tokens, seconds

    def close(self) -> None:
        self._process.communicate()


def compare_counting(app: Any, documents: Sequence[Document], model: Path) -> bool:  # noqa: ANN401 - a WholeApp
    """Count as the app does and barely, taking turns; print the ratio; whether the goal was met."""
    from bench.window import wait  # noqa: PLC0415 - as above

    bare = BareTokenizer(model)
    results: list[list[tuple[float, float, int, int]]] = []
    failures: list[Exception] = []
    work = count_in_turns(app.parts.core.engine.client(), bare, documents)
    app.bridge.submit(work, results.append, failures.append)
    wait(lambda: bool(results or failures), 1200)
    bare.close()
    if failures:
        raise failures[0]
    ratios = [ours / least for ours, least, _, _ in results[0]]
    ours, least, tokens, bare_tokens = results[0][-1]
    print(
        f"counting: {tokens:,} tokens ({bare_tokens:,} barely) in {ours:.2f} s, "
        f"{least:.2f} s barely; ratio {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} rounds)   goal <= {GOAL_RATIO}"
        f"{'   MISSED' if statistics.median(ratios) > GOAL_RATIO else ''}"
    )
    return statistics.median(ratios) <= GOAL_RATIO


async def count_in_turns(
    client: Any,  # noqa: ANN401 - an EngineClient
    bare: BareTokenizer,
    documents: Sequence[Document],
) -> list[tuple[float, float, int, int]]:
    """For each round the app's seconds, the bare ones, and the tokens that each counted."""
    from m1desk.documents import count_documents, lay_out  # noqa: PLC0415 - as above

    texts = [lay_out([one]).text for one in documents]
    rounds = []
    for number in range(ROUNDS + 1):
        ours = least = 0.0
        tokens = bare_tokens = 0
        for document, text in zip(documents, texts, strict=True):
            began = time.perf_counter()
            tokens += sum((await count_documents(client, [document])).values())
            ours += time.perf_counter() - began
            count, seconds = await asyncio.to_thread(bare.count, text)
            bare_tokens += count
            least += seconds
        if number:  # the first round warms up
            rounds.append((ours, least, tokens, bare_tokens))
    return rounds


# -- a large PDF -----------------------------------------------------------------------------------


def large_pdf(path: Path) -> bool:
    """Read it, and cancel it in the middle; print what that took; whether the goal was met."""
    watch = Watch()
    told: list[float] = []
    began = time.perf_counter()
    (result,) = asyncio.run(
        read_documents([path], None, lambda _: told.append(time.perf_counter()))
    )
    seconds = time.perf_counter() - began
    peaks = watch.peaks()
    gap = max(b - a for a, b in zip([began, *told], [*told, began + seconds], strict=True))
    report = result.report
    print(
        f"a PDF of {path.stat().st_size / 1e6:.0f} MB: {report.outcome}, {report.pages_read:,} "
        f"pages, {report.characters:,} characters in {seconds:.1f} s "
        f"({report.pages_read / seconds:,.0f} pages/s); told {len(told)} times, at most "
        f"{gap:.1f} s apart; peak memory: reader {peaks['one_reader'] // MIB} MiB, owner "
        f"{peaks['owner'] // MIB} MiB"
    )
    cancelled = asyncio.run(cancel_in_the_middle(path))
    missed = cancelled > GOAL_CANCEL_SECONDS
    print(
        f"cancelled within {cancelled:.2f} s   goal <= {GOAL_CANCEL_SECONDS:g}"
        f"{'   MISSED' if missed else ''}"
    )
    return report.outcome == "read" and not missed


async def cancel_in_the_middle(path: Path) -> float:
    """Cancel once a hundred pages are read; the seconds until the reader is gone."""
    begun = asyncio.Event()

    def on_progress(progress: ReadProgress) -> None:
        if progress.pages_done >= 100:
            begun.set()

    reading = asyncio.create_task(read_documents([path], None, on_progress))
    await begun.wait()
    began = time.perf_counter()
    reading.cancel()
    await asyncio.wait([reading])
    return time.perf_counter() - began


def main() -> int:
    """Make the documents, run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=4.0, help="of text, in millions")
    parser.add_argument("--pages", type=int, default=10_000, help="of the large PDF; 0: none")
    parser.add_argument("--model", type=Path, default=demo_model(), help="whose tokenizer counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m1desk-bench-") as folder:
        place = Path(folder)
        (place / "files").mkdir()
        characters = int(arguments.megabytes * 1e6)
        paths = in_a_process_of_its_own(make_documents, place / "files", characters)
        met = in_the_window(paths, arguments.model, place / "home")
        if arguments.pages:
            in_a_process_of_its_own(make_large_pdf, place / "large.pdf", arguments.pages)
            met = large_pdf(place / "large.pdf") and met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

"""What a job will probably take, before it is added."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from m1desk.fit import CostAssumptions
from m1desk.jobs.loads import TOKENS_A_CHARACTER, USUAL_ANSWER_TOKENS, SpeedForecast, rounded
from m1desk.jobs.plan import later_steps, loads
from m1desk.jobs.values import JobEstimate

if TYPE_CHECKING:
    from m1desk.documents import DocumentSets
    from m1desk.jobs.values import Corpus, JobSpec

_QUESTION_TOKENS: Final = 100
"""Of the instructions and the model's template, with each question."""
_MOST_FILES: Final = 20_000
_TEXT_SHARE: Final[Mapping[str, float]] = {
    ".pdf": 0.2, ".docx": 0.4, ".odt": 0.4, ".pptx": 0.05, ".xlsx": 0.8, ".epub": 0.5,
    ".html": 0.5, ".htm": 0.5, ".eml": 0.7, ".zip": 1.5,
    ".png": 0.0, ".jpg": 0.0, ".jpeg": 0.0, ".tif": 0.0, ".tiff": 0.0,
}  # fmt: skip
"""Characters of text in a byte of a file, roughly, by its ending; 1 for all others."""


@dataclass(frozen=True, slots=True)
class GuessedSizes:
    """Sizes of documents by their names.

    Attributes:
        why: where the figures come from.
    """

    sizes: Mapping[str, int]
    why: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the documents, in their order."""
        return tuple(self.sizes)

    def characters(self, name: str = "") -> int:
        """Count the characters of one document, of all without a name."""
        return self.sizes[name] if name else sum(self.sizes.values())


def sizes_of(corpus: Corpus, sets: DocumentSets) -> GuessedSizes:
    """Look how large the documents of a job are; blocks; raises BadInput, StorageError."""
    if corpus.set_id is not None:
        used = [one.document for one in sets.files(corpus.set_id) if one.included and one.document]
        sizes = {one.name: one.characters for one in used}
        return GuessedSizes(sizes, "Tokens are guessed from the documents' characters.")
    sizes = {str(path): _characters(path) for path in _files(corpus.files)}
    return GuessedSizes(sizes, "Tokens are guessed from the sizes of the files, roughly.")


def estimate_job(
    spec: JobSpec,
    documents: GuessedSizes | None,
    forecast: SpeedForecast | None,
    busy_watts: float | None = None,
) -> JobEstimate:
    """Say what a job will probably take.

    Args:
        spec: what is to be done.
        documents: what it is to be done with, None without documents.
        forecast: of the model that will answer, None if that is not known.
        busy_watts: of the machine while it computes; None for the usual assumption.
    """
    if spec.kind == "benchmark":
        return JobEstimate(why="How far it reads depends on the context that the model is given.")
    steps = later_steps(spec, documents.names if documents else (), 1)
    given = Counter(rounded(one) for one in loads(spec, steps, documents).values())
    answer = min(USUAL_ANSWER_TOKENS, spec.sampling.max_tokens or USUAL_ANSWER_TOKENS)
    why = [documents.why] if documents else []
    why.append(f"An answer is taken to have {answer} tokens.")
    estimate = JobEstimate(
        read_tokens=sum(n * (_tokens(one.new) + _QUESTION_TOKENS) for one, n in given.items()),
        written_tokens=answer * len(steps),
    )
    if forecast is None:
        why.append("How fast the model will be is not known.")
        return replace(estimate, why=" ".join(why))
    low = high = 0.0
    for load, count in given.items():
        read, known = _tokens(load.new) + _QUESTION_TOKENS, _tokens(load.known)
        seconds = forecast.total_seconds(read, answer, known)
        low, high = low + count * seconds.low, high + count * seconds.high
    usual = CostAssumptions()
    watts, price = busy_watts or usual.busy_watts, usual.electricity_usd_kwh
    why.append(f"Electricity: {watts:.0f} W while it works, {price} USD a kWh.")
    energy = (low * watts / 3600, high * watts / 3600)
    return replace(
        estimate,
        seconds=(low, high),
        watt_hours=energy,
        usd=(energy[0] * price / 1000, energy[1] * price / 1000),
        why=" ".join(why),
    )


def _tokens(characters: int) -> int:
    return round(characters * TOKENS_A_CHARACTER)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    count = 0
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, _, names in os.walk(path):
            for name in names:
                yield Path(folder) / name
                count += 1
                if count >= _MOST_FILES:
                    return


def _characters(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError:  # said when the job's turn comes, and it is read
        return 0
    return round(size * _TEXT_SHARE.get(path.suffix.lower(), 1.0))

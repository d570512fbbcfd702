"""How a machine's accelerators reach each other, in sentences and for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from m1desk.hardware import Accelerator, Link
    from m1desk.hardware.machine import LinkKind

NOT_SAID: Final = "not said"

_KINDS: Final[dict[LinkKind, tuple[str, str]]] = {
    "nvlink": ("NVLink", "NVLink"),
    "same_board": ("PCIe on one board", "same board"),
    "one_switch": ("PCIe through one switch", "PCIe switch"),
    "several_switches": ("PCIe through several switches", "PCIe switches"),
    "host_bridge": ("PCIe through the processor", "through the processor"),
    "same_node": ("PCIe through the processor", "through the processor"),
    "system": ("PCIe from one processor to the other", "across processors"),
}
"""The words of a sentence and those of a row, nearest first."""

_FEW_PAIRS: Final = 3

_Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DeviceLinks:
    """How one accelerator reaches the others: the nearest ones, and the rest or a word more."""

    nearest: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class _Way:
    """How two reach each other; `rank` puts the nearest first."""

    rank: int
    words: str
    short: str
    lanes: int = 0
    shared: bool = False
    bytes_per_second: float | None = None


_UNKNOWN: Final = _Way(len(_KINDS), "how they reach each other is not said", NOT_SAID)


class LinkMap:
    """The ways between accelerators, each known by its place in the machine's list.

    What computes in the machine's memory has no link to speak of, nor have slices of one card.
    """

    def __init__(self, accelerators: Sequence[Accelerator], links: Sequence[Link]) -> None:
        self._count = len(accelerators)
        said = {frozenset((link.first, link.second)): _way(link) for link in links}
        self._ways: dict[_Pair, _Way] = {}
        for (i, one), (j, other) in combinations(enumerate(accelerators), 2):
            ends = frozenset((_card(one), _card(other)))
            if len(ends) == 2 and not one.unified and not other.unified:
                self._ways[i, j] = said.get(ends, _UNKNOWN)

    def sentences(self) -> tuple[str, ...]:
        """All of it, nearest first: "GPU 0–7: NVLink through switches, all to all, ..."."""
        return tuple(
            f"{self._where(list(ways), words)}: {_how(words, ways)}."
            for words, ways in _by_words(self._ways).items()
        )

    def of(self, place: int) -> DeviceLinks | None:
        """How the one at this place reaches the others; None where there is no way to speak of."""
        mine = {pair: way for pair, way in self._ways.items() if place in pair}
        parts = []
        for ways in _by_words(mine).values():
            others = [i + j - place for i, j in ways]
            all_of_many = len(others) == self._count - 1 > 1
            whom = f"all {len(others)} others" if all_of_many else f"GPU {numbers_text(others)}"
            parts.append((next(iter(ways.values())).short, whom))
        if not parts:
            return None
        lanes = _lanes_text(mine.values())
        if len(parts) == 1 and not lanes:
            return DeviceLinks(*parts[0])
        nearest, *rest = (f"{short}: {whom}" for short, whom in parts)
        return DeviceLinks(nearest, " · ".join(rest) or lanes)

    def _where(self, pairs: Sequence[_Pair], words: str) -> str:
        if _are_whole(pairs):
            return ", ".join(f"GPU {numbers_text(group)}" for group in _groups(pairs))
        if len(pairs) == len(self._ways):
            return "From card to card"
        if words == list(_by_words(self._ways))[-1]:
            return "All other pairs"
        if len(pairs) <= _FEW_PAIRS:
            return ", ".join(f"GPU {numbers_text(pair)}" for pair in pairs)
        return f"{len(pairs)} of {len(self._ways)} pairs, told in their rows"


def numbers_text(numbers: Iterable[int]) -> str:
    """Write "0 and 1", "0–3", "0–3, 6": numbers in their order, neighbours drawn together."""
    ordered = sorted(numbers)
    if len(ordered) == 2:
        return f"{ordered[0]} and {ordered[1]}"
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after != before + 1)]
    ends = [*(before for before, after in pairwise(ordered) if after != before + 1), ordered[-1]]
    return ", ".join(
        f"{start}–{end}" if end > start else f"{start}"
        for start, end in zip(starts, ends, strict=True)
    )


def _card(device: Accelerator) -> str:
    """Links are told of whole cards, of which it may be a slice."""
    return device.part_of or device.id


def _way(link: Link) -> _Way:
    words, short = _KINDS[link.kind]
    return _Way(
        rank=list(_KINDS).index(link.kind),
        words=f"{words} through switches" if link.through_switches else words,
        short=short,
        lanes=link.lanes,
        shared=link.through_switches,
        bytes_per_second=link.bytes_per_second,
    )


def _by_words(ways: Mapping[_Pair, _Way]) -> dict[str, dict[_Pair, _Way]]:
    grouped: dict[str, dict[_Pair, _Way]] = {}
    for pair, way in sorted(ways.items(), key=lambda entry: (entry[1].rank, entry[0])):
        grouped.setdefault(way.words, {})[pair] = way
    return grouped


def _groups(pairs: Iterable[_Pair]) -> list[list[int]]:
    """The places that the pairs connect, directly or through others."""
    groups: list[set[int]] = []
    for pair in pairs:
        joined = set(pair).union(*(group for group in groups if group & set(pair)))
        groups = [group for group in groups if not group & joined]
        groups.append(joined)
    return sorted(sorted(group) for group in groups)


def _are_whole(pairs: Collection[_Pair]) -> bool:
    """Whether in each group that the pairs connect, every one is paired with every other."""
    return sum(len(group) * (len(group) - 1) // 2 for group in _groups(pairs)) == len(pairs)


def _how(words: str, ways: Mapping[_Pair, _Way]) -> str:
    """The way, and of NVLink what there is to tell: cards behind switches share their links."""
    lanes = _lanes_text(ways.values())
    if not lanes:
        return words
    is_net = _are_whole(ways) and any(len(group) > 2 for group in _groups(ways))
    each = " each" if all(way.shared for way in ways.values()) else ""
    lanes = lanes.replace(" links", f" links{each}").replace(" GB/s", " GB/s each way")
    return ", ".join((words, "all to all", lanes) if is_net else (words, lanes))


def _lanes_text(ways: Collection[_Way]) -> str:
    """The number of NVLinks and their speed, as far as they are told and the same for all."""
    lanes = sorted({way.lanes for way in ways})
    if lanes[-1] == 0:
        return ""
    if lanes[0] != lanes[-1]:
        return f"{lanes[0]} to {lanes[-1]} links"
    text = f"{lanes[0]} link{'s' * (lanes[0] > 1)}"
    speeds = {way.bytes_per_second for way in ways}
    speed = speeds.pop() if len(speeds) == 1 else None
    return text if speed is None else f"{text}, {speed / 1e9:.0f} GB/s"

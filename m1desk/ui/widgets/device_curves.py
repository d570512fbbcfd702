"""The colours that accelerators have in the table and in the graphs, and their curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from m1desk.ui.viewmodels.device_links import numbers_text
from m1desk.ui.widgets.graph_panel import Curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from m1desk.ui.viewmodels.devices import DeviceBoard
    from m1desk.ui.viewmodels.monitor import History
    from m1desk.ui.widgets.graph_panel import GraphPanel

_COLOURS: Final = tuple(f"series_{number}" for number in range(1, 9))
_FEW: Final = 3
"""So many devices have their values beside the graph's title; those of more are in the table."""


def device_colour(number: int) -> str:
    """The name in the palette of a device's colour; from the ninth device on they come again."""
    return _COLOURS[number % len(_COLOURS)]


def draw_devices(
    graph: GraphPanel,
    board: DeviceBoard,
    history: Callable[[str], History],
    figure: str,
    *before: Curve,
) -> None:
    """Give the graph one curve a device after those `before`, dashed where a colour came before.

    Memory ("vram") has none of a device that computes in the machine's, which has its own curve.
    """
    shown = [
        (number, device)
        for number, device in enumerate(board.devices)
        if figure != "vram" or not device.unified
    ]
    are_few = len(shown) <= _FEW
    curves = (
        Curve(
            board.name(number),
            history(f"{figure}:{device.id}"),
            device_colour(number),
            dashed=number >= len(_COLOURS),
            is_listed=are_few,
        )
        for number, device in shown
    )
    together = "" if are_few else f"GPU {numbers_text(number for number, _ in shown)}"
    graph.set_curves((*before, *curves), together)

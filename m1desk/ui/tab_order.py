"""The order in which Tab goes through a window: the one in which it is read.

Qt's own order is that in which widgets were made. Messages and cards are made and dropped all the
time, so it would jump about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtWidgets import QLayout


def tab_stops(root: QWidget) -> Iterator[QWidget]:
    """All widgets in `root` that Tab stops at now, in the order of layouts, else of places."""
    for child in _in_order(root):
        if child.isWindow() or not child.isVisible():
            continue
        if _takes_tab(child):
            yield child
        yield from tab_stops(child)


def move_focus(root: QWidget, *, forward: bool) -> bool:
    """Move the focus to the next or previous stop, around the ends; False if there is none."""
    stops = list(tab_stops(root))
    if not stops:
        return False
    focus = root.focusWidget()
    here = next((place for place, stop in enumerate(stops) if stop is focus), None)
    step = 1 if forward else -1
    if here is None:  # on a page as such: what it holds comes next
        inside = [
            p for p, stop in enumerate(stops) if focus is not None and focus.isAncestorOf(stop)
        ]
        here = (inside[0] if inside else 0) - (1 if forward else 0)
    reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
    stops[(here + step) % len(stops)].setFocus(reason)
    return True


def _takes_tab(widget: QWidget) -> bool:
    if widget.focusProxy() is not None or not widget.isEnabled():
        return False
    return bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)


def _in_order(widget: QWidget) -> list[QWidget]:
    children = widget.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    layout = widget.layout()
    ranks = {id(item): rank for rank, item in enumerate(_laid_out(layout))} if layout else {}
    # What a layout does not place (buttons that float, those upon text) comes after the rest.
    return sorted(children, key=lambda one: (ranks.get(id(one), len(ranks)), one.y(), one.x()))


def _laid_out(layout: QLayout) -> Iterator[QWidget]:
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if item is None:
            continue
        inner, widget = item.layout(), item.widget()
        if inner is not None:
            yield from _laid_out(inner)
        elif widget is not None:
            yield widget

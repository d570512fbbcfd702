"""Labels and tooltips show names, quotes and answers as they are, whatever HTML stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import job_samples
import pytest
from documents_desk import WAIT, open_desks
from PySide6.QtGui import Qt, QTextDocument

from m1desk.documents import Citation
from m1desk.jobs.results import ResultCell, ResultRow, ResultTable
from m1desk.ui.widgets.buttons import IconButton
from m1desk.ui.widgets.document_quotes import QuoteRow
from m1desk.ui.widgets.elided_label import ElidedLabel
from m1desk.ui.widgets.job_table import JobTableModel
from m1desk.ui.widgets.label import Label, Paragraph
from m1desk.ui.widgets.plain_tip import plain_tip

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from m1desk.ui.bridge import Bridge
    from m1desk.ui.theme import Theme

NAME = "<h1>Verified</h1>.txt"
TIP = Qt.ItemDataRole.ToolTipRole
SPOKEN = Qt.ItemDataRole.AccessibleTextRole


def seen(tip: str) -> str:
    """What a tooltip shows."""
    if not Qt.mightBeRichText(tip):
        return tip
    document = QTextDocument()
    document.setHtml(tip)
    return document.toPlainText()


def tip_of(model: Any, column: int = 0) -> str:
    return seen(model.data(model.index(0, column), TIP))


@pytest.mark.parametrize(
    "text", ["", "Plain", "a < b", NAME, f"Stands in {NAME}\nand <b>there</b>"]
)
def test_a_text_is_shown_as_it_is(text: str) -> None:
    assert seen(plain_tip(text)) == text


def test_what_is_plain_stays_what_it_is() -> None:
    assert plain_tip("if a < b:\n    stop") == "if a < b:\n    stop"


@pytest.mark.parametrize("kind", [Label, ElidedLabel, Paragraph])
def test_a_label_has_room_for_every_character_of_a_name(
    kind: type[Label], theme: Theme, qtbot: QtBot
) -> None:
    label = kind(NAME)
    qtbot.addWidget(label)
    label.setWordWrap(False)
    text = label.fontMetrics().boundingRect(NAME)
    assert label.sizeHint().width() >= text.width()  # as a heading it would be shorter, and higher
    assert label.sizeHint().height() < 2 * text.height()


def test_a_quote_of_a_document_draws_no_heading(theme: Theme, qtbot: QtBot) -> None:
    said = f"It is “{NAME}” there."
    citation = Citation(f"“{NAME}”", 0, 9, "verified", 1.0, file=NAME, page=2, passage=said)
    row = QuoteRow(theme, 1, citation)
    qtbot.addWidget(row)
    assert f"Stands in {NAME}, p.2" in seen(row.toolTip())
    assert f"The page says: {said}" in seen(row.toolTip())
    assert f"The page says: {said}" in [label.text() for label in row.findChildren(Label)]
    for label in row.findChildren(ElidedLabel):
        assert f"Stands in {NAME}, p.2" in seen(label.toolTip())
        assert "&lt;" not in seen(label.toolTip())


def test_names_in_labels_and_buttons_are_names(theme: Theme, qtbot: QtBot) -> None:
    label, button = ElidedLabel(NAME), IconButton(theme, "close", f"Remove {NAME}")
    for widget in (label, button):
        qtbot.addWidget(widget)
    label.resize(8, 20)
    label.show()
    assert label.is_cut
    assert seen(label.toolTip()) == label.accessibleName() == NAME
    assert seen(button.toolTip()) == button.accessibleName() == f"Remove {NAME}"


def test_sets_and_files_are_named_in_tooltips_as_they_are(
    theme: Theme, bridge: Bridge, tmp_path: Path, qtbot: QtBot
) -> None:
    with open_desks(theme, bridge, tmp_path, qtbot) as begin:
        desk = begin()
        document = job_samples.document(NAME, "Some text.")
        set_id = job_samples.make_set(desk.core.sets, NAME, [document])
        desk.model.sets.refresh()
        desk.model.files.open(set_id)
        qtbot.waitUntil(lambda: bool(desk.model.files.files and desk.model.sets.all), timeout=WAIT)
        assert tip_of(desk.view.table.model()).startswith(f"{NAME}\n")
        sets = desk.page.list.rows.model()
        assert tip_of(sets).startswith(f"{NAME}\n")
        assert sets.data(sets.index(0), SPOKEN).startswith(NAME)


def test_results_are_text_in_tooltips_and_untouched_for_screen_readers() -> None:
    model = JobTableModel()
    cell = ResultCell(NAME, "Term", NAME)
    model.show_table(ResultTable("Document", ("Term",), (ResultRow(NAME, "", (cell,)),)))
    assert tip_of(model) == NAME
    assert model.data(model.index(0, 0), SPOKEN) == NAME
    assert seen(model.headerData(1, Qt.Orientation.Horizontal, TIP)) == NAME

"""A message's text on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QColor, QGuiApplication, QTextCursor, QTextDocument
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from m1desk.ui.tokens import DARK, LIGHT, Metrics
from m1desk.ui.widgets.markdown_highlight import Highlighter, highlight
from m1desk.ui.widgets.markdown_style import MarkdownStyle
from m1desk.ui.widgets.markdown_view import MarkdownView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from m1desk.ui.theme import Theme

TEXT = """# Title

Some **bold** text with [a link](https://example.org/x).

```python
def f(x):
    return x
```

| a | b |
|---|---|
| 1 | 2 |

1. one
2. two

> quoted

The end.
"""


@pytest.fixture
def highlighter(qtbot: QtBot) -> Iterator[Highlighter]:
    made = Highlighter()
    yield made
    made.stop()


@pytest.fixture
def view(qtbot: QtBot, theme: Theme, highlighter: Highlighter) -> MarkdownView:
    window = QWidget()
    layout = QVBoxLayout(window)
    made = MarkdownView(MarkdownStyle(theme.palette, theme.metrics), highlighter)
    layout.addWidget(made)
    layout.addStretch(1)
    window.resize(600, 800)
    qtbot.addWidget(window)
    window.show()
    made.window_kept = window  # type: ignore[attr-defined]
    return made


def shown(view: MarkdownView) -> str:
    return view.toPlainText()


def test_a_streamed_text_ends_up_like_the_same_text_given_whole(
    qtbot: QtBot, view: MarkdownView
) -> None:
    view.set_text(TEXT)
    expected, height = view.document().toHtml(), view.height()
    view.restart()
    for start in range(0, len(TEXT), 5):
        view.append(TEXT[start : start + 5])
        qtbot.wait(1)
    view.finish()
    qtbot.waitUntil(lambda: view.is_complete)
    assert view.document().toHtml() == expected
    assert view.height() == height
    assert view.markdown == TEXT


def test_it_is_as_tall_as_its_text_and_never_scrolls(qtbot: QtBot, view: MarkdownView) -> None:
    view.set_text("one line")
    low = view.height()
    view.set_text("\n\n".join(["a paragraph"] * 20))
    assert view.height() > 10 * low
    assert view.height() >= view.document().size().height()


def test_a_long_text_is_written_in_pieces_to_its_end(qtbot: QtBot, view: MarkdownView) -> None:
    text = "".join(f"Paragraph {number} of many.\n\n" for number in range(3000))
    view.set_text(text)
    assert not view.is_complete
    qtbot.waitUntil(lambda: view.is_complete, timeout=20_000)
    assert shown(view).endswith("Paragraph 2999 of many.")


def test_each_code_block_has_a_button_that_copies_it_as_it_was(
    qtbot: QtBot, view: MarkdownView
) -> None:
    view.set_text("```\nfirst\n\tindented\n```\n\nand\n\n```py\nsecond\n```\n")
    buttons = [b for b in view.findChildren(QToolButton) if b.accessibleName() == "Copy code"]
    assert len(buttons) == 2
    buttons.sort(key=lambda button: button.y())
    qtbot.mouseClick(buttons[0], Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "first\n\tindented"
    assert buttons[0].text() == "Copied"
    buttons[1].setFocus()
    qtbot.keyClick(buttons[1], Qt.Key.Key_Space)
    assert QGuiApplication.clipboard().text() == "second"


def test_closed_code_gets_colours_and_open_code_gets_none(
    qtbot: QtBot, view: MarkdownView, highlighter: Highlighter
) -> None:
    def colours() -> list[int]:
        block = view.document().findBlockByNumber(0)
        return [len(block.layout().formats())]

    view.append("```python\ndef f(x): return 1\n")
    qtbot.wait(60)
    assert colours() == [0]
    view.append("```\n\nDone.\n\n")
    view.finish()
    qtbot.waitUntil(lambda: highlighter.is_idle and colours() != [0])


def test_highlighting_finds_keywords_by_line() -> None:
    runs = highlight("def f():\n    return 'x'", "python")
    assert (0, 3, "keyword") in runs[0]
    assert (4, 6, "keyword") in runs[1]
    assert highlight("anything", "no-such-language") == [[]]


def test_nothing_is_ever_loaded(view: MarkdownView) -> None:
    kinds = QTextDocument.ResourceType
    for kind in (kinds.ImageResource, kinds.HtmlResource, kinds.StyleSheetResource):
        assert view.loadResource(kind.value, QUrl("file:///etc/passwd")) is None
    view.set_text("![x](https://evil.example/a.png) <img src='https://evil.example/b.png'>")
    assert "<img src='https://evil.example/b.png'>" in shown(view)
    assert "￼" not in shown(view)


def test_a_click_on_a_link_only_tells(qtbot: QtBot, view: MarkdownView) -> None:
    view.set_text("[here](https://example.org/a?b=1)")
    cursor = QTextCursor(view.document())
    cursor.setPosition(2)
    place = view.cursorRect(cursor).center() + QPoint(2, 0)
    with qtbot.waitSignal(view.link_clicked) as clicked:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert clicked.args == ["https://example.org/a?b=1"]
    assert "here" in shown(view)


def test_a_selection_is_copied_as_text_without_colours(view: MarkdownView) -> None:
    view.set_text("Some **bold** text")
    view.selectAll()
    data = view.createMimeDataFromSelection()
    assert data.text() == "Some bold text"
    assert not data.hasHtml()


def test_another_theme_shows_the_same_text_in_other_colours(
    qtbot: QtBot, view: MarkdownView
) -> None:
    view.set_text(TEXT)
    before = shown(view)
    view.set_look(MarkdownStyle(DARK, Metrics()))
    assert shown(view) == before
    cursor = QTextCursor(view.document())
    cursor.movePosition(QTextCursor.MoveOperation.Right)
    assert cursor.charFormat().foreground().color() == QColor(DARK.text)


def test_a_theme_change_in_mid_stream_loses_nothing(qtbot: QtBot, view: MarkdownView) -> None:
    view.append("Hello **wor")
    view.set_look(MarkdownStyle(DARK, Metrics()))
    view.append("ld**\n\n```\nco")
    view.set_look(MarkdownStyle(LIGHT, Metrics()))
    view.append("de\n```")
    view.finish()
    qtbot.waitUntil(lambda: view.is_complete)
    assert shown(view).startswith("Hello world")
    assert view.code_blocks() == ("code",)


def test_a_persons_own_text_is_shown_as_typed(view: MarkdownView) -> None:
    view.set_text("# not a *heading*\n  <b>", plain=True)
    assert shown(view) == "# not a *heading*\n  <b>"

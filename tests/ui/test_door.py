"""What `m1desk WORDS` opens: the window, with a model or documents, or a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import m1desk.app
from m1desk import __main__ as door
from m1desk.app_options import WindowOptions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[WindowOptions]:
    """What the window was opened with, instead of a window; the working folder has documents."""
    asked: list[WindowOptions] = []

    def run_window(options: WindowOptions) -> int:
        asked.append(options)
        return 0

    monkeypatch.setattr(m1desk.app, "run_window", run_window)
    monkeypatch.chdir(tmp_path)
    for name in ("papers", "chat"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "tiny").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "tiny" / name).touch()
    return asked


@pytest.mark.parametrize(
    ("words", "model", "documents"),
    [
        ([], None, []),
        (["m.gguf"], "m.gguf", []),
        (["papers"], None, ["papers"]),
        (["./chat"], None, ["chat"]),
        (["."], None, ["."]),
        (["a.pdf", "papers"], None, ["a.pdf", "papers"]),
        (["papers", "--page", "documents", "a.pdf"], None, ["papers", "a.pdf"]),
        (["a.pdf", "m.GGUF"], "m.GGUF", ["a.pdf"]),
        (["./tiny", "papers"], "tiny", ["papers"]),
        (["tiny/model.safetensors", "tiny/config.json", "a.pdf"], "tiny", ["a.pdf"]),
    ],
)
def test_the_window_opens_what_it_is_given(
    opened: list[WindowOptions], words: list[str], model: str | None, documents: list[str]
) -> None:
    assert door.main(words) == 0
    (options,) = opened
    assert (str(options.model_path) if options.model_path else None) == model
    assert [str(path) for path in options.documents] == documents


def test_a_command_is_a_command_even_beside_a_folder_of_its_name(
    opened: list[WindowOptions], capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main(["chat", "--help"]) == 0
    assert door.main(["chats"]) == 2
    assert opened == []
    assert "No such command 'chats'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["./missing.pdf"], "there is no file or folder missing.pdf"),
        (["papers", "missing"], "there is no file or folder missing"),
        (["a.gguf", "b.gguf"], "only one model"),
        (["papers", "--screenshot", "x.png"], "reads no documents"),
    ],
)
def test_what_can_not_be_opened_is_said(
    opened: list[WindowOptions], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        door.main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert opened == []

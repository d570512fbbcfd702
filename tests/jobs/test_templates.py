"""Templates as files: what comes with the program, one's own, and what strangers send."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m1desk.errors import BadInput, StorageError
from m1desk.jobs.templates import TemplateShelf, name_for
from m1desk.jobs.values import JobQuestion, JobTemplate
from m1desk.store import resource_folder

TEMPLATE = JobTemplate(
    "my-contracts", "My contracts", "What I ask of each.", "table",
    (JobQuestion("Notice", "What is the notice period?"), JobQuestion("Cap", "Größe?\nNr. 2")),
)  # fmt: skip
DATA: dict[str, Any] = {
    "format": 1,
    "title": "T",
    "kind": "table",
    "questions": [{"name": "Notice", "text": "What is the notice period?"}],
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own" / "templates"


@pytest.fixture
def shelf(own: Path) -> TemplateShelf:
    return TemplateShelf(resource_folder() / "templates", own)


def written(folder: Path, name: str, data: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return path


# -- what comes with the program -------------------------------------------------------------------


def test_the_uses_that_people_name_have_templates(shelf: TemplateShelf) -> None:
    known = {one.name for one in shelf.all()}
    assert known >= {
        "contract-portfolio", "discovery", "literature-review", "support-tickets",
        "code-review", "tender-check", "compliance-check",
    }  # fmt: skip
    assert shelf.problems() == ()
    assert not any(one.is_own for one in shelf.all())


def test_what_comes_with_the_program_is_well_written(shelf: TemplateShelf) -> None:
    for template in shelf.all():
        assert template.description
        assert 5 <= len(template.questions) <= 12, template.name
        for question in template.questions:
            assert len(question.name) <= 30, question  # it is the head of a column
            assert question.text.endswith(("?", ".")), question


def test_the_contract_portfolio_asks_what_the_issue_names(shelf: TemplateShelf) -> None:
    template = shelf.get("contract-portfolio")
    assert template.kind == "table"
    names = {one.name for one in template.questions}
    assert names >= {
        "Parties", "Term", "Notice period", "Liability cap", "Governing law", "Deviations",
    }  # fmt: skip


# -- one's own -------------------------------------------------------------------------------------


def test_what_is_saved_is_read_again(shelf: TemplateShelf, own: Path) -> None:
    saved = shelf.save(TEMPLATE)
    assert saved == replace(TEMPLATE, is_own=True)
    assert shelf.get("my-contracts") == saved
    assert saved in shelf.all()
    assert [path.name for path in own.iterdir()] == ["my-contracts.json"]


def test_ones_own_stands_before_the_shipped_and_gives_way_when_deleted(
    shelf: TemplateShelf,
) -> None:
    shipped = shelf.get("discovery")
    shelf.save(replace(shipped, title="My discovery"))
    assert shelf.get("discovery").title == "My discovery"
    assert [one.name for one in shelf.all()].count("discovery") == 1
    shelf.delete("discovery")
    assert shelf.get("discovery") == shipped
    with pytest.raises(BadInput, match="comes with the program and stays"):
        shelf.delete("discovery")


def test_a_template_travels_as_a_file(shelf: TemplateShelf, tmp_path: Path) -> None:
    saved = shelf.save(TEMPLATE)
    file = tmp_path / "for you.json"
    shelf.export_file(saved.name, file)
    theirs = TemplateShelf(resource_folder() / "templates", tmp_path / "theirs")
    taken = theirs.import_file(file)
    assert taken == replace(saved, name="for you")
    assert theirs.import_file(file).name == "for you 2"
    assert theirs.import_file(file).name == "for you 3"
    shelf.export_file("discovery", file)
    assert theirs.import_file(file).questions == shelf.get("discovery").questions


def test_an_import_never_takes_the_place_of_another(shelf: TemplateShelf, tmp_path: Path) -> None:
    taken = shelf.import_file(written(tmp_path, "Discovery.json", DATA))
    assert taken.name == "Discovery 2"
    assert shelf.get("discovery").title != "T"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a\\b", "/etc/passwd", ".hidden", "a\0b", "a\nb", "CON",
     "nul.txt", "lpt1", "end.", "end ", "x" * 81, "a:b", "~"],
)  # fmt: skip
def test_a_name_leads_nowhere(shelf: TemplateShelf, own: Path, name: str) -> None:
    with pytest.raises(BadInput, match="can't have the name"):
        shelf.save(replace(TEMPLATE, name=name))
    for use in (shelf.get, shelf.delete):
        with pytest.raises(BadInput, match="There is no template"):
            use(name)
    assert not own.exists()


def test_a_file_with_an_impossible_name_is_imported_under_its_title(
    shelf: TemplateShelf, tmp_path: Path
) -> None:
    file = written(tmp_path, "con.json", {**DATA, "title": "Tender: A/B & more…"})
    assert shelf.import_file(file).name == "Tender A B more"
    assert name_for("…/…") == "template"
    assert name_for("con") == "template"


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix permissions and a common user")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may do anything")
def test_a_folder_that_can_t_be_written_is_said(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="can't be"):
        TemplateShelf(closed, closed).save(TEMPLATE)


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    shelf = TemplateShelf(tmp_path / "none", file)
    with pytest.raises(StorageError, match="can't be read"):
        shelf.all()
    with pytest.raises(StorageError, match="can't be made"):
        shelf.save(TEMPLATE)


# -- what strangers send ---------------------------------------------------------------------------

WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"questons": []}, r'questons is not known; known are format, title.*did you mean "questions"'),
    ({"title": ""}, "title is empty"),
    ({"title": "  \n "}, "title is empty"),
    ({"title": 7}, "title must be text in quotes"),
    ({"title": "x" * 121}, "title has 121 characters, and 120 are the most"),
    ({"title": "one\ntwo"}, "title has several lines"),
    ({"title": "a\x1b[31m"}, r"title holds the character U\+001B"),
    ({"description": "\ud800"}, "description holds half a character"),
    ({"kind": "tabel"}, "kind must be 'questions', 'table', 'passes' or 'prompt'"),
    ({"kind": "benchmark"}, "kind must be"),
    ({"format": 2}, "format must be 1"),
    ({"questions": []}, "questions is empty"),
    ({"questions": "all"}, "questions must be a list"),
    ({"questions": ["all"]}, "questions 1 must be an object"),
    ({"questions": DATA["questions"] * 101}, "questions has 101 entries, and 100 are the most"),
    ({"questions": [{"name": "A"}]}, "questions 1, text is missing"),
    ({"questions": [{"name": "A", "text": "B", "txt": 1}]},
     r'questions 1, txt is not known; known are name, text \(did you mean "text"\?\)'),
    ({"questions": [{"name": "A", "text": "1"}, {"name": "a ", "text": "2"}]},
     'questions 1: the name "A" is there twice.*questions 2: the name "a" is there twice'),
    ({"questions": [{"name": "A", "text": "x" * 4001}]}, "text has 4,001 characters"),
)  # fmt: skip


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_a_wrong_field_is_named(
    shelf: TemplateShelf, own: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    file = written(tmp_path, "sent.json", DATA | change)
    with pytest.raises(BadInput, match=words) as raised:
        shelf.import_file(file)
    assert str(file) in raised.value.what
    assert raised.value.todo
    assert not own.exists()


def test_many_faults_are_counted_not_all_told(shelf: TemplateShelf, tmp_path: Path) -> None:
    file = written(tmp_path, "sent.json", {f"field{n}": n for n in range(500)})
    with pytest.raises(BadInput, match=r"and 499 more\.") as raised:
        shelf.import_file(file)
    assert len(str(raised.value)) < 1500


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('{"format": 1, "format": 1}', '"format" is there twice'),
        ('{"\x1b[2J": 1, "\x1b[2J": 1}', "it is not JSON"),
        ('{"\\u001b": 1, "\\u001b": 1}', "\N{REPLACEMENT CHARACTER}.*is there twice"),
        ("[]", "all of it must be an object"),
        ("1" * 5000, "it is not JSON"),
        ("\xff\xfe".encode("latin-1"), "not text in UTF-8"),
        (b"{}" + b" " * (512 * 1024), "larger than 512 KiB"),
    ],
)
def test_what_is_no_template_is_said(
    shelf: TemplateShelf, tmp_path: Path, text: str | bytes, words: str
) -> None:
    file = tmp_path / "sent.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput, match=words):
        shelf.import_file(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(shelf: TemplateShelf, tmp_path: Path, own: Path) -> None:
    own.mkdir(parents=True)
    for pipe in (tmp_path / "pipe.json", own / "pipe.json"):
        os.mkfifo(pipe)
    with pytest.raises(BadInput, match="There is no file"):
        shelf.import_file(tmp_path / "pipe.json")
    assert [one.path.name for one in shelf.problems()] == ["pipe.json"]


def test_a_file_of_windows_is_read(shelf: TemplateShelf, tmp_path: Path) -> None:
    file = tmp_path / "sent.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(DATA, indent=1).replace("\n", "\r\n").encode())
    assert shelf.import_file(file).title == "T"


def test_one_broken_file_hides_no_other(shelf: TemplateShelf, own: Path) -> None:
    shelf.save(TEMPLATE)
    broken = written(own, "broken.json", DATA | {"kind": 1})
    written(own, "notes.txt", "not mine")
    assert "my-contracts" in {one.name for one in shelf.all()}
    (problem,) = shelf.problems()
    assert problem.path == broken
    assert "kind must be" in problem.problem.why
    with pytest.raises(BadInput, match="kind must be"):
        shelf.get("broken")
    shelf.delete("broken")
    assert shelf.problems() == ()


def test_what_can_t_be_read_again_is_not_saved(shelf: TemplateShelf, own: Path) -> None:
    for wrong in (
        replace(TEMPLATE, title=" "),
        replace(TEMPLATE, questions=()),
        replace(TEMPLATE, questions=(TEMPLATE.questions[0], TEMPLATE.questions[0])),
        replace(TEMPLATE, kind="benchmark"),
    ):
        with pytest.raises(BadInput, match=r'The template "my-contracts" can\'t be used'):
            shelf.save(wrong)
    assert not own.exists()


def test_a_failed_save_leaves_what_was_there(
    shelf: TemplateShelf, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.save(TEMPLATE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        shelf.save(replace(TEMPLATE, title="Another"))
    assert shelf.get("my-contracts").title == "My contracts"
    assert [path.name for path in own.iterdir()] == ["my-contracts.json"]

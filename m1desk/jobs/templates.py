"""Templates of jobs as files: those that come with the program, and the person's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from m1desk.errors import BadInput, StorageError
from m1desk.jobs.values import JobTemplate, Problem
from m1desk.jobs.whole_files import write_whole

_SUFFIX: Final = ".json"
_FILE_LIMIT: Final = 512 * 1024
_NAME: Final = re.compile(r"\w(?:[\w .-]{0,78}[\w-])?")
_NO_NAME: Final = re.compile(r"[^\w .-]+")
_TAKEN: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""Names of devices in Windows, where no file can have them."""


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """A file among the templates that can't be used, and why."""

    path: Path
    problem: Problem


class TemplateShelf:
    """The templates there are.

    The person's own stands before one of the same name that comes with the program, and when it is
    deleted, that one is back. A file that can't be used hides no other: `problems` names it.
    """

    def __init__(self, shipped: Path, own: Path) -> None:
        """Prepare; nothing is read.

        Args:
            shipped: the folder that comes with the program.
            own: the person's folder, made when the first template is saved.
        """
        self._shipped = shipped
        self._own = own

    def all(self) -> tuple[JobTemplate, ...]:
        """Read all that can be used, by title; raises StorageError for a folder that can't be."""
        found = {one.name: one for one in self._read() if isinstance(one, JobTemplate)}
        return tuple(sorted(found.values(), key=lambda one: one.title.casefold()))

    def problems(self) -> tuple[TemplateProblem, ...]:
        """Name the files that can't be used; raises StorageError for a folder that can't be."""
        return tuple(one for one in self._read() if isinstance(one, TemplateProblem))

    def get(self, name: str) -> JobTemplate:
        """Find a template by its name.

        Raises:
            BadInput: there is none, or its file can't be used.
        """
        known = self.all()
        for one in known:
            if one.name == name:
                return one
        for broken in self.problems():
            if broken.path.stem == name:
                raise BadInput(broken.problem.what, broken.problem.why, broken.problem.todo)
        raise BadInput(
            f'There is no template "{name}".',
            f"Known: {', '.join(one.name for one in known) or 'none'}.",
            "Choose one of these, or import a file.",
        )

    def save(self, template: JobTemplate) -> JobTemplate:
        """Keep a template in the person's folder, in place of one of the same name.

        Raises:
            BadInput: its name can't be a file's, or a field is empty, too long or double.
            StorageError: the folder can't be written.
        """
        _check_name(template.name)
        kept = _checked(template)
        self._make_own()
        write_whole(self._own / f"{kept.name}{_SUFFIX}", _file_of(kept))
        return kept

    def delete(self, name: str) -> None:
        """Delete one of the person's own, or a file there that can't be used.

        Raises:
            BadInput: there is none of this name in the person's folder.
            StorageError: it can't be deleted.
        """
        path = next((one for one in _files(self._own) if one.stem == name), None)
        if path is None:
            is_shipped = any(one.stem == name for one in _files(self._shipped))
            raise BadInput(
                f'There is no template "{name}" of your own.',
                "The one of this name comes with the program and stays." if is_shipped else "",
            )
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _storage(f"The template {path} can't be deleted.", error) from error

    def import_file(self, path: Path) -> JobTemplate:
        """Take a file among the person's own; a name that is taken gets a number.

        Raises:
            BadInput: the file is not there, or is no template; nothing is kept of it.
            StorageError: the folder can't be written.
        """
        template = _template_in(path)
        wanted = path.stem if _is_name(path.stem) else name_for(template.title)
        taken = {one.stem.casefold() for one in (*_files(self._own), *_files(self._shipped))}
        name, number = wanted, 2
        while name.casefold() in taken:
            name, number = f"{wanted[:70].rstrip(' .')} {number}", number + 1
        return self.save(replace(template, name=name))

    def export_file(self, name: str, path: Path) -> None:
        """Write a template to a file that others can import.

        Raises:
            BadInput: there is no such template, or no such folder.
            StorageError: the file can't be written.
        """
        write_whole(path, _file_of(self.get(name)))

    def _read(self) -> Iterator[JobTemplate | TemplateProblem]:
        """Read all files, the shipped ones first."""
        for folder in (self._shipped, self._own):
            for path in _files(folder):
                try:
                    yield replace(_template_in(path), is_own=folder == self._own)
                except BadInput as error:
                    yield TemplateProblem(path, Problem(error.what, error.why, error.todo))

    def _make_own(self) -> None:
        try:
            self._own.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _storage(f"The folder {self._own} can't be made.", error) from error


def name_for(title: str) -> str:
    """Make a name that a file can have of a title that a person gave."""
    name = " ".join(_NO_NAME.sub(" ", title).split())[:80].strip(" .-")
    return name if _is_name(name) else "template"


def _files(folder: Path) -> list[Path]:
    """List the templates' files; a folder that is not there has none."""
    try:
        found = [path for path in folder.iterdir() if path.suffix == _SUFFIX]
        return sorted(path for path in found if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _storage(f"The folder {folder} can't be read.", error) from error


def _template_in(path: Path) -> JobTemplate:
    """Read a file; raises BadInput."""
    from m1desk.jobs.template_schema import template_from  # noqa: PLC0415 - pydantic is slow

    return template_from(path.stem, _text_in(path), f"The file {path}")


def _checked(template: JobTemplate) -> JobTemplate:
    """Hold a template to the rules that its file must keep; raises BadInput."""
    from m1desk.jobs.template_schema import template_data, template_of  # noqa: PLC0415 - as above

    where = f'The template "{template.name}"'
    return replace(template_of(template.name, template_data(template), where), is_own=True)


def _file_of(template: JobTemplate) -> bytes:
    from m1desk.jobs.template_schema import template_data  # noqa: PLC0415 - as above

    return (json.dumps(template_data(template), ensure_ascii=False, indent=2) + "\n").encode()


def _text_in(path: Path) -> str:
    """Read a file that may be anybody's."""
    try:
        if not path.is_file():  # a pipe would never end
            raise BadInput(f"There is no file {path}.", "", "Check its name.")
        with path.open("rb") as file:
            data = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise BadInput(
            f"The file {path} can't be read.",
            f"The system says: {error.strerror or error}.",
            "Check that you may read it.",
        ) from error
    if len(data) > _FILE_LIMIT:
        raise BadInput(
            f"The file {path} is not a template.",
            f"It is larger than {_FILE_LIMIT // 1024} KiB, the most that a template may have.",
            "Choose another file.",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"The file {path} is not a template.",
            "It is not text in UTF-8.",
            "Choose another file, or save this one as UTF-8.",
        ) from error


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and _TAKEN.fullmatch(name) is None


def _check_name(name: str) -> None:
    """Refuse what can't be a file's name everywhere, or would lead out of the folder."""
    if not _is_name(name):
        raise BadInput(
            f'A template can\'t have the name "{name}".',
            "It becomes the name of a file.",
            "Use letters, digits, blanks, dots and hyphens, at most 80 of them, beginning with a "
            "letter or digit.",
        )


def _storage(what: str, error: OSError) -> StorageError:
    why = f"The system says: {error.strerror or error}."
    return StorageError(what, why, "Check the folder and who may write there.")

"""Texts that come from outside, checked and quoted; templates filled in one pass."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from m1desk.errors import BadInput
from m1desk.store import resource_folder

_TOKEN: Final = re.compile(r"\{\{([a-z_]+)\}\}")
_SLUG: Final = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME: Final = 40
_HOST: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_text(what: str, text: str) -> str:
    """Refuse what no file of a recipe can carry faithfully.

    Raises:
        BadInput: there are control characters or line ends, or it would be taken for an option.
    """
    if any(not character.isprintable() for character in text):
        raise BadInput(
            f"{what} holds characters that can't be printed.",
            f"It is {json.dumps(text[:80])}.",
            "Rename it, or give another one.",
        )
    if text.startswith("-"):
        raise BadInput(
            f"{what} begins with a hyphen.",
            "Programs would take it for an option.",
            "Rename it, or give the full path.",
        )
    return text


def check_word(what: str, text: str) -> str:
    """Refuse all but letters, digits and - _ . : ; raises BadInput. Empty passes."""
    if text and not _WORD.fullmatch(text):
        raise BadInput(f'{what} can\'t be "{text[:80]}".', "", "Use letters, digits, - _ and dots.")
    return text


def check_host(text: str) -> str:
    """Refuse what is no host name or IPv4 address; raises BadInput. Empty passes."""
    if text and (len(text) > 253 or not _HOST.fullmatch(text)):
        raise BadInput(
            f'"{text[:80]}" is no name of a host.', "", "Give a name or an IPv4 address."
        )
    return text


def check_variable(text: str) -> str:
    """Refuse what no environment variable can be called; raises BadInput."""
    if not _VARIABLE.fullmatch(text):
        raise BadInput(f'"{text[:80]}" can\'t be the name of an environment variable.')
    return text


def slug(text: str) -> str:
    """A name for Kubernetes, Slurm and files: lower-case letters, digits and single hyphens."""
    made = _SLUG.sub("-", text.casefold()).strip("-")[:_LONGEST_NAME].strip("-")
    if not made or not made[0].isalpha():
        made = f"m-{made}".rstrip("-")
    return made


def sh(word: str) -> str:
    """One word for a POSIX shell."""
    return shlex.quote(word)


def sh_array(words: Iterable[str]) -> str:
    """Lines of a bash array: an option and its value share one."""
    lines: list[list[str]] = []
    for word in words:
        after_option = bool(lines) and len(lines[-1]) == 1 and lines[-1][0].startswith("--")
        if after_option and not word.startswith("-"):
            lines[-1].append(word)
        else:
            lines.append([word])
    return "\n".join("    " + " ".join(sh(word) for word in line) for line in lines)


def kubernetes_word(word: str) -> str:
    """A word of a container's command: Kubernetes replaces $(NAME) unless it is doubled."""
    return word.replace("$(", "$$(")


def compose_word(word: str) -> str:
    """A text of a Compose file: Compose replaces $NAME unless the dollar is doubled."""
    return word.replace("$", "$$")


class _Dumper(yaml.SafeDumper):
    """PyYAML knows YAML 1.1; in 1.2, which most programs read, 1e3 and 0o7 are numbers too."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - a parameter of PyYAML's
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif text[:1] in set("0123456789.+-~") and not text.startswith("--"):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def yaml_text(*documents: Mapping[str, Any], comment: str) -> str:
    """YAML documents with quotes where they are needed. The comment must be a text of ours."""
    bodies = [
        yaml.dump(
            dict(document),
            Dumper=_Dumper,
            sort_keys=False,
            default_flow_style=False,
            width=100,
            allow_unicode=True,
        )
        for document in documents
    ]
    return f"# {comment}\n" + "---\n".join(bodies)


def template(name: str, values: Mapping[str, str]) -> str:
    """A file of `resources/recipes` with its {{tokens}} replaced; a value is never looked into.

    A token that has no value raises KeyError.
    """
    text = (resource_folder() / "recipes" / name).read_text(encoding="utf-8")
    return _TOKEN.sub(lambda found: values[found.group(1)], text)

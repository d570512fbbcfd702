"""What a file is, by its first bytes; its name decides only between kinds of text."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import PurePosixPath
from typing import Final

from m1desk.documents.values import MediaKind

_HEAD: Final = 4096
_MAGIC: Final[tuple[tuple[bytes, MediaKind], ...]] = (
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"Rar!\x1a\x07", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"{\\rtf", "rtf"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (b"\x7fELF", "binary"),
)
_OOXML: Final[tuple[tuple[str, MediaKind], ...]] = (
    ("word/", "docx"),
    ("ppt/", "pptx"),
    ("xl/", "xlsx"),
)
_SUFFIXES: Final[dict[str, MediaKind]] = {
    **dict.fromkeys((".pdf",), "pdf"),
    **dict.fromkeys((".docx", ".docm", ".dotx"), "docx"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx"), "pptx"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx"), "xlsx"),
    **dict.fromkeys((".odt", ".ott", ".ods", ".odp"), "odt"),
    **dict.fromkeys((".doc", ".xls", ".ppt", ".xlsb"), "office"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    **dict.fromkeys((".eml", ".msg"), "mail"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"), "archive"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp"), "image"),
    ".epub": "epub",
    ".rtf": "rtf",
    ".mbox": "mailbox",
    ".txt": "text",
    ".text": "text",
    ".log": "text",
}
# fmt: off
_CODE: Final = frozenset((
    ".asm", ".bash", ".bat", ".c", ".cc", ".cfg", ".clj", ".cmake", ".cmd", ".conf", ".cpp",
    ".cs", ".css", ".cu", ".cuh", ".cxx", ".dart", ".diff", ".ejs", ".el", ".erb", ".erl",
    ".ex", ".exs", ".fish", ".fs", ".go", ".gradle", ".graphql", ".groovy", ".h", ".hbs",
    ".hpp", ".hs", ".hxx", ".ini", ".ipynb", ".j2", ".java", ".jinja", ".jl", ".js", ".jsp",
    ".jsx", ".kt", ".kts", ".less", ".lisp", ".lua", ".m", ".make", ".mjs", ".mk", ".ml", ".mm",
    ".nim", ".nix", ".patch", ".php", ".pl", ".pm", ".po", ".proto", ".ps1", ".py", ".pyi",
    ".pyx", ".r", ".rb", ".rs", ".sass", ".scala", ".scm", ".scss", ".sh", ".sol", ".sql",
    ".svelte", ".svg", ".swift", ".tcl", ".tex", ".tf", ".toml", ".ts", ".tsx", ".v", ".vb",
    ".vhd", ".vim", ".vue", ".xml", ".xsd", ".xsl", ".yaml", ".yml", ".zig", ".zsh",
))
# fmt: on
_CODE_NAMES: Final = frozenset({"makefile", "dockerfile", "justfile", "rakefile", "gemfile"})
_HTML: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html)\b",
    re.IGNORECASE | re.DOTALL,
)
_MAIL_HEADER: Final = re.compile(
    rb"^(?:received|message-id|mime-version|return-path|delivered-to|dkim-signature|x-mailer):",
    re.IGNORECASE | re.MULTILINE,
)
_ANY_HEADER: Final = re.compile(rb"(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+\r?\n")
_MAILBOX: Final = re.compile(rb"From \S+ .*\b(?:19|20)\d\d\b[^\n]*\n[!-9;-~]+:")

KIND_WORDS: Final[dict[str, str]] = {
    "pdf": "a PDF",
    "docx": "a Word document",
    "pptx": "a presentation",
    "xlsx": "a workbook",
    "odt": "an OpenDocument file",
    "office": "a file of an older office program",
    "html": "a web page",
    "epub": "an e-book",
    "rtf": "a rich text file",
    "mail": "a mail",
    "mailbox": "a mailbox",
    "image": "a picture",
    "archive": "an archive",
    "binary": "a binary file",
}
"""Kinds in words, for those that the content alone decides."""


def sniff(data: bytes, name: str) -> MediaKind:
    """The kind of a file's content; "binary" is decided when decoding fails."""
    head = data[:_HEAD]
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _zip_kind(data, name)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_kind(data)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "archive"
    return _text_kind(head, name)


def kind_by_name(name: str) -> MediaKind:
    """What a file's name says it is."""
    path = PurePosixPath(name.lower())
    if path.suffix in _CODE or path.name in _CODE_NAMES:
        return "code"
    return _SUFFIXES.get(path.suffix, "unknown")


def mismatch_note(name: str, kind: MediaKind) -> str:
    """What to say when name and content differ; "" when they agree."""
    expected = kind_by_name(name)
    if expected in {kind, "unknown"} or not {expected, kind} & KIND_WORDS.keys():
        return ""
    suffix = PurePosixPath(name).suffix
    is_a = KIND_WORDS.get(kind, "plain text")
    return f"The name ends in {suffix}, but the content is {is_a}; it was read as that."


def _zip_kind(data: bytes, name: str) -> MediaKind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            mime = _mime_type(archive) if "mimetype" in names else b""
    except Exception:  # noqa: BLE001 - zipfile raises many kinds on hostile bytes
        named = kind_by_name(name)  # damaged; its name is all there is to go by
        return named if named in {"docx", "pptx", "xlsx", "odt", "epub"} else "archive"
    if mime.startswith(b"application/epub"):
        return "epub"
    if mime.startswith(b"application/vnd.oasis.opendocument"):
        return "odt"
    if "[Content_Types].xml" in names:
        for folder, kind in _OOXML:
            if any(name.startswith(folder) for name in names):
                return kind
    return "archive"


def _mime_type(archive: zipfile.ZipFile) -> bytes:
    with archive.open("mimetype") as file:
        return file.read(100)


def _ole_kind(data: bytes) -> MediaKind:
    """A compound file: a mail of Outlook's, an encrypted new document, or an old one."""
    if "__properties_version1.0".encode("utf-16-le") in data:
        return "mail"
    return "office"


def _text_kind(head: bytes, name: str) -> MediaKind:
    named = kind_by_name(name)
    if named in {"code", "csv", "json", "markdown"}:
        return named
    if _MAILBOX.match(head):
        return "mailbox"
    if (named == "mail" and _ANY_HEADER.match(head)) or _is_mail(head):
        return "mail"
    if named == "html" or _HTML.match(head):
        return "html"
    return "text"


def _is_mail(head: bytes) -> bool:
    headers = _ANY_HEADER.match(head + b"\n\n")
    return headers is not None and len(_MAIL_HEADER.findall(headers[0])) >= 2

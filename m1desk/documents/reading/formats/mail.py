"""Mails and mailboxes: a page for each message; attachments become documents of their own."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from email import message_from_bytes, policy
from email.message import Message
from typing import TYPE_CHECKING, Final

from m1desk.documents.reading import faults
from m1desk.documents.reading.cleaning import clean_prose, one_line
from m1desk.documents.reading.decoding import decode
from m1desk.documents.reading.formats.html import blocks_of_text
from m1desk.documents.reading.messages import PAGE_CHARACTERS
from m1desk.documents.values import ReadingError

if TYPE_CHECKING:
    from m1desk.documents.reading.sink import Sink
    from m1desk.documents.reading.source import Source

HEADERS: Final = ("From", "To", "Cc", "Date", "Subject")
_MESSAGE_START: Final = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]*\n")
_MOST_PARTS: Final = 1_000
_COMPOUND: Final = b"\xd0\xcf\x11\xe0"


def read_mail(source: Source, out: Sink) -> None:
    """Read one mail (RFC 5322, or Outlook's own format)."""
    if source.data.startswith(_COMPOUND):
        from m1desk.documents.reading.formats import outlook  # noqa: PLC0415 - it imports this module

        outlook.read(source, out)
        return
    out.total(1)
    _read_message(source.data, 1, out, "")


def read_mailbox(source: Source, out: Sink) -> None:
    """Read a mailbox in the mbox format, message by message."""
    starts = [match.start() for match in _MESSAGE_START.finditer(source.data)]
    out.total(len(starts))
    ends = [*starts[1:], len(source.data)]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        data = source.data[start:end].split(b"\n", 1)[1]
        _read_message(re.sub(rb"(?m)^>(>*From )", rb"\1", data), number, out, f"{number}/")


def send_message(
    out: Sink, number: int, headers: Sequence[tuple[str, str]], body: str, subject: str
) -> None:
    """Send a message as a page: its headers, an empty line, its text."""
    head = "\n".join(f"{name}: {one_line(value, 2_000)}" for name, value in headers if value)
    text = clean_prose(f"{head}\n\n{body}")
    if len(text) > PAGE_CHARACTERS:
        why = f"it has {len(text):,} characters, more than the {PAGE_CHARACTERS:,} of a page"
        out.missed(number, "failed", why)
        return
    out.page(number, "message", text, subject)


def _read_message(data: bytes, number: int, out: Sink, folder: str) -> None:
    message = message_from_bytes(data, policy=policy.compat32)
    headers = [(name, _header(message, name)) for name in HEADERS]
    bodies, attachments, pictures = _parts(message)
    send_message(out, number, headers, "\n\n".join(bodies), _header(message, "Subject"))
    if pictures:
        out.note(f"Pictures inside the text of message {number} were not read ({pictures}).")
    names: set[str] = set()
    for index, part in enumerate(attachments, 1):
        name = _attachment_name(part, index)
        while name in names:
            name = f"{index}-{name}"
        names.add(name)
        _unpack(part, folder + name, out)


def _parts(message: Message) -> tuple[list[str], list[Message], int]:
    """The texts to show, the attachments, and the number of pictures within the text."""
    texts: list[str] = []
    attachments: list[Message] = []
    pictures = 0
    for count, part in enumerate(_leaves(message)):
        if count >= _MOST_PARTS:
            raise faults.bomb(f"A message has more than {_MOST_PARTS:,} parts.")
        kind = part.get_content_type()
        is_named = part.get_filename() is not None or part.get_content_disposition() == "attachment"
        if kind == "message/rfc822" or (is_named and not _is_inline_picture(part)):
            attachments.append(part)
        elif kind.startswith("text/"):
            texts.append(_text(part))
        elif kind.startswith("image/"):
            pictures += 1
        else:
            attachments.append(part)
    return [text for text in texts if text.strip()], attachments, pictures


def _leaves(message: Message) -> Iterator[Message]:
    """The parts with content; of alternatives the plain text, else the last that is readable.

    What is attached within the others comes too: Apple's Mail puts attachments beside the HTML.
    """
    if message.get_content_maintype() != "multipart" or not message.is_multipart():
        yield message
        return
    children = [part for part in message.get_payload() if isinstance(part, Message)]
    if message.get_content_subtype() == "alternative":
        plain = [part for part in children if part.get_content_type() == "text/plain"]
        filled = [part for part in plain if _text(part).strip()]
        chosen = filled[:1] or children[-1:]
        others = (leaf for part in children if part not in chosen for leaf in _leaves(part))
        for part in chosen:
            yield from _leaves(part)
        yield from filter(_is_attached, others)
        return
    for part in children:
        yield from _leaves(part)


def _is_attached(part: Message) -> bool:
    """Whether a part of an alternative that is not shown is more than that form of the text."""
    if part.get_content_disposition() == "attachment":
        return True
    if part.get_content_type() == "text/calendar" or _is_inline_picture(part):
        return False
    return part.get_filename() is not None or part.get_content_maintype() != "text"


def _is_inline_picture(part: Message) -> bool:
    return (
        part.get_content_maintype() == "image"
        and part.get("Content-ID") is not None
        and part.get_content_disposition() != "attachment"
    )


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload:
        return ""
    try:
        text = decode(payload, part.get_content_charset("")).text
    except ReadingError:
        text = payload.decode("latin-1")
    if part.get_content_subtype() == "html":
        return "\n\n".join(blocks_of_text(text).blocks)
    return text


def _header(message: Message, name: str) -> str:
    """A header's text, decoded; as it stands where that fails."""
    raw = str(message.get(name, ""))
    try:
        return str(policy.default.header_factory(name, raw))
    except Exception:  # noqa: BLE001 - the parser of headers raises many kinds on hostile ones
        return raw


def _attachment_name(part: Message, index: int) -> str:
    name = one_line(part.get_filename("") or "", 200).replace("\\", "/").rpartition("/")[2]
    if name:
        return name
    return f"mail {index}.eml" if part.get_content_type() == "message/rfc822" else f"part {index}"


def _unpack(part: Message, name: str, out: Sink) -> None:
    try:
        out.unpack(name, io.BytesIO(_bytes_of(part)))
    except ReadingError as error:
        if out.is_exhausted:
            raise
        out.refuse(name, error)


def _bytes_of(part: Message) -> bytes:
    if part.is_multipart():  # a mail attached to this one
        mails = (child for child in part.get_payload() if isinstance(child, Message))
        return b"".join(mail.as_bytes() for mail in mails)
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""

"""What can go wrong with a file, in words: one function for each cause."""

from __future__ import annotations

import errno

from m1desk.documents.values import ReadingError


def missing() -> ReadingError:
    """There is nothing at the path, or no longer."""
    return ReadingError(
        "The file is not there.",
        "It was moved, renamed or deleted, or its drive is not connected.",
        "Add it again from where it lies now.",
        code="missing",
    )


def denied() -> ReadingError:
    """The system refuses to open it."""
    return ReadingError(
        "The file can't be opened.",
        "The system denies this account the right to read it.",
        "Change its permissions, or copy it to a folder of your own.",
        code="denied",
    )


def not_a_file(what: str) -> ReadingError:
    """A device, a pipe, a socket, or links in a circle."""
    return ReadingError("This can't be read as a file.", f"It is {what}.", code="not_a_file")


def file_fault(error: OSError) -> ReadingError:
    """What the system said when a file was opened or read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return missing()
    if isinstance(error, PermissionError):
        return denied()
    if error.errno == errno.ELOOP:
        return not_a_file("a link that leads in a circle")
    return ReadingError(
        "The file can't be read.",
        error.strerror or str(error),
        "Copy it to another drive, and add it from there.",
        code="denied",
    )


def changed() -> ReadingError:
    """It was written to while it was read."""
    return ReadingError(
        "The file changed while it was read.",
        "Another program is writing to it.",
        "Add it again when that program is done.",
        code="changed",
    )


def empty() -> ReadingError:
    """It has no bytes."""
    return ReadingError("The file is empty (0 bytes).", code="empty")


def encrypted(what: str = "The file") -> ReadingError:
    """A password is needed."""
    return ReadingError(
        f"{what} is locked with a password.",
        "",
        "Open it in the program it comes from, save it without the password, and add that.",
        code="encrypted",
    )


def damaged(why: str = "") -> ReadingError:
    """It does not follow its own format."""
    return ReadingError(
        "The file is damaged, or is not what it says it is.",
        why,
        "Open it in the program it comes from, and save it anew.",
        code="damaged",
    )


def too_large(what: str) -> ReadingError:
    """A limit of ours on sizes; `what` names the size and the limit."""
    return ReadingError(
        "The file is too large to be read whole.",
        what,
        "Split it, or add only the part you need.",
        code="too_large",
    )


def bomb(what: str) -> ReadingError:
    """It unpacks to far more than it should."""
    return ReadingError(
        "The file was not unpacked further: it grows beyond all measure.",
        what,
        "If you trust it, unpack it yourself, and add the files.",
        code="bomb",
    )


def too_deep(depth: int) -> ReadingError:
    """An archive in an archive in an archive ..."""
    return ReadingError(
        f"The file lies more than {depth} archives or mails deep.",
        "",
        "Unpack the outer ones yourself, and add this one.",
        code="too_deep",
    )


def unsafe_path(name: str) -> ReadingError:
    """A member whose name leads out of its archive."""
    return ReadingError(
        "This part of an archive was left out.",
        f"Its name ({name}) points outside the archive, as honest archives never do.",
        code="unsafe_path",
    )


def binary() -> ReadingError:
    """Bytes that are no text and no format known here."""
    return ReadingError("The file holds no text that could be read.", code="binary")


def unsupported(what: str, todo: str = "") -> ReadingError:
    """A format that is known, and not read."""
    return ReadingError(f"{what} can't be read.", "", todo, code="unsupported")


def scanned(pages: str, why: str) -> ReadingError:
    """Pictures of pages."""
    return ReadingError(
        f"{pages} without text: scanned, or drawn as pictures.",
        why,
        "Install tesseract (the program for text recognition), and add the file again.",
        code="scanned",
    )


def too_slow(seconds: float) -> ReadingError:
    """The reader hangs."""
    return ReadingError(
        "Reading the file was given up.",
        f"For {seconds:.0f} seconds there was no further page.",
        "Open it in the program it comes from, and save it anew, as text if possible.",
        code="too_slow",
    )


def too_much_memory(limit: int) -> ReadingError:
    """The reader reached its limit of memory."""
    return ReadingError(
        "Reading the file was given up.",
        f"It took more than {limit / (1 << 20):,.0f} MiB of memory.",
        "Split it, or save it as plain text.",
        code="too_much_memory",
    )


def crashed(why: str) -> ReadingError:
    """The reader process died of the file."""
    return ReadingError(
        "The program that read the file crashed on it; nothing else was harmed.",
        why,
        "Open it in the program it comes from, and save it anew.",
        code="crashed",
    )


def disk(error: OSError) -> ReadingError:
    """Unpacking failed for want of space, or the like."""
    return ReadingError(
        "The parts of the file could not be unpacked.",
        error.strerror or str(error),
        "Make room on the drive that holds temporary files.",
        code="disk",
    )

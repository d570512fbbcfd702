"""A reader that misbehaves as the name of the file it is given says."""

from __future__ import annotations

import os
import sys
import time

from m1desk.documents.reading.messages import Order, read_order, to_frame


def answer(**message: object) -> None:
    os.write(1, to_frame(message))


def page(number: int, text: str = "text") -> None:
    answer(**{"is": "page", "number": number, "kind": "page", "text": text, "label": ""})


def misbehave(order: Order) -> None:
    """Do what the file's name says."""
    match order.name.split(".")[0]:
        case "hang":
            answer(**{"is": "total", "pages": 3})
            page(1)
            time.sleep(1000)
        case "crash":
            page(1)
            os.abort()
        case "killed":
            os.kill(os.getpid(), 9)
        case "nonsense":
            os.write(1, b"\0\0\0\4oops")
        case "endless":
            os.write(1, b"\xff\xff\xff\xff")
        case "backwards":
            page(2)
            page(1)
        case "elsewhere":
            answer(**{"is": "kind", "kind": "archive"})
            answer(**{"is": "member", "path": "/etc/passwd", "name": "x", "size": 1})
        case "climbing":
            answer(**{"is": "kind", "kind": "archive"})
            path = f"{order.unpack_to}/../../x"
            answer(**{"is": "member", "path": path, "name": "x", "size": 1})
        case "memory":
            page(1)
            kept = [bytearray(b"x" * (1 << 20)) for _ in range(400)]
            time.sleep(1000)
            del kept
        case _:
            page(1)
    answer(**{"is": "end", "error": None, "sha256": "", "size": 1, "modified": 0.0})


if __name__ == "__main__":
    stream = os.fdopen(0, "rb")
    while (given := read_order(stream)) is not None:
        misbehave(given)
    sys.exit(0)

"""An engine that misbehaves as its first argument says; run as a program, never imported."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time


def say(event: str, **fields: object) -> None:
    os.write(1, json.dumps({"event": event, **fields}).encode() + b"\n")


def be_ready(port: int = 1) -> None:
    say("listening", port=port, pid=os.getpid())
    say("loading", fraction=0.5)
    say("ready", model="standin", context_tokens=4096, parallel=4)


def wait_forever() -> None:
    while True:
        time.sleep(3600)


def ready() -> None:
    be_ready()
    wait_forever()


def deaf() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    be_ready()
    wait_forever()


def family() -> None:
    """Children and grandchildren, each in a session of its own, deaf to all that can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
            wait_forever()
    be_ready()
    wait_forever()


def orphans() -> None:
    """Leave a grandchild that holds the pipes, and end as if all were well."""
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait_forever()
    say("listening", port=1, pid=os.getpid())
    sys.exit(3)


def dies_by(name: str) -> None:
    say("listening", port=1, pid=os.getpid())
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    number = getattr(signal, name)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def bad_alloc() -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def exits(code: str) -> None:
    sys.exit(int(code))


def gives_up(reason: str) -> None:
    """Say that it failed, but stay."""
    say("failed", reason=reason, detail="as the engine tells it")
    wait_forever()


def silent() -> None:
    """Close standard output and do nothing at all."""
    os.close(1)
    wait_forever()


def busy(seconds: str) -> None:
    """Compute without a word, for longer than anybody waits for silence."""
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        pass
    be_ready()
    wait_forever()


def loud() -> None:
    """Lines of five million bytes on both pipes, then go on as usual."""
    for pipe in (2, 1):
        for _ in range(50):
            os.write(pipe, b"x" * 100_000)
        os.write(pipe, b"\n")
    os.write(2, b"after the long line\n")
    be_ready()
    wait_forever()


def shows_environment() -> None:
    names = sorted(os.environ)
    os.write(2, ("ENVIRONMENT " + json.dumps(names) + "\n").encode())
    ready()


def answers_slowly() -> None:
    """A true HTTP stream, a word every 20 ms, without end."""
    listener = socket.create_server(("127.0.0.1", 0))
    be_ready(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=stream_words, args=(connection,), daemon=True).start()


def stream_words(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": "word "}}]})
    while True:
        connection.sendall(f"data: {chunk}\n\n".encode())
        time.sleep(0.02)


def selftest_dies_with_extra_buffers(*arguments: str) -> None:
    """The worker's self-test and calibration on a machine that fails at extra buffers."""
    if arguments[-1] == "on":
        os.kill(os.getpid(), signal.SIGILL)
    measure(*arguments)


def calibration_dies_with_extra_buffers(*arguments: str) -> None:
    if arguments[0] == "calibrate" and arguments[-1] == "on":
        os.kill(os.getpid(), signal.SIGSEGV)
    measure(*arguments)


def measures_amid_others(*arguments: str) -> None:
    """The worker's calibration while other programs use the processor."""
    if arguments[0] == "calibrate":
        fields = {"threads": 2, "flash_attention": True, "extra_buffers": False}
        speeds = {"decode_tokens_per_second": 1.0, "prefill_tokens_per_second": 2.0}
        say("chosen", **fields, **speeds, disturbed=True, flash_attention_gain=0.9)


def measure(command: str, _option: str = "", switch: str = "", *_more: str) -> None:
    fields = {
        "threads": 2,
        "flash_attention": True,
        "extra_buffers": switch == "on",
        "decode_tokens_per_second": 10.0,
        "prefill_tokens_per_second": 100.0,
    }
    if command == "calibrate":
        say("measured", **fields)
        say("chosen", **fields)


BEHAVIOURS = {
    name.replace("_", "-"): function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__module__", "") == "__main__"
}

if __name__ == "__main__":
    behaviour, _, argument = sys.argv[1].partition(":")
    takes_words = behaviour in {
        "measure",
        "measures-amid-others",
        "selftest-dies-with-extra-buffers",
        "calibration-dies-with-extra-buffers",
    }
    words = sys.argv[2:] if takes_words else [argument] * bool(argument)
    BEHAVIOURS[behaviour](*words)

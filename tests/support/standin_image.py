"""A container image with this machine's Python and a stand-in for vLLM that answers, for podman.

It is made of files that are here: nothing is fetched. Images and containers of the tests lie in a
folder of their own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from support.standin_wheels import write_wheel

REFERENCE: Final = "localhost/m1desk-standin:1"
EMPTY: Final = "localhost/m1desk-empty:1"
_LEFT_OUT: Final = re.compile(
    r"/(test|tests|site-packages|__pycache__|idlelib|tkinter|lib2to3|config-[^/]+)(/|$)"
)
_CONFIGURATION: Final = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
{runtime}
"""
_STORAGE: Final = """
[storage]
driver = "vfs"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""
_SERVER: Final = """
import argparse, http.server, os, signal, socketserver, subprocess, sys

parser = argparse.ArgumentParser()
for name in ("--uds", "--model"):
    parser.add_argument(name)
told, _ = parser.parse_known_args()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"], start_new_session=True)
open(os.path.join(told.model, "config.json")).close()
try:
    open(os.path.join(told.model, "written"), "w").close()
    sys.exit("the model's folder can be written")
except OSError as error:
    print("read-only:", error)
open(os.path.join(os.environ["TMPDIR"], "temporary"), "w").close()
print("interfaces:", sorted(os.listdir("/sys/class/net")))


class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self): return "a client"
    def do_GET(self): self.answer()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer()
    def answer(self):
        right = self.headers["Authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): pass


print("Starting vLLM API server")
Server(told.uds, Handler).serve_forever()
"""


@contextmanager
def podman_with_images(folder: Path) -> Iterator[str]:
    """This machine's podman with storage of its own and the images; skips where it can't run."""
    if sys.platform != "linux" or shutil.which("podman") is None:
        pytest.skip("podman is not on PATH")
    runtime = 'runtime = "runc"' if shutil.which("runc") else ""
    (folder / "containers.conf").write_text(_CONFIGURATION.format(runtime=runtime))
    (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        try:
            _import(folder, REFERENCE, with_vllm=True)
            _import(folder, EMPTY, with_vllm=False)
            tried = _podman("run", "--rm", "--init", "--network", "none", EMPTY, "python3", "-V")
            if tried.returncode:
                pytest.skip(f"podman can run no container here: {tried.stderr.strip()[-300:]}")
            yield "podman"
        finally:
            _podman("rm", "--all", "--force", "--time", "0")
            _podman("rmi", "--all", "--force")


def containers() -> list[str]:
    """Names of all that there are, also of those that have ended."""
    return _podman("ps", "--all", "--format", "{{.Names}}").stdout.split()


def _podman(*words: str) -> subprocess.CompletedProcess[str]:
    command = ("podman", *words)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _import(folder: Path, reference: str, *, with_vllm: bool) -> None:
    archive = folder / "root.tar"
    with tarfile.open(archive, "w", dereference=True) as root:
        _add_python(root, folder)
        if with_vllm:
            _add_vllm(root, folder)
    end = _podman("import", str(archive), reference)
    if end.returncode:
        pytest.skip(f"podman can keep no image here: {end.stderr.strip()[-300:]}")
    archive.unlink()


def _program() -> Path:
    """The interpreter itself, where the tests run in a virtual environment too."""
    return Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}").resolve()


def _add_python(root: tarfile.TarFile, folder: Path) -> None:
    """The interpreter, its libraries and its modules at their own places."""
    program = _program()
    modules = Path(sysconfig.get_path("stdlib"))
    extensions = (str(path) for path in (modules / "lib-dynload").glob("*.so"))
    listed = subprocess.run(
        ("ldd", str(program), *extensions), capture_output=True, text=True, check=True
    ).stdout
    libraries = set(re.findall(r"(/\S+) \(0x", listed))
    for path in {str(program), *libraries}:
        root.add(path)
    root.add(modules, filter=lambda one: None if _LEFT_OUT.search(f"/{one.name}") else one)
    link = tarfile.TarInfo("usr/bin/python3")
    link.type, link.linkname = tarfile.SYMTYPE, str(program)
    root.addfile(link)
    for name in ("proc", "sys", "dev", "tmp", "etc", "run"):
        place = folder / "empty"
        place.mkdir(exist_ok=True)
        root.add(place, name)


def _add_vllm(root: tarfile.TarFile, folder: Path) -> None:
    wheels, package = folder / "wheels", folder / "package"
    wheels.mkdir()
    write_wheel(wheels, "0.32.0")
    for wheel in sorted(wheels.iterdir()):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(package)
    (package / "torchvision.py").unlink()
    server = package / "vllm" / "entrypoints" / "openai" / "api_server.py"
    server.parent.mkdir(parents=True)
    server.write_text(_SERVER)
    (package / "vllm-0.32.0.dist-info" / "top_level.txt").write_text("vllm\n")
    ask = "import site; print(site.getsitepackages()[0])"  # Debian's has another name for it
    told = subprocess.run((_program(), "-I", "-c", ask), capture_output=True, text=True, check=True)
    root.add(package, told.stdout.strip())
    shutil.rmtree(wheels)

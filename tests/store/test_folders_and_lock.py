"""Folders, the log file, the window's lock, and secrets."""

from __future__ import annotations

import logging
import stat
import sys
from typing import TYPE_CHECKING

import keyring
import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend

from m1desk.errors import StorageError
from m1desk.store import (
    Folders,
    InstanceLock,
    close_logging,
    delete_secret,
    get_secret,
    keyring_status,
    set_secret,
    setup_logging,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.memory_keyring import MemoryKeyring

ALL = ("data", "config", "cache", "logs", "models", "runs")


def test_one_variable_moves_every_folder(tmp_path: Path) -> None:
    home = tmp_path / "portable"
    folders = Folders.resolve({"M1DESK_HOME": str(home)})
    for name in ALL:
        folder = getattr(folders, name)
        assert folder.is_relative_to(home)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert folders.database.parent == folders.data
    assert Folders.resolve({"M1DESK_HOME": str(home)}) == folders


def test_a_relative_home_is_taken_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Folders.resolve({"M1DESK_HOME": "here"}).data == tmp_path / "here" / "data"


@pytest.mark.skipif(sys.platform != "linux", reason="the XDG variables are Linux's")
def test_without_the_variable_the_platform_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))
    folders = Folders.resolve({})
    assert folders.data == tmp_path / "DATA" / "m1desk"
    assert folders.config == tmp_path / "CONFIG" / "m1desk"
    assert all(getattr(folders, name).is_dir() for name in ALL)


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be made") as caught:
        Folders.resolve({"M1DESK_HOME": str(tmp_path / "file" / "home")})
    assert "M1DESK_HOME" in caught.value.todo


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders.under(tmp_path / "home")


@pytest.fixture
def log_closed() -> Iterator[None]:
    yield
    close_logging()


@pytest.mark.usefixtures("log_closed")
def test_the_log_tells_what_happened_but_no_secrets(folders: Folders) -> None:
    path = setup_logging(folders)
    log = logging.getLogger("m1desk.test")
    log.info("loaded %s", "model.gguf")
    log.debug("too fine")
    logging.getLogger("a.library").info("too chatty")
    log.info("Authorization: Bearer abcdef123456")
    log.info('{"api_key": "s3cr3t-value", "port": 1}')
    log.warning("token=hf_abcdefghijklmnopqrstuv for the hub")
    log.info("prompt tokens: 15 and hf_abcdefghijklmnopqrstuv")
    try:
        raise ValueError("password=letmein99")  # noqa: TRY301 - a traceback to be logged
    except ValueError:
        log.exception("failed")
    text = path.read_text(encoding="utf-8")
    assert path.parent == folders.logs
    assert "loaded model.gguf" in text
    assert '"port": 1' in text
    assert "prompt tokens: 15" in text
    for absent in ("too fine", "too chatty", "abcdef123456", "s3cr3t", "hf_abc", "letmein99"):
        assert absent not in text


@pytest.mark.usefixtures("log_closed")
def test_setting_the_log_up_again_does_not_double_it(folders: Folders) -> None:
    setup_logging(folders)
    path = setup_logging(folders)
    logging.getLogger("m1desk.test").info("once")
    assert path.read_text(encoding="utf-8").count("once") == 1


def test_a_log_that_can_not_be_written_is_named(folders: Folders) -> None:
    (folders.logs / "m1desk.log").mkdir()
    with pytest.raises(StorageError, match=r"m1desk\.log"):
        setup_logging(folders)


def test_one_window_holds_off_another_of_the_same_home(folders: Folders, tmp_path: Path) -> None:
    first, second = InstanceLock(folders), InstanceLock(folders)
    elsewhere = InstanceLock(Folders.under(tmp_path / "other"))
    with first, second, elsewhere:
        assert first.acquire()
        assert not second.acquire()
        assert elsewhere.acquire()


def test_each_home_has_a_name_of_its_own(folders: Folders, tmp_path: Path) -> None:
    other = InstanceLock(Folders.under(tmp_path / "other"))
    assert InstanceLock(folders).name == InstanceLock(folders).name != other.name
    assert len(other.name) < 40


def test_a_secret_is_kept_in_the_keyring_and_dropped(memory_keyring: MemoryKeyring) -> None:
    assert keyring_status().usable
    assert keyring_status().backend == "memory"
    assert get_secret("hub") is None
    set_secret("hub", "hf_x")
    assert get_secret("hub") == "hf_x"
    assert list(memory_keyring.kept.values()) == ["hf_x"]
    delete_secret("hub")
    delete_secret("hub")
    assert get_secret("hub") is None


def test_a_locked_keyring_is_told(memory_keyring: MemoryKeyring) -> None:
    memory_keyring.locked = True
    for attempt in (
        lambda: get_secret("a"),
        lambda: set_secret("a", "b"),
        lambda: delete_secret("a"),
    ):
        with pytest.raises(StorageError, match="could not be") as caught:
            attempt()
        assert "locked" in caught.value.why


@pytest.mark.usefixtures("memory_keyring")
@pytest.mark.parametrize(
    "backend", [keyring.backends.fail.Keyring(), keyring.backends.null.Keyring()]
)
def test_without_a_real_keyring_nothing_is_kept(backend: KeyringBackend) -> None:
    keyring.set_keyring(backend)
    status = keyring_status()
    assert not status.usable
    assert status.reason
    with pytest.raises(StorageError, match="can't be kept"):
        set_secret("a", "b")

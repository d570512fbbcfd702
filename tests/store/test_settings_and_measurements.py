"""Settings and measurements come back as they were saved, whatever else lies in the file."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from m1desk.store import AppSettings, Database, Measurements, SettingsStore
from m1desk.store.settings import _READERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "a.db") as database:
        yield database


def test_a_new_database_gives_the_defaults(database: Database) -> None:
    assert SettingsStore(database).load() == AppSettings()


def test_everything_saved_comes_back(database: Database) -> None:
    chosen = AppSettings(
        theme="dark",
        font_size=13,
        default_system_prompt="Be brief.",
        default_sampling={"temperature": 0.5, "stop": ["x"]},
        default_context_tokens=1_000_000,
        default_parallel=2,
        default_gpu_layers=20,
        default_kv_type="q8_0",
        last_model_path="/models/ä.gguf",
        recent_models=("/a", "/b"),
        added_models=("/c",),
        model_folders=("/models",),
        download_folder="/large",
        prepared_budget_bytes=1 << 30,
        load_last_model=True,
        window_geometry=b"\x00\xff\x10",
        window_state=b"state",
        sidebar_visible=False,
        open_page="models",
        open_conversation=7,
        close_behaviour="quit",
        offline=True,
        hub_endpoint="https://hub.example",
        parallel_downloads=3,
    )
    defaults = AppSettings()
    assert all(
        getattr(chosen, entry.name) != getattr(defaults, entry.name) for entry in fields(chosen)
    )
    store = SettingsStore(database)
    store.save(defaults)
    store.save(chosen)
    assert store.load() == chosen


def test_every_setting_has_a_reader() -> None:
    assert set(_READERS) == {entry.name for entry in fields(AppSettings)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("theme", '"purple"'),
        ("theme", "not json"),
        ("font_size", '"12"'),
        ("font_size", "-4"),
        ("default_context_tokens", "0"),
        ("default_context_tokens", "true"),
        ("default_kv_type", '"q99"'),
        ("recent_models", '"one"'),
        ("recent_models", "[1]"),
        ("default_sampling", "[]"),
        ("window_geometry", '"***"'),
        ("window_geometry", '"ä"'),
        ("offline", "1"),
        ("open_conversation", "-1"),
    ],
)
def test_a_bad_value_falls_back_alone(
    database: Database, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    store = SettingsStore(database)
    store.save(AppSettings(open_page="monitor"))
    database.execute("UPDATE settings SET value = ? WHERE key = ?", (value, name))
    assert store.load() == AppSettings(open_page="monitor")
    assert name in caplog.text


def test_settings_of_a_newer_version_are_ignored_and_kept(database: Database) -> None:
    database.execute("INSERT INTO settings VALUES ('from_the_future', '42')")
    store = SettingsStore(database)
    store.save(store.load())
    row = database.query_one("SELECT value FROM settings WHERE key = 'from_the_future'")
    assert json.loads(row["value"]) == 42


def test_recent_models_move_to_the_front_without_doubles() -> None:
    settings = AppSettings()
    for number in range(20):
        settings = replace(settings, recent_models=settings.recent_with(f"/{number}"))
    assert len(settings.recent_models) == 12
    assert settings.recent_with("/15")[:3] == ("/15", "/19", "/18")
    assert settings.recent_with("/15").count("/15") == 1


def test_a_measurement_comes_back_and_is_replaced(database: Database) -> None:
    measurements = Measurements(database)
    assert measurements.get("engine") is None
    measurements.put("engine", {"threads": 2, "rate": 1.5})
    measurements.put("engine", {"threads": 4, "nested": {"a": [1]}})
    assert measurements.get("engine") == {"threads": 4, "nested": {"a": [1]}}
    measurements.forget("engine")
    assert measurements.get("engine") is None


@pytest.mark.parametrize("value", ["{", "[1]", "3"])
def test_an_unreadable_measurement_counts_as_none(database: Database, value: str) -> None:
    database.execute("INSERT INTO measurements VALUES ('k', ?, 0)", (value,))
    assert Measurements(database).get("k") is None

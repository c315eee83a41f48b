# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-edge store doctor`: what it says of sound, damaged and foreign files, and what it writes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.cli import cli
from edge.domain.errors import StoreUnavailable
from edge.domain.events import Stream
from edge.store import doctor
from edge.store.carving import PAGE
from edge.store.database import Database
from edge.store.keeper import RecordKeeper
from edge.store.retention import thin_out_metrics
from edge.store.rows import Moment
from edge.store.settings import StoreSettings
from edge.store.sqlite_store import SqliteStore
from tests.support.facts import FixedClock, metric, session

SETTINGS = StoreSettings(reserve_mb=0, ballast_mb=0)


async def _fill(path: Path) -> None:
    database = Database.open(path, SETTINGS, "boot-1")
    store = SqliteStore(database)
    await store.append([session(number) for number in range(600)], {"visit": "{}"})
    await store.append([metric(number) for number in range(100)])
    await database.writer.write(lambda c: thin_out_metrics(c, Moment(1, 5, 6)), durable=True)
    await store.append([metric(1)])
    database.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    asyncio.run(_fill(tmp_path / "infomobil.db"))
    return tmp_path / "infomobil.db"


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["store", "doctor", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_sound_record_is_told_by_stream_and_left_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    code, said = run(path)
    assert code == 0
    assert "600 waiting" in said
    assert "metrics: 2 waiting, 0.0 MB, of 1 epoch, 100 dropped with a record" in said
    assert "The record is sound." in said
    assert path.read_bytes() == before


async def test_a_running_lab_is_not_disturbed(path: Path) -> None:
    database = Database.open(path, SETTINGS, "boot-2")
    store = SqliteStore(database)
    await store.append([session(1)])
    found = await asyncio.to_thread(doctor.examine, path)
    assert found.sound
    assert found.waiting[0] == doctor.Waiting(Stream.VISITS, 601, found.waiting[0].bytes, 2)
    assert (await store.append([session(2)]))[0].seq == 2
    database.close()


def test_what_is_readable_of_a_damaged_one_is_counted_and_written(path: Path, tmp_path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[:100] = bytes(100)
    damaged[20 * PAGE : 21 * PAGE] = bytes(PAGE)
    path.write_bytes(damaged)
    code, said = run(path)
    assert code == 1
    assert "It is damaged:" in said
    assert "--salvage FILE" in said
    code, said = run(path, "--salvage", tmp_path / "facts.jsonl")
    assert code == 1
    facts = [json.loads(line) for line in (tmp_path / "facts.jsonl").read_text().splitlines()]
    assert f"{len(facts)} facts were written" in said
    visits = [fact for fact in facts if fact["stream"] == "visits"]
    assert 500 < len(visits) < 601
    assert visits[0]["data"]["session"] == "s0"
    assert set(visits[0]) == {"epoch", "boot", "stream", "seq", "type", "data", "boot_ns", "wall_ns"}
    assert f"visits: {len(visits)}" in said
    assert path.read_bytes() == bytes(damaged)
    assert [part.name for part in tmp_path.iterdir() if "salvage" in part.name] == []
    code, said = run(path, "--salvage", tmp_path / "facts.jsonl")
    assert code == 1
    assert "exists" in said


async def _bring_over(path: Path) -> None:
    database = Database.open(path, SETTINGS, "boot-3")

    async def renewed() -> None:
        raise AssertionError

    found = await asyncio.to_thread(doctor.examine, path)
    assert [aside.brought_over for aside in found.aside] == [False]
    await RecordKeeper(database, FixedClock(), on_renewed=renewed, changed=lambda: None).look()
    database.close()


def test_files_that_were_set_aside_are_named_with_their_fate(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))
    asyncio.run(_bring_over(path))
    path.with_name("infomobil.db.corrupt-7").write_bytes(b"?")
    code, said = run(path)
    assert code == 0
    assert "infomobil.db.corrupt-1, 0.1 MB, its facts were brought over" in said
    assert "infomobil.db.corrupt-7, 0.0 MB, not known to this database" in said
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE salvage SET finished = 0")
        connection.commit()
    assert "not brought over yet" in run(path)[1]
    assert run(path.with_name("infomobil.db.corrupt-1"))[0] == 1


def test_lost_facts_and_later_versions_are_said(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM fact WHERE stream = 'visits' AND seq BETWEEN 10 AND 12")
        connection.commit()
    code, said = run(path)
    assert code == 1
    assert "3 LOST" in said
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('edge', 'm999', '')"
        )
        connection.commit()
    code, said = run(path)
    assert code == 1
    assert "newer version" in said


def test_what_cannot_be_looked_at_is_said_in_words(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run(tmp_path / "none.db")
    assert code == 1
    assert "there is no database" in said
    assert run()[0] == 2
    assert run(path, "--config", path)[0] == 2
    assert run("--config", tmp_path / "none.toml")[0] == 2
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        code, said = run(path)
        assert code == 1
        assert "another program" in said
    with pytest.raises(StoreUnavailable, match="No such file"):
        list(doctor.readable_facts(tmp_path / "none.db"))


def test_the_configuration_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings:
        store = StoreSettings()

        class lab:  # noqa: N801
            data_dir = tmp_path

    monkeypatch.setattr("edge.store_cli.load_settings", lambda path: Settings)
    code, said = run("--config", tmp_path / "edge.toml")
    assert code == 1
    assert str(tmp_path / "infomobil.db") in said

# SPDX-License-Identifier: GPL-3.0-or-later
"""Sticks over HTTP and by the command line: what comes back, and what is refused."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from edge.cli import cli as edge_cli
from office.api import import_calls
from office.api.access import AccessGate, Visitor
from office.api.errors import add_handlers
from office.cli import app as office_cli
from office.errors import LedgerRefused, LedgerUnavailable
from office.facts import ReceivedBatch
from office.ledger import Ledger, audit, keys, reading
from office.stick import take_stick
from tests.support.facts import headcount, session
from tests.support.office import presence
from tests.support.stick import Card
from wire.stick import MAX_STICK

pytest_plugins = ("tests.support.office_fixtures",)


class Known:
    """A door that knows who comes."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    async def visitor(self, _scope: object) -> Visitor:
        return self._visitor


def client(ledger: Ledger, role: Any = "office", most_bytes: int = MAX_STICK) -> httpx.AsyncClient:
    app = FastAPI()
    add_handlers(app)
    import_calls.add_import_calls(app, ledger, most_bytes=most_bytes)
    door: Any = Known(Visitor("ona", role))
    app.add_middleware(AccessGate, door=door)
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={"X-InfoMobil": "1"})


@pytest.fixture
async def stick(tmp_path: Path, ledger: Ledger) -> bytes:
    """A stick of a lab whose key the office knows."""
    card = Card(tmp_path / "card")
    await card.write([headcount(20), *(session(n) for n in range(40))])
    await ledger.record([presence(key=card.key.public_hex)])
    (path,) = (await card.export()).files
    return path.read_bytes()


async def test_a_stick_is_taken_in_and_once_more_is_no_harm(ledger: Ledger, stick: bytes) -> None:
    async with client(ledger) as http:
        first = await http.post("/api/import", content=stick)
        again = await http.post("/api/import", content=stick)
    assert first.status_code == 200, first.text
    key = (await ledger.read(keys.keys))[0].key
    assert first.json() == {
        "lab": "van-1",
        "batches": 1,
        "new": 41,
        "duplicates": 0,
        "rejected": 0,
        "signed_by": key,
    }
    assert (again.json()["new"], again.json()["duplicates"]) == (0, 1)
    assert (await ledger.read(reading.totals)).ledger == 20
    rows = await ledger.read(lambda database: audit.page(database, 9, 0))
    assert [(row.who, row.what) for row in rows][:4] == [("ona", "import")] * 4
    assert [row.text.partition(":")[0] for row in rows[:2]] == ["A stick was taken in", "A stick is being taken in."]
    assert rows[2].facts == {**rows[3].facts, "new": 41, "duplicates": 0, "rejected": 0}


async def test_what_is_refused_leaves_nothing(ledger: Ledger, stick: bytes) -> None:
    async with client(ledger) as http:
        for content in (b"", b"garbage", stick[: len(stick) // 2], stick.replace(b'"van-1"', b'"van-2"')):
            answer = await http.post("/api/import", content=content)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "stick")
            assert answer.json()["error"]["why"].startswith("The stick is not taken in: ")
    async with client(ledger, "viewer") as http:
        assert (await http.post("/api/import", content=stick)).status_code == 403
    async with client(ledger, most_bytes=len(stick) - 1) as http:
        assert (await http.post("/api/import", content=stick)).status_code == 413
    assert await ledger.read(reading.totals) == reading.Totals(0, 0, 0)
    rows = [row for row in await ledger.read(lambda database: audit.page(database, 9, 0)) if row.what == "import"]
    assert [(row.who, row.lab, row.text) for row in rows] == [("ona", None, "A stick was refused.")] * 4
    assert all(str(row.facts["failed"]).startswith("The stick is not taken in: ") for row in rows)


async def test_a_stick_with_a_key_that_nobody_took_is_refused_and_noted(ledger: Ledger, stick: bytes) -> None:
    await ledger.change(lambda database: keys.trust(database, "ona", "van-1", "ab" * 32, 1))
    async with client(ledger) as http:
        assert (await http.post("/api/import", content=stick)).status_code == 422
    (row, *_) = await ledger.read(lambda database: audit.page(database, 9, 0))
    assert (row.what, row.lab, row.text) == ("import", "van-1", "A stick was refused.")
    assert "another key" in str(row.facts["failed"])


async def test_one_stick_at_a_time(ledger: Ledger, stick: bytes) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield stick[:100]
        begun.set()
        await go_on.wait()
        yield stick[100:]

    async with client(ledger) as http:
        first = asyncio.create_task(http.post("/api/import", content=slowly()))
        await begun.wait()
        second = await http.post("/api/import", content=stick)
        go_on.set()
        assert (second.status_code, second.json()["error"]["code"]) == (429, "too_often")
        assert (await first).status_code == 200


async def test_a_body_that_breaks_off_is_refused(ledger: Ledger, stick: bytes) -> None:
    app = FastAPI()
    add_handlers(app)
    import_calls.add_import_calls(app, ledger)
    door: Any = Known(Visitor("ona", "office"))
    app.add_middleware(AccessGate, door=door)
    said: list[Any] = []
    pieces = iter(
        [{"type": "http.request", "body": stick[:50], "more_body": True}, {"type": "http.disconnect"}],
    )

    async def receive() -> Any:
        return next(pieces)

    async def send(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/import",
        "query_string": b"",
        "headers": [(b"x-infomobil", b"1")],
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    assert said[0]["status"] == 400
    assert (await ledger.read(reading.totals)).ledger == 0


async def test_a_full_disk_at_the_office_is_told(ledger: Ledger, stick: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _piece: bytes) -> int:
            raise OSError(28, "No space left on device")

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(import_calls.tempfile, "TemporaryFile", Full)
    async with client(ledger) as http:
        answer = await http.post("/api/import", content=stick)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "disk")


async def test_a_ledger_that_goes_away_is_told_and_once_more_finishes_it(
    ledger: Ledger, stick: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_items: object) -> Any:
        raise LedgerUnavailable(reason="it is being backed up")

    async with client(ledger) as http:
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "record", away)
            assert (await http.post("/api/import", content=stick)).status_code == 503
        rows = await ledger.read(lambda database: audit.page(database, 2, 0))
        assert [row.text for row in rows] == [
            "A stick broke off: 0 new facts of it were taken in.",
            "A stick is being taken in.",
        ]
        assert rows[0].facts["failed"] == "the ledger or the file was away"
        assert (await http.post("/api/import", content=stick)).json()["new"] == 41


async def test_a_stick_that_cannot_even_be_noted_to_break_off_has_a_beginning(
    ledger: Ledger, stick: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_work: object) -> Any:
        raise LedgerUnavailable(reason="it is being backed up")

    def gone(_items: object) -> Any:
        monkeypatch.setattr(ledger, "change", away)
        return away(_items)

    with monkeypatch.context() as patch, tempfile.TemporaryFile() as file:
        patch.setattr(ledger, "record", gone)
        file.write(stick)
        with pytest.raises(LedgerUnavailable):
            await take_stick(file, ledger, "ona")
    (row, *_) = await ledger.read(lambda database: audit.page(database, 9, 0))
    assert row.text == "A stick is being taken in."


async def test_what_the_ledger_never_takes_is_set_aside_and_the_rest_goes_in(
    ledger: Ledger, stick: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ledger.record

    async def picky(items: Any) -> Any:
        if any(isinstance(item, ReceivedBatch) for item in items):
            raise LedgerRefused(reason="a value that no database holds")
        return await real(items)

    monkeypatch.setattr(ledger, "record", picky)
    with tempfile.TemporaryFile() as file:
        file.write(stick)
        done = await take_stick(file, ledger, "ona")
    assert (done.new, done.rejected) == (0, 1)
    assert (await ledger.read(reading.quality)).quarantined == 1
    assert (await ledger.read(reading.totals)).reached == 20, "the presence went in"


class Shell:
    """The command lines of a van and of an office that keeps its ledger in a file."""

    def __init__(self, folder: Path) -> None:
        self.van, self.office = folder / "van.toml", folder / "office.toml"
        self.card = Card(folder / "card")
        self.van.write_text(
            f'[lab]\nid = "van-1"\nname = "Van"\ndata_dir = "{self.card.folder}"\n[operator]\npin_file = "pin"\n'
        )
        self.office.write_text(f'database = "sqlite:///{folder / "office.sqlite3"}"\n')

    def at_the_van(self, *words: str) -> tuple[int, str]:
        return self._run(edge_cli, *words, "-c", str(self.van))

    def at_the_office(self, *words: str) -> tuple[int, str]:
        return self._run(office_cli, *words, "-c", str(self.office))

    @staticmethod
    def _run(program: Any, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(program, list(words))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output


def test_the_whole_way_by_command_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert shell.at_the_van("export", str(shell.card.stick)) == (
        1,
        f"The record could not be written to disk: there is no database {shell.card.path}.\n",
    )
    asyncio.run(shell.card.write([headcount(20), session(1)]))
    code, said = shell.at_the_van("export", str(shell.card.stick))
    assert (code, said.splitlines()[1]) == (0, "2 facts in 1 batches, 0.0 MB.")
    path = said.splitlines()[0]
    assert Path(path).name.startswith("van-1-")
    code, key = shell.at_the_van("key")
    assert (code, key.strip()) == (0, shell.card.key.public_hex)

    code, said = shell.at_the_office("import", path)
    assert (code, "no key of the lab van-1 is known" in said) == (1, True)
    assert shell.at_the_office("key", "trust", "van-1", key.strip()) == (
        0,
        "Sticks of van-1 are measured by this key.\n",
    )
    assert shell.at_the_office("key", "trust", "van-1", key.strip())[1].endswith("as before.\n")
    assert "van-1" in shell.at_the_office("key", "list")[1]
    code, said = shell.at_the_office("import", path, path)
    assert (code, said.splitlines()) == (
        0,
        [
            f"{path}: 2 new facts of van-1 in 1 batches.",
            f"{path}: 0 new facts of van-1 in 1 batches, 1 batches were known.",
        ],
    )
    code, said = shell.at_the_office("import", str(tmp_path / "none"), path)
    assert (code, "No such file" in said, "0 new facts" in said) == (1, True, True), "one bad file keeps no other out"


def test_what_is_asked_wrongly_at_the_command_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    asyncio.run(shell.card.write([headcount(20)]))
    assert shell.at_the_van("export", str(tmp_path / "nowhere"))[0] == 2
    for lab, key in (("VAN", "a1" * 32), ("van-1", "a1"), ("van-1", "A1" * 32)):
        assert shell.at_the_office("key", "trust", lab, key)[0] == 2
    shell.office.write_text('database = "sqlite:////proc/nowhere/office.sqlite3"\n')
    assert shell.at_the_office("key", "list")[0] == 2
    (shell.card.folder / "keys" / "lab.pem").unlink(missing_ok=True)
    shell.van.write_text("[lab]\n")
    assert shell.at_the_van("export", str(shell.card.stick))[0] == 2
    assert shell.at_the_van("key")[0] == 2


def test_a_van_whose_key_cannot_be_made_says_so(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    asyncio.run(shell.card.write([headcount(20)]))
    (shell.card.folder / "keys").write_text("in the way")
    for words in (["key"], ["export", str(shell.card.stick)]):
        code, said = shell.at_the_van(*words)
        assert (code, "cannot be used" in said) == (1, True)


def test_nothing_waits_and_what_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path)
    asyncio.run(shell.card.write([]))
    assert shell.at_the_van("export", str(shell.card.stick)) == (0, "Nothing waits: the office has everything.\n")
    asyncio.run(shell.card.write([headcount(20)]))

    def gone(*_: object, **__: object) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("edge.stick.export.Archive", gone)
    code, said = shell.at_the_van("export", str(shell.card.stick))
    assert (code, said) == (1, "The stick does not take it: Input/output error.\n")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in and what they may: accounts, roles, sessions, wrong passwords, over a ledger of each kind."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from office.api import passwords
from office.api.access import COOKIE, AccessGate, AsAdmin, AsOffice, Door, digest
from office.api.account_calls import add_account_calls
from office.api.errors import add_handlers
from office.config import HttpSettings
from office.errors import LastAdmin, PasswordRefused
from office.ledger import Ledger, accounts, audit
from tests.support.office import NOW_NS

pytest_plugins = ("tests.support.office_fixtures",)

FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
MARK = {"X-InfoMobil": "1"}
GOOD = "a good password"
MINUTE_NS = 60 * 10**9


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    monkeypatch.setattr(passwords, "_hasher", FAST)
    monkeypatch.setattr(passwords, "_NOBODY", FAST.hash("nobody's password"))


class Site:
    """The gate and the calls of accounts before three calls of our own, with clocks that stand still."""

    def __init__(self, ledger, **http):
        self.ledger, self.now_ns, self.clock = ledger, NOW_NS, 0.0
        self.settings = HttpSettings(**http)
        self.door = Door(self.settings, ledger, now_ns=lambda: self.now_ns, clock=lambda: self.clock)
        app = FastAPI()
        add_handlers(app)
        add_account_calls(app, ledger, self.door)

        @app.get("/api/figures")
        async def figures() -> int:
            return 24

        @app.post("/api/corrections")
        async def corrections(visitor: AsOffice) -> str:
            return str(visitor.name)

        @app.get("/api/keys")
        async def keys(visitor: AsAdmin) -> str:
            return str(visitor.name)

        @app.get("/metrics")
        async def metrics() -> str:
            return "figures"

        app.add_middleware(AccessGate, door=self.door)
        self.app = app

    def client(self, ip="127.0.0.1", base="http://127.0.0.1:8090"):
        transport = httpx.ASGITransport(self.app, client=(ip, 5000))
        return httpx.AsyncClient(transport=transport, base_url=base, headers=MARK)

    async def account(self, name, role="viewer", password=GOOD):
        kept = passwords.new_hash(password)
        await self.ledger.change(lambda database: accounts.put(database, "", name, role, kept, self.now_ns))

    @asynccontextmanager
    async def logged_in(self, name, **where):
        async with self.client(**where) as http:
            answer = await http.post("/api/login", json={"name": name, "password": GOOD})
            assert answer.status_code == 200, answer.text
            yield http


@pytest.fixture
def site(ledger):
    return Site(ledger)


async def test_without_an_account_this_computer_may_read_and_nobody_may_change(site):
    async with site.client() as http:
        assert (await http.get("/api/me")).json() == {"name": None, "role": "viewer", "login_needed": False}
        assert (await http.get("/api/figures")).json() == 24
        refused = await http.post("/api/corrections")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "role")
        assert "infomobil-office account add" in refused.json()["error"]["remedy"]
        assert (await http.get("/api/keys")).status_code == 403
        none = await http.post("/api/login", json={"name": "ann", "password": GOOD})
        assert (none.status_code, "no account yet" in none.json()["error"]["why"]) == (401, True)


async def test_without_an_account_it_is_closed_to_others(ledger):
    for site, base in ((Site(ledger, host="0.0.0.0"), "http://127.0.0.1"), (Site(ledger), "http://office.lt")):
        async with site.client(base=base) as http:
            assert (await http.get("/api/me")).json() == {"name": None, "role": None, "login_needed": True}
            for path in ("/api/figures", "/metrics", "/api/openapi.json", "/api/nothing"):
                refused = await http.get(path)
                assert (refused.status_code, refused.json()["error"]["code"]) == (401, "login")


async def test_a_login_gives_a_session_and_a_logout_ends_it(site):
    await site.account("ann", "office")
    async with site.client() as http:
        assert (await http.get("/api/figures")).status_code == 401
        assert (await http.get("/api/me")).json()["login_needed"] is True
        answer = await http.post("/api/login", json={"name": "ann", "password": GOOD})
        assert answer.json() == {"name": "ann", "role": "office", "login_needed": False}
        cookie = answer.headers["set-cookie"]
        for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
            assert word in cookie
        assert "Secure" not in cookie
        assert (await http.get("/api/figures")).json() == 24
        assert (await http.post("/api/corrections")).json() == "ann"
        token = http.cookies[COOKIE]
        assert (await http.post("/api/logout")).json() == {"ok": True}
        assert COOKIE not in http.cookies
    # The token is worth nothing any more, and was never kept as it was.
    async with site.client() as http:
        assert (await http.get("/api/figures", headers={"cookie": f"{COOKIE}={token}"})).status_code == 401
    async with site.logged_in("ann") as http:
        (kept,) = await site.ledger.read(lambda database: database.query("select token from login"))
        assert bytes(kept[0]) == digest(http.cookies[COOKIE])


async def test_behind_tls_the_cookie_is_sent_over_tls_only(site):
    await site.account("ann")
    async with site.client(base="https://127.0.0.1") as http:
        answer = await http.post("/api/login", json={"name": "ann", "password": GOOD})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(("role", "change", "keys"), [("viewer", 403, 403), ("office", 200, 403), ("admin", 200, 200)])
async def test_each_role_may_what_it_may(site, role, change, keys):
    await site.account("ann", role)
    async with site.logged_in("ann") as http:
        assert (await http.get("/api/figures")).status_code == 200
        assert (await http.post("/api/corrections")).status_code == change
        assert (await http.get("/api/keys")).status_code == keys
        assert (await http.get("/api/accounts")).status_code == keys
        if keys == 403:
            assert f"has the role {role}, and admin is needed" in (await http.get("/api/keys")).json()["error"]["why"]


async def test_a_change_without_the_header_is_refused(site):
    await site.account("ann", "admin")
    async with site.logged_in("ann") as http:
        del http.headers["x-infomobil"]
        for method, path in (("POST", "/api/corrections"), ("POST", "/api/logout"), ("PUT", "/api/accounts/ann")):
            refused = await http.request(method, path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "header")
        refused = await http.post("/api/login", data={"name": "ann", "password": GOOD})
        assert refused.json()["error"]["code"] == "header"
        assert (await http.get("/api/figures")).status_code == 200


async def test_a_session_ends_when_idle_and_in_any_case(ledger):
    site = Site(ledger, session_idle_minutes=30, session_hours=1)
    await site.account("ann")
    async with site.logged_in("ann") as http:
        for _ in range(2):
            site.now_ns += 29 * MINUTE_NS
            assert (await http.get("/api/figures")).status_code == 200
        site.now_ns += 2 * MINUTE_NS
        assert (await http.get("/api/figures")).status_code == 401
    async with site.logged_in("ann") as http:
        # The hour of the first session is over: it was cleared away with this login.
        assert len(await ledger.read(lambda database: database.query("select 1 from login"))) == 1
        site.now_ns += 31 * MINUTE_NS
        assert (await http.get("/api/figures")).status_code == 401


async def test_what_changes_about_an_account_holds_at_once(site):
    await site.account("ann", "admin")
    await site.account("ben", "office")
    async with site.logged_in("ann") as ann, site.logged_in("ben") as ben:
        assert (await ann.put("/api/accounts/ben", json={"role": "viewer"})).json()["role"] == "viewer"
        assert (await ben.post("/api/corrections")).status_code == 403
        assert (await ann.put("/api/accounts/ben", json={"role": "viewer", "password": "another password"})).is_success
        assert (await ben.get("/api/figures")).status_code == 401
        assert (await ann.put("/api/accounts/ann", json={"role": "admin", "password": GOOD})).is_success
        assert (await ann.get("/api/figures")).status_code == 200
    async with site.logged_in("ann") as ann, site.client() as ben:
        assert (await ben.post("/api/login", json={"name": "ben", "password": "another password"})).is_success
        assert (await ann.delete("/api/accounts/ben")).json() == {"ok": True}
        assert (await ben.get("/api/figures")).status_code == 401
        assert (await ann.delete("/api/accounts/ben")).status_code == 404
        (row,) = (await ann.get("/api/accounts")).json()
        assert set(row) == {"name", "role", "made", "last_login"}
        assert row["last_login"].startswith("2030-03-17T")
    rows = await site.ledger.read(lambda database: audit.page(database, 10, 0))
    assert [(row.who, row.what, row.text) for row in rows][:3] == [
        ("ann", "account", "Account ben was removed."),
        ("ann", "account", "Account ann has a new password."),
        ("ann", "account", "Account ben has a new password."),
    ]


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("ann", {"role": "office"}, 409, "last_admin"),
        ("ben", {"role": "viewer"}, 422, "value"),
        ("Ben!", {"role": "viewer", "password": GOOD}, 422, "value"),
        ("operator", {"role": "viewer", "password": GOOD}, 422, "value"),
        ("ben", {"role": "viewer", "password": "short"}, 422, "value"),
        ("ben", {"role": "king", "password": GOOD}, 422, "value"),
        ("ben", {"role": "viewer", "password": "x" * 201}, 422, "value"),
        ("ben", {"role": "viewer", "password": GOOD, "more": 1}, 422, "value"),
    ],
)
async def test_an_account_that_cannot_be_is_refused(site, name, body, status, code):
    await site.account("ann", "admin")
    async with site.logged_in("ann") as http:
        refused = await http.put(f"/api/accounts/{name}", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert [row["name"] for row in (await http.get("/api/accounts")).json()] == ["ann"]


async def test_the_last_admin_is_not_removed(site):
    await site.account("ann", "admin")
    async with site.logged_in("ann") as http:
        refused = await http.delete("/api/accounts/ann")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "last_admin")
        await site.account("ben", "admin")
        assert (await http.delete("/api/accounts/ann")).is_success
    with pytest.raises(LastAdmin):
        await site.ledger.change(lambda database: accounts.remove(database, "", "ben"))


async def test_wrong_passwords_cost_time_that_grows(site, caplog):
    await site.account("ann")
    right, wrong = {"name": "ann", "password": GOOD}, {"name": "ann", "password": "what I think"}
    waits = []
    async with site.client() as http, site.client(ip="10.0.0.2") as other:
        for body in [wrong, {"name": "nobody", "password": GOOD}, *[wrong] * 8]:
            answer = await http.post("/api/login", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "login")
            locked = await http.post("/api/login", json=right)
            assert (locked.status_code, locked.json()["error"]["code"]) == (429, "too_often")
            waits.append(locked.json()["error"]["retry_after_s"])
            assert (await other.post("/api/login", json=right)).status_code == 200
            site.clock += waits[-1]
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
        assert (await http.post("/api/login", json=right)).status_code == 200
        await http.post("/api/login", json=wrong)
        assert (await http.post("/api/login", json=right)).json()["error"]["retry_after_s"] == 1
    assert "a login from 127.0.0.1 was refused" in caplog.text
    assert "what I think" not in caplog.text


async def test_whoever_guesses_many_at_once_has_one_looked_at(site, monkeypatch):
    await site.account("ann")
    looked_at = 0

    def counting(kept, password, verify=passwords.verify):
        nonlocal looked_at
        looked_at += 1
        return verify(kept, password)

    monkeypatch.setattr("office.api.access.verify", counting)
    async with site.client() as http:
        guesses = (http.post("/api/login", json={"name": "ann", "password": f"guess {n} guess"}) for n in range(20))
        codes = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert looked_at == 1
    assert sorted(codes) == [401, *[429] * 19]


def test_clients_are_told_apart_by_what_a_subscriber_is_given():
    throttle = passwords.Throttle(clock=lambda: 0.0)
    throttle.wrong("2001:db8::1")
    throttle.wrong("testclient")
    assert throttle.wait_s("2001:db8::2") == 1
    assert throttle.wait_s("2001:db8:0:1::1") == 0
    assert throttle.wait_s("testclient") == 1
    throttle.wrong("10.0.0.1")
    assert (throttle.wait_s("10.0.0.1"), throttle.wait_s("10.0.0.2")) == (1, 0)


def test_only_so_many_clients_are_remembered(monkeypatch):
    monkeypatch.setattr(passwords, "MOST_CLIENTS", 2)
    throttle = passwords.Throttle(clock=lambda: 0.0)
    for number in range(3):
        throttle.wrong(f"10.0.0.{number}")
    assert [throttle.wait_s(f"10.0.0.{number}") for number in range(3)] == [0, 1, 1]


async def test_an_account_that_goes_during_its_login_is_not_let_in(site, monkeypatch):
    await site.account("ann")

    def gone(kept, password):
        asyncio.run_coroutine_threadsafe(
            site.ledger.change(lambda database: accounts.remove(database, "", "ann")), loop
        ).result()
        return True

    loop = asyncio.get_running_loop()
    monkeypatch.setattr("office.api.access.verify", gone)
    async with site.client() as http:
        assert (await http.post("/api/login", json={"name": "ann", "password": GOOD})).status_code == 401


async def test_a_hash_of_earlier_days_is_renewed_at_login(site, monkeypatch):
    await site.account("ann")
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    for _ in range(2):
        async with site.logged_in("ann"):
            kept = await site.ledger.read(lambda database: accounts.password_hash(database, "ann"))
        assert "t=2" in kept


def test_half_a_character_is_no_password():
    with pytest.raises(PasswordRefused, match="half a character"):
        passwords.new_hash("half \ud800 a character")


def test_a_hash_that_is_none_fits_nothing():
    assert not passwords.verify("not a hash", GOOD)
    assert not passwords.verify(FAST.hash(GOOD), "\ud800")


async def test_metrics_by_token(ledger, tmp_path):
    file = tmp_path / "token"
    file.write_text("a token for the collector\n")
    site = Site(ledger, host="0.0.0.0", metrics_token_file=file)
    async with site.client() as http:
        for value in ("Bearer another token that is no good", "Basic a token for the collector", "Bearer"):
            assert (await http.get("/metrics", headers={"authorization": value})).status_code == 401
        right = {"authorization": "Bearer a token for the collector"}
        assert (await http.get("/metrics", headers=right)).json() == "figures"
        assert (await http.get("/api/figures", headers=right)).status_code == 401
    file.write_text("short")
    with pytest.raises(ValueError, match="16 characters"):
        Site(ledger, metrics_token_file=file)


async def test_a_ledger_that_is_away_lets_nobody_in(tmp_path):
    ledger = Ledger(f"postgresql://postgres@/office?host={tmp_path}")
    async with Site(ledger).client() as http:
        for path in ("/api/figures", "/api/me"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger")
    await ledger.close()


OTHER = "quite another one"


async def test_staff_change_their_own_password_whatever_their_role(site):
    await site.account("ann", "viewer")
    async with site.logged_in("ann") as here, site.logged_in("ann") as elsewhere:
        assert (await here.put("/api/me/password", json={"old": GOOD, "new": OTHER})).json() == {"ok": True}
        assert (await here.get("/api/figures")).status_code == 200
        assert (await elsewhere.get("/api/figures")).status_code == 401
        assert (await elsewhere.post("/api/login", json={"name": "ann", "password": GOOD})).status_code == 401
        site.clock += 2
        assert (await elsewhere.post("/api/login", json={"name": "ann", "password": OTHER})).is_success
    (row,) = await site.ledger.read(lambda database: audit.page(database, 1, 0))
    assert (row.who, row.what, row.text) == ("ann", "account", "Account ann changed its own password.")


async def test_a_wrong_old_password_changes_nothing_and_costs_time(site):
    await site.account("ann")
    async with site.logged_in("ann") as http:
        refused = await http.put("/api/me/password", json={"old": "a bad password", "new": OTHER})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "password")
        refused = await http.put("/api/me/password", json={"old": GOOD, "new": OTHER})
        assert (refused.status_code, refused.json()["error"]["retry_after_s"] > 0) == (429, True)
        site.clock += 2
        short = await http.put("/api/me/password", json={"old": GOOD, "new": "short"})
        assert (short.status_code, "5 characters" in short.json()["error"]["why"]) == (422, True)
        assert (await http.get("/api/figures")).status_code == 200
    async with site.logged_in("ann"):
        pass


async def test_nobody_without_an_account_has_a_password_to_change(site):
    async with site.client() as http:
        body = {"old": GOOD, "new": OTHER}
        assert (await http.put("/api/me/password", json=body)).status_code == 403
        await site.account("ann")
        assert (await http.put("/api/me/password", json=body)).status_code == 401
    async with site.logged_in("ann") as http:
        del http.headers["x-infomobil"]
        refused = await http.put("/api/me/password", json=body)
        assert refused.json()["error"]["code"] == "header"


async def test_a_password_that_was_changed_meanwhile_is_not_changed_again(site, monkeypatch):
    await site.account("ann")
    async with site.logged_in("ann") as http:
        real = accounts.password_hash

        def and_then_another_is_given(database, name):
            kept = real(database, name)
            monkeypatch.setattr(accounts, "password_hash", real)
            return passwords.new_hash(GOOD) if kept is not None else kept

        monkeypatch.setattr(accounts, "password_hash", and_then_another_is_given)
        refused = await http.put("/api/me/password", json={"old": GOOD, "new": OTHER})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "password")
    async with site.logged_in("ann"):
        pass

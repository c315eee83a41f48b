# SPDX-License-Identifier: GPL-3.0-or-later
"""`infomobil-office account`: accounts made and kept at the office's own computer."""

import sqlite3
from contextlib import closing

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from office.api import passwords
from office.cli import app as cli

GOOD = "a good password"


@pytest.fixture
def account(tmp_path, monkeypatch):
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    config = tmp_path / "office.toml"
    config.touch()

    def run(*arguments, text=""):
        return CliRunner().invoke(cli, ["account", *arguments, "--config", str(config)], input=text)

    return run


def kept(tmp_path):
    with closing(sqlite3.connect(tmp_path / "office.sqlite3")) as ledger:
        return dict(ledger.execute("select name, password from account").fetchall())


def test_an_account_from_its_making_to_its_end(account, tmp_path):
    assert account("add", "ann", "--role", "admin", text=f"{GOOD}\n{GOOD}\n").exit_code == 0
    secret = tmp_path / "secret"
    secret.write_text(GOOD + "\n")
    assert account("add", "ben", "--password-file", str(secret)).exit_code == 0
    assert account("add", "cat", "--role", "office", "--password-file", "-", text=GOOD).exit_code == 0
    for hashed in kept(tmp_path).values():
        assert passwords.verify(hashed, GOOD)
    listed = account("list").output
    for word in ("ann", "admin", "ben", "viewer", "cat", "office", "never"):
        assert word in listed
    assert account("role", "ben", "office").exit_code == 0
    made = account("password", "ben", "--generate").output
    word = made.split("Password: ")[1].split()[0]
    assert passwords.verify(kept(tmp_path)["ben"], word)
    assert "was removed" in account("remove", "ben").output
    assert set(kept(tmp_path)) == {"ann", "cat"}
    with closing(sqlite3.connect(tmp_path / "office.sqlite3")) as ledger:
        rows = ledger.execute("select who, what, text from audit order by n").fetchall()
    assert rows[0] == ("", "account", "Account ann was made with the role admin.")
    assert rows[-1] == ("", "account", "Account ben was removed.")
    assert GOOD not in str(rows)


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (("add", "ann", "--password-file", "-"), GOOD, "There is an account ann already"),
        (("add", "ann", "--generate"), "", "There is an account ann already"),
        (("add", "ben", "--role", "king", "--password-file", "-"), GOOD, "A role is one of viewer, office, admin"),
        (("add", "Ben", "--password-file", "-"), GOOD, "a name has up to 32 of a-z"),
        (("add", "ben", "--password-file", "-"), "short", "it has 5 characters"),
        (("add", "ben", "--password-file", "/nowhere/secret"), "", "The password cannot be read"),
        (("role", "ben", "viewer"), "", "There is no account ben"),
        (("role", "ann", "viewer"), "", "it is the last one"),
        (("password", "ben", "--password-file", "-"), GOOD, "There is no account ben"),
        (("remove", "ben"), "", "There is no account ben"),
        (("remove", "ann"), "", "it is the last one"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(account, tmp_path, arguments, text, words):
    assert account("add", "ann", "--role", "admin", "--password-file", "-", text=GOOD).exit_code == 0
    before = kept(tmp_path)
    result = account(*arguments, text=text)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Password: " not in result.stdout
    assert kept(tmp_path) == before


def test_a_password_that_is_not_text_is_refused(account, tmp_path):
    (tmp_path / "secret").write_bytes(b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe")
    result = account("add", "ann", "--password-file", str(tmp_path / "secret"))
    assert (result.exit_code, "cannot be read" in result.stderr) == (2, True)


def test_a_setting_of_the_password_file_is_answered_with_what_to_do(tmp_path):
    config = tmp_path / "office.toml"
    config.write_text('[http]\npassword_file = "password"\n')
    for command in (["check-config", str(config)], ["run", "--config", str(config)]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 2
        assert "line 2: http.password_file was replaced by accounts" in result.stderr
        assert "infomobil-office account add NAME" in result.stderr

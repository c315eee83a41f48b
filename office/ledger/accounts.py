# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of the office's staff and their sessions. Each function wants to be called inside a transaction.

A change of accounts is a row of the audit in the same transaction. Passwords come and go as argon2 hashes, tokens as
SHA-256: neither is ever here in the clear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from office.errors import AccountRefused, AccountUnknown, LastAdmin
from office.ledger import audit
from office.ledger.database import Database

Role = Literal["viewer", "office", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most: each may do what those before it may."""
RESERVED = ("office", "operator", "service")
"""Names that the audit and the corrections use for others than accounts."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


@dataclass(frozen=True, slots=True)
class Account:
    """An account without its password. Times are UTC ns, login_ns is 0 before the first login."""

    name: str
    role: Role
    made_ns: int
    login_ns: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is good now: whose it is, and when it was used last, UTC ns."""

    name: str
    role: Role
    used_ns: int


def exist(database: Database) -> bool:
    """Return whether there is any account."""
    return bool(database.query("select 1 from account limit 1"))


def accounts(database: Database) -> list[Account]:
    """Return all accounts by name."""
    rows = database.query("select name, role, made_ns, login_ns from account order by name")
    return [Account(*row) for row in rows]


def password_hash(database: Database, name: str) -> str | None:
    """Return the argon2 hash of the account's password, None where there is no such account."""
    rows = database.query("select password from account where name = ?", (name,))
    return str(rows[0][0]) if rows else None


def put(
    database: Database, who: str, name: str, role: Role, password: str | None, now_ns: int, keep: bytes | None = None
) -> Account:
    """Make the account `name`, or change its role and, with the hash `password`, its password.

    A new password ends the account's sessions but `keep`. who is the account that does it, for the audit. Raises
    AccountRefused for a name that cannot be and a new account without a password, LastAdmin for its other role.
    """
    admins = _admins(database)
    known = {account.name: account for account in accounts(database)}.get(name)
    if known is None:
        if not _NAME.fullmatch(name) or name in RESERVED:
            reserved = ", ".join(RESERVED)
            raise AccountRefused(
                name=name, reason=f"a name has up to 32 of a-z, 0-9, dot, dash and underscore, and is not {reserved}"
            )
        if password is None:
            raise AccountRefused(name=name, reason="a new account needs a password")
        database.query(
            "insert into account (name, role, password, made_ns) values (?, ?, ?, ?)", (name, role, password, now_ns)
        )
        _note(database, who, f"Account {name} was made with the role {role}.", name, "made", role)
        return Account(name, role, now_ns, 0)
    if role != known.role:
        if admins == {name}:
            raise LastAdmin(name=name)
        database.query("update account set role = ? where name = ?", (role, name))
    if password is not None:
        database.query("update account set password = ? where name = ?", (password, name))
        database.query("delete from login where name = ? and token <> ?", (name, keep or b""))
    if role != known.role or password is not None:
        changed = [f"the role {role} instead of {known.role}"] * (role != known.role)
        changed += ["a new password"] * (password is not None)
        did = "both" if len(changed) == 2 else "role" if role != known.role else "password"
        _note(database, who, f"Account {name} has {' and '.join(changed)}.", name, did, role)
    return Account(name, role, known.made_ns, known.login_ns)


def change_password(database: Database, name: str, old: str, new: str, keep: bytes) -> bool:
    """Put the hash `new` in place of the hash `old`, by the account's own hand; sessions but `keep` end.

    False where the password, or the account, is another one meanwhile.
    """
    changed = "update account set password = ? where name = ? and password = ? returning name"
    if not database.query(changed, (new, name, old)):
        return False
    database.query("delete from login where name = ? and token <> ?", (name, keep))
    _note(database, name, f"Account {name} changed its own password.", name, "own")
    return True


def remove(database: Database, who: str, name: str) -> None:
    """Remove the account and end its sessions; raises AccountUnknown and LastAdmin."""
    admins = _admins(database)
    if not database.query("select 1 from account where name = ?", (name,)):
        raise AccountUnknown(name=name)
    if admins == {name}:
        raise LastAdmin(name=name)
    database.query("delete from login where name = ?", (name,))
    database.query("delete from account where name = ?", (name,))
    _note(database, who, f"Account {name} was removed.", name, "removed")


def _note(database: Database, who: str, text: str, name: str, did: str, role: Role | None = None) -> None:
    """Write a row of the audit; its facts say for a page in another language what its text says."""
    audit.write(database, who, "account", None, text, {"name": name, "did": did, "role": role})


def _admins(database: Database) -> set[str]:
    """Return the admins, locked: two who remove each other at the same time wait for one another."""
    rows = database.query("select name from account where role = 'admin' order by name" + database.for_update)
    return {name for (name,) in rows}


def begin_session(database: Database, name: str, token: bytes, now_ns: int, oldest_ns: int) -> bool:
    """Keep a session under the SHA-256 of its token; False where the account has gone meanwhile.

    Sessions that were made at oldest_ns or before have ended, and are cleared away.
    """
    if not database.query("select 1 from account where name = ?" + database.for_update, (name,)):
        return False
    database.query("delete from login where made_ns <= ?", (oldest_ns,))
    database.query(
        "insert into login (token, name, made_ns, used_ns) values (?, ?, ?, ?)", (token, name, now_ns, now_ns)
    )
    database.query("update account set login_ns = ? where name = ?", (now_ns, name))
    return True


def session(database: Database, token: bytes, made_after_ns: int, used_after_ns: int) -> Session | None:
    """Return whose session it is, None where there is none that was made and used late enough."""
    rows = database.query(
        "select account.name, account.role, login.used_ns from login join account on account.name = login.name"
        " where login.token = ? and login.made_ns > ? and login.used_ns > ?",
        (token, made_after_ns, used_after_ns),
    )
    return Session(*rows[0]) if rows else None


def use_session(database: Database, token: bytes, now_ns: int) -> None:
    """Put off a session's idle end."""
    database.query("update login set used_ns = ? where token = ? and used_ns < ?", (now_ns, token, now_ns))


def end_session(database: Database, token: bytes) -> None:
    """End a session; one that is none stays none."""
    database.query("delete from login where token = ?", (token,))


def new_hash(database: Database, name: str, old: str, new: str) -> None:
    """Keep the same password under a newer hash, unless it was changed meanwhile."""
    database.query("update account set password = ? where name = ? and password = ?", (new, name, old))

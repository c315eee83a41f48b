# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority of one broker: a folder with its key, its register, and what goes to broker, office and labs.

    ca.key  ca.pem  register.json      stay where they are; whoever has ca.key can be any lab
    mosquitto/                         goes to the broker: configuration, rights, its certificate, the revocation list
    office/  labs/NAME/                go to the office and to each lab: ca.pem, their certificate and its key

Commands are safe to repeat: the register is written first, and everything else follows from it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from office.broker import certificates, names, register
from office.broker.errors import AlreadyIssued, AuthorityExists, AuthorityUnusable, NameRefused, NoAuthority, NotIssued
from office.broker.files import PUBLIC, SECRET, make_folder, write_whole
from office.broker.mosquitto import Listening, configuration, rights
from office.broker.register import Issued, Kind, Register

SERVER = "server"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Authority:
    """The authority in `folder`. Calls read and write small files; all but `init` raise NoAuthority where none is."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = _utc_now) -> None:
        self.folder = folder
        self.broker_folder = folder / "mosquitto"
        self._now = now

    def init(self, hosts: tuple[str, ...], listening: Listening) -> None:
        """Make the authority, the broker's certificate for `hosts`, the office's, and what Mosquitto reads.

        Raises AuthorityExists, NameRefused, OSError.
        """
        hosts = tuple(dict.fromkeys(names.host(one) for one in hosts))
        if not hosts:
            raise NameRefused(
                name="nothing", what="the broker's host", rule="labs check under which name they reach it"
            )
        make_folder(self.folder, 0o700)
        with self._alone():
            if (self.folder / "register.json").exists():
                raise AuthorityExists(folder=self.folder)
            key = certificates.new_key()
            write_whole(self.folder / "ca.key", certificates.key_pem(key), SECRET)
            write_whole(self.folder / "ca.pem", certificates.pem(certificates.authority(key)), PUBLIC)
            make_folder(self.broker_folder, 0o700)
            write_whole(self.broker_folder / "mosquitto.conf", configuration(listening).encode(), PUBLIC)
            known = Register(hosts)
            self._issue(known, Kind.SERVER, hosts[0])
            self._issue(known, Kind.OFFICE, names.OFFICE)
            self._publish(known)

    def issue(self, name: str, *, again: bool = False) -> Path:
        """Issue a certificate for the lab, the office ("infomobil.office") or the broker ("server") called `name`.

        Return the folder that holds it with its key. again allows a further one while one is in force; the first stays
        good until it is revoked. Raises NameRefused, AlreadyIssued, AuthorityUnusable, OSError.
        """
        kind = {names.OFFICE: Kind.OFFICE, SERVER: Kind.SERVER}.get(name, Kind.LAB)
        with self._alone():
            known = self._register()
            match kind:
                case Kind.SERVER:
                    name = known.hosts[0]
                case Kind.LAB if names.lab(name) in known.hosts:
                    raise NameRefused(name=repr(name), what="a lab", rule="the broker is called so")
            good = [one for one in known.good(name, self._now()) if one.kind is kind]
            if good and not again:
                raise AlreadyIssued(name=name, until=f"{max(one.ends for one in good):%Y-%m-%d}")
            folder = self._issue(known, kind, name)
            self._publish(known)
        return folder

    def revoke(self, name: str, reason: str = "", *, keep_newest: bool = False) -> list[Issued]:
        """Revoke what `name` has in force, all or all but the newest; return what is revoked of it in total.

        Takes effect when the broker reads its files again. Repeating it writes the files again. Raises NotIssued,
        AuthorityUnusable, OSError.
        """
        with self._alone():
            known = self._register()
            now = self._now().replace(microsecond=0)
            good = known.good(name, now)
            going = {one.serial for one in (good[:-1] if keep_newest else good)}
            known.issued = [
                replace(one, revoked=now, reason=reason) if one.serial in going else one for one in known.issued
            ]
            revoked = [one for one in known.issued if one.name == name and one.revoked is not None]
            if not revoked:
                raise NotIssued(name=name)
            self._publish(known)
        return revoked

    def issued(self) -> list[Issued]:
        """Return all certificates ever issued, oldest first. Raises AuthorityUnusable, OSError."""
        return self._register().issued

    def _issue(self, known: Register, kind: Kind, name: str) -> Path:
        issuer, issuer_key = self._own()
        key = certificates.new_key()
        alternative = known.hosts if kind is Kind.SERVER else (name,)
        made = certificates.issue(kind, name, alternative, key, issuer, issuer_key, self._now())
        known.issued.append(Issued(name, kind, made.serial_number, made.not_valid_before_utc, made.not_valid_after_utc))
        # Before the key is out: what nobody has listed, nobody can revoke.
        register.write(self.folder / "register.json", known)
        folder, stem = {
            Kind.SERVER: (self.broker_folder, "server"),
            Kind.OFFICE: (self.folder / "office", "office"),
        }.get(kind, (self.folder / "labs" / name, name))
        make_folder(folder, 0o700)
        write_whole(folder / f"{stem}.key", certificates.key_pem(key), SECRET)
        write_whole(folder / f"{stem}.pem", certificates.pem(made), PUBLIC)
        write_whole(folder / "ca.pem", certificates.pem(issuer), PUBLIC)
        return folder

    def _publish(self, known: Register) -> None:
        """Write register, revocation list and rights, in this order."""
        issuer, key = self._own()
        path = self.broker_folder / "revoked.pem"
        before = x509.load_pem_x509_crl(path.read_bytes()).last_update_utc if path.exists() else None
        known.lists += 1
        register.write(self.folder / "register.json", known)
        made = certificates.revocation_list(known.lists, before, known.issued, issuer, key, self._now())
        write_whole(path, certificates.pem(made), PUBLIC)
        write_whole(self.broker_folder / "acl", rights(known.shut_out(self._now())).encode(), PUBLIC)

    def _register(self) -> Register:
        try:
            return register.read(self.folder / "register.json")
        except FileNotFoundError as error:
            raise NoAuthority(folder=self.folder) from error

    def _own(self) -> tuple[x509.Certificate, certificates.Key]:
        try:
            own = x509.load_pem_x509_certificate((self.folder / "ca.pem").read_bytes())
            key = load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        except FileNotFoundError as error:
            raise AuthorityUnusable(folder=self.folder, reason=f"{error.filename} is missing") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise AuthorityUnusable(folder=self.folder, reason=f"ca.pem or ca.key is damaged ({error})") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != own.public_key():
            raise AuthorityUnusable(folder=self.folder, reason="ca.key is not the key of ca.pem")
        return own, key

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep a second command out, which would write a register without what this one adds."""
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NoAuthority(folder=self.folder) from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

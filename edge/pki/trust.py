# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom this lab trusts: certificates as files, which a person may also copy in and out.

`trusted/*.der` are machines, clients and authorities; `rejected/*.der` are those that came and were refused because
nobody had trusted them, the newest few, so that a person can trust one by its thumbprint.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from edge.domain.errors import NotFound
from edge.files import make_folder, write_whole
from edge.pki.certificate import Certificate, read
from edge.pki.errors import NotACertificate

REJECTED_KEPT = 32
# Eight digits can be crafted within the hour; nobody crafts sixteen.
_SHORTEST = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """The certificates of a folder by their files, and what cannot be read there, in words."""

    certificates: dict[Path, Certificate]
    damaged: tuple[str, ...]


class TrustList:
    """The folders `trusted` and `rejected`; read anew each time, so that a change needs no restart."""

    def __init__(self, folder: Path) -> None:
        self._trusted = folder / "trusted"
        self._rejected = folder / "rejected"

    def trusted(self) -> Listing:
        """Return whom this lab trusts."""
        return _listing(self._trusted)

    def rejected(self) -> Listing:
        """Return who was refused for want of trust, oldest first."""
        return _listing(self._rejected)

    def trust(self, certificate: Certificate) -> Path:
        """Trust a certificate; return its file. Repeating it changes nothing. Raises OSError."""
        path = _put(self._trusted, certificate)
        _remove(self._rejected, certificate)
        return path

    def untrust(self, certificate: Certificate) -> bool:
        """Trust a certificate no more; return whether it was trusted. It goes to the rejected. Raises OSError."""
        if not _remove(self._trusted, certificate):
            return False
        self._keep_rejected(certificate)
        return True

    def reject(self, certificate: Certificate) -> None:
        """Keep a certificate that nobody trusts. A full disk does not matter here: it is refused all the same."""
        try:
            self._keep_rejected(certificate)
        except OSError as error:
            _log.warning("the refused certificate %s could not be kept: %s", certificate.thumbprint, error)

    def find(self, thumbprint: str) -> Certificate:
        """Return the certificate whose SHA-1 or SHA-256 begins as told (16 digits or more; blanks, colons aside).

        Raises NotFound.
        """
        wanted = re.sub(r"[\s:]", "", thumbprint).upper()
        found: set[Certificate] = set()
        if len(wanted) >= _SHORTEST:
            for listing in (self.rejected(), self.trusted()):
                found.update(
                    one
                    for one in listing.certificates.values()
                    if one.thumbprint.startswith(wanted) or one.sha256.startswith(wanted)
                )
        if len(found) != 1:
            raise NotFound(what="one certificate of the thumbprint", key=thumbprint)
        return found.pop()

    def _keep_rejected(self, certificate: Certificate) -> None:
        _put(self._rejected, certificate)
        for path in _by_age(self._rejected)[:-REJECTED_KEPT]:
            path.unlink(missing_ok=True)


def _listing(folder: Path) -> Listing:
    certificates: dict[Path, Certificate] = {}
    damaged = []
    for path in _by_age(folder):
        try:
            certificates[path] = read(path)
        except NotACertificate as error:
            damaged.append(f"{path} ({error.reason})")
    return Listing(certificates, tuple(damaged))


def _by_age(folder: Path) -> list[Path]:
    def age(path: Path) -> tuple[int, str]:
        try:
            return path.stat().st_mtime_ns, path.name
        except OSError:
            return 0, path.name  # gone meanwhile

    return sorted(folder.glob("*.der"), key=age)


def _put(folder: Path, certificate: Certificate) -> Path:
    make_folder(folder, 0o755)
    path = folder / f"{certificate.thumbprint}.der"
    write_whole(path, certificate.der, 0o644)
    return path


def _remove(folder: Path, certificate: Certificate) -> bool:
    paths = [path for path, one in _listing(folder).certificates.items() if one == certificate]
    for path in paths:
        path.unlink(missing_ok=True)
    return bool(paths)

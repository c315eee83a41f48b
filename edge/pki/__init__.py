# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of OPC UA applications: this lab's own, and whom it trusts.

One folder, `<data_dir>/opcua`, with `own`, `trusted` and `rejected`; used by the driver, whose peers are machines'
servers, and by the lab's own server, whose peers are clients.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edge.pki import own
from edge.pki.certificate import Certificate, split_chain
from edge.pki.check import Peer, refusals
from edge.pki.errors import CertificateRefused, NotTrusted
from edge.pki.own import OwnCertificate
from edge.pki.trust import TrustList

__all__ = ["Certificate", "OwnCertificate", "Peer", "Pki", "TrustList"]

APPLICATION_NAME = "InfoMobil edge"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Pki:
    """The certificates of one laboratory. Calls read and write small files; `own` may take seconds the first time."""

    def __init__(
        self, folder: Path, application_name: str = APPLICATION_NAME, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.folder = folder
        self.trust_list = TrustList(folder)
        self._application_name = application_name
        self._now = now

    def own(self) -> OwnCertificate:
        """Return this lab's certificate and key, made at the first call of all. Raises OwnCertificateUnusable."""
        return own.load_or_make(self.folder / "own", self._application_name, self._now())

    def renew(self) -> OwnCertificate:
        """Make another certificate and key; the old files stay as `*.old`. Raises OwnCertificateUnusable."""
        return own.renew(self.folder / "own", self._application_name, self._now())

    def check(self, chain: bytes, peer: Peer) -> Certificate:
        """Return the certificate that a peer showed, as DER with its issuers after it, if it is accepted.

        One that nobody trusts is kept among the rejected. Raises NotACertificate or CertificateRefused.
        """
        certificates = split_chain(chain, f"what {peer.name} shows")
        for refusal in self.refusals(certificates, peer):
            if isinstance(refusal, NotTrusted):
                self.trust_list.reject(certificates[0])
            raise refusal
        return certificates[0]

    def refusals(self, chain: tuple[Certificate, ...], peer: Peer) -> list[CertificateRefused]:
        """Return everything for which a peer's certificate is refused; nothing is kept."""
        trusted = self.trust_list.trusted().certificates.values()
        return list(refusals(chain, peer, trusted, self._now(), self.folder.resolve()))

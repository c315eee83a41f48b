# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS towards the broker: both sides show certificates, and a refusal is told in words.

With TLS 1.3 the broker looks at our certificate after our handshake has succeeded: its refusal comes as an alert in
place of its first bytes, and paho reports a lost connection. The socket keeps the alert (RFC 8446, section 6.2).
"""

from __future__ import annotations

import ssl

from edge.sync.settings import SyncSettings

_ALERTS = {
    "CERTIFICATE_REVOKED": "the broker refused our certificate: it was revoked",
    "CERTIFICATE_EXPIRED": "the broker refused our certificate: it has expired",
    "UNKNOWN_CA": "the broker refused our certificate: another authority issued it",
    "CERTIFICATE_REQUIRED": "the broker wants a certificate: set cert_file and key_file",
    "UNSUPPORTED_CERTIFICATE": "the broker refused our certificate: it is not one for labs",
    "BAD_CERTIFICATE": "the broker refused our certificate as damaged",
    "CERTIFICATE_UNKNOWN": "the broker refused our certificate",
    "PROTOCOL_VERSION": "the broker speaks no TLS of 1.2 or later",
}
_NO_ROOM = "the broker ended the connection before TLS was agreed: it has no room for more labs, or speaks no TLS there"


class BrokerSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho forgets; keeps why the other side ended it."""

    refusal = ""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as in the class above
        """Shake hands, or close."""
        try:
            super().do_handshake(block)
        except (ssl.SSLEOFError, ConnectionResetError) as error:
            self.close()
            raise ConnectionError(_NO_ROOM) from error
        except OSError:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive; keep a refusal."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self.refusal = words(error)
            raise

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]  # paho sends bytes
        """Send; where the other side has closed, keep its refusal."""
        try:
            return super().send(data, flags)
        except ssl.SSLWantWriteError:
            raise
        except OSError:
            # The other side has closed: what it said before that is still to be read.
            self._last_words()
            raise

    def _last_words(self) -> None:
        try:
            super().recv(1)
        except ssl.SSLError as error:
            self.refusal = words(error)
        except OSError:
            self.refusal = ""


def context(settings: SyncSettings) -> ssl.SSLContext:
    """Return the context for the broker of `settings`, with ca_file set. Raises OSError, ssl.SSLError."""
    made = ssl.create_default_context(cafile=settings.ca_file)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.sslsocket_class = BrokerSocket
    if settings.cert_file is not None:
        made.load_cert_chain(settings.cert_file, settings.key_file)
    return made


def words(error: ssl.SSLError) -> str:
    """Return in words what an alert of the broker says; empty for what is none, such as nothing to read yet."""
    reason = error.reason or ""
    if "ALERT_" not in reason:
        return ""
    alert = reason.partition("ALERT_")[2]
    return _ALERTS.get(alert, f"the broker ended TLS: {alert.lower().replace('_', ' ')}")

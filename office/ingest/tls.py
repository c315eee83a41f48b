# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS towards the broker: a refusal of the office's certificate is told in words.

With TLS 1.3 the broker looks at our certificate after our handshake has succeeded. Its refusal then comes as an alert
in place of its first bytes, of which paho tells no more than "Unspecified error": so the socket keeps it.
"""

from __future__ import annotations

import ssl

from office.config import BrokerSettings

_OURS = "it refused our certificate"
_ALERTS = {
    "CERTIFICATE_REVOKED": f"{_OURS}: it was revoked",
    "CERTIFICATE_EXPIRED": f"{_OURS}: it has expired",
    "UNKNOWN_CA": f"{_OURS}: another authority issued it",
    "CERTIFICATE_REQUIRED": "it wants a certificate: set cert_file and key_file",
    "UNSUPPORTED_CERTIFICATE": f"{_OURS}: it is not one for the office",
    "BAD_CERTIFICATE": f"{_OURS} as damaged",
    "CERTIFICATE_UNKNOWN": _OURS,
    "PROTOCOL_VERSION": "it speaks no TLS of 1.2 or later",
}


class BrokerSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, where paho forgets it, and keeps the broker's refusal in words."""

    refusal = ""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's own signature
        """Shake hands, or close. With TLS 1.2 the refusal comes here."""
        try:
            super().do_handshake(block)
        except ssl.SSLError as error:
            self.close()
            said = words(error)
            if said:
                raise ConnectionRefusedError(said) from error
            raise
        except OSError:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive; keep a refusal."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self.refusal = words(error) or self.refusal
            raise

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]  # paho sends bytes
        """Send; where the other side has closed, read what it said before."""
        try:
            return super().send(data, flags)
        except ssl.SSLWantWriteError:
            raise
        except OSError:
            self._hear_out()
            raise

    def _hear_out(self) -> None:
        try:
            super().recv(1)
        except ssl.SSLError as error:
            self.refusal = words(error) or self.refusal
        except OSError:
            return  # It closed without a word.


def context(settings: BrokerSettings) -> ssl.SSLContext:
    """Return the context for the broker of `settings`. Raises OSError, ssl.SSLError."""
    made = ssl.create_default_context(cafile=settings.ca_file)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.sslsocket_class = BrokerSocket
    if settings.cert_file is not None:
        made.load_cert_chain(settings.cert_file, settings.key_file)
    return made


def words(error: ssl.SSLError) -> str:
    """Return in words what an alert of the broker says of itself ("it ..."); empty for what is no alert."""
    _, is_alert, alert = (error.reason or "").partition("ALERT_")
    if not is_alert:
        return ""
    return _ALERTS.get(alert, f"it ended TLS: {alert.lower().replace('_', ' ')}")

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a certificate, in words that say what to do."""

from __future__ import annotations

from edge.domain.errors import InfoMobilError


class OwnCertificateUnusable(InfoMobilError):
    """The lab's own certificate cannot be used: {reason}."""


class NotACertificate(InfoMobilError):
    """{what} is not a certificate: {reason}."""


class CertificateRefused(InfoMobilError):
    """The certificate of {peer} is refused: {reason}."""


class NotTrusted(CertificateRefused):
    """The certificate of {peer} is refused: {reason}."""


class NotValidNow(CertificateRefused):
    """The certificate of {peer} is refused: {reason}."""


class WrongHost(CertificateRefused):
    """The certificate of {peer} is refused: {reason}."""


class WrongApplication(CertificateRefused):
    """The certificate of {peer} is refused: {reason}."""


class WrongUse(CertificateRefused):
    """The certificate of {peer} is refused: {reason}."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The office's HTTP face: docs/http-api.md, section Office, and the dashboard's pages."""

from office.api.server import create_app

__all__ = ["create_app"]

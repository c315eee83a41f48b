# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking in what the vans send: the only room of the office that speaks MQTT."""

from office.ingest.crew import Crew
from office.ingest.worker import Ingest

__all__ = ["Crew", "Ingest"]

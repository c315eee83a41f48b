# SPDX-License-Identifier: GPL-3.0-or-later
"""The group in which the office's workers share what comes: one that no lab can guess.

Mosquitto 2.0.11 lets everybody subscribe and looks at rights on delivery only. A lab that joined the group would get
its share of the messages, and they would be dropped before it for want of the right: the office lacks them until their
labs send again. (Measured: of 20 batches the office got 10.) Workers with one key agree on a name made from it.
"""

from __future__ import annotations

import hashlib

from office.config import BrokerSettings
from wire import topics

_LENGTH = 24


def ingest_filter(settings: BrokerSettings) -> str:
    """Return the filter of batches. Raises OSError where the key cannot be read."""
    if settings.key_file is None:
        return topics.INGEST_FILTER
    secret = hashlib.sha256(b"infomobil ingest group\0" + settings.key_file.read_bytes()).hexdigest()[:_LENGTH]
    return topics.INGEST_FILTER.replace("/ingest/", f"/ingest-{secret}/", 1)

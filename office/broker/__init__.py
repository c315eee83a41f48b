# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to the office's broker: the authority that issues and revokes certificates, and what Mosquitto reads.

Needs neither a broker nor the office to run: everything here is files.
"""

from office.broker.authority import Authority
from office.broker.register import Issued, Kind

__all__ = ["Authority", "Issued", "Kind"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the simulated grblHAL: ``python -m tests.hardware_sim.grblhal --tcp NUMBER --link FILE ...``.

All other arguments, and the control lines, are those of ``tests.hardware_sim.grbl``.
"""

import argparse
import sys

from tests.hardware_sim.grbl import runner
from tests.hardware_sim.grbl.__main__ import main

from .port import TcpPort


def _take_number() -> int:
    """Return the TCP port number and leave the other arguments to the simulated GRBL."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--tcp", type=int, required=True)
    known, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    number: int = known.tcp
    return number


if __name__ == "__main__":
    number = _take_number()
    vars(runner)["Port"] = lambda link: TcpPort(number, link)
    main()

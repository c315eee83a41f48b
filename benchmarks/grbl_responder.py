# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that answers at once and moves nothing, for measuring the host alone.

Usage: python benchmarks/grbl_responder.py LINK. Its port appears at LINK; it runs until its standard input closes.
"""

from __future__ import annotations

import os
import select
import sys
import tty

WELCOME = b"\r\nGrbl 1.1h ['$' for help]\r\n"
STATUS = b"<Idle|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>\r\n"
SETTINGS = (1, 11, 12, 13, 22, 30, 100, 101, 102, 110, 111, 112, 120, 121, 122, 130, 131, 132)
ANSWERS = {
    b"$I": b"[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\n",
    b"$$": b"".join(b"$%d=0\r\n" % number for number in SETTINGS),
}


def answer(lines: list[bytes]) -> bytes:
    """Return what is said to complete lines."""
    return b"".join(ANSWERS.get(line, b"") + b"ok\r\n" for line in lines)


def main(link: str) -> None:
    """Answer until nobody minds any more."""
    controller, host = os.openpty()
    tty.setraw(host)
    os.symlink(os.ttyname(host), link)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    rest = b""
    while True:
        ready, _, _ = select.select([controller, 0], [], [])
        if 0 in ready and not os.read(0, 1):
            return
        if controller not in ready:
            continue
        data = os.read(controller, 4096)
        said = STATUS * data.count(b"?") + WELCOME * data.count(b"\x18")
        *lines, rest = (rest + data.translate(None, b"?!~\x18")).split(b"\n")
        os.write(controller, said + answer(lines))


if __name__ == "__main__":
    main(sys.argv[1])

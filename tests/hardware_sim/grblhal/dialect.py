# SPDX-License-Identifier: GPL-3.0-or-later
"""The words in which grblHAL differs from GRBL 1.1 where both say the same (grblHAL core, report.c)."""

import re

WELCOME = b"GrblHAL 1.1f ['$' or '$HELP' for help]\r\n"
_VERSION = b"[VER:1.1f.20240928:]\r\n"
_OPTIONS = (
    b"[OPT:VNMGSL,100,1024,3,0]\r\n[NEWOPT:ENUMS,RT+,HOME,SED,LASER]\r\n"
    b"[FIRMWARE:grblHAL]\r\n[SIGNALS:DHSRE]\r\n[BOARD:simulated]\r\n"
)
_OWN_SETTINGS = b"$340=5.0\r\n$341=0\r\n$384=0\r\n"
_LAST_SETTING = b"$132="


def to_hal(line: bytes) -> bytes:
    """Return one line of GRBL, with its end, as grblHAL writes it; some become several lines."""
    if line.startswith(b"Grbl "):
        return WELCOME
    if line.startswith(b"[VER:"):
        return _VERSION
    if line.startswith(b"[OPT:"):
        return _OPTIONS
    if line.startswith(_LAST_SETTING):
        return line + _OWN_SETTINGS
    if line.startswith(b"<"):
        return _status(line)
    return line


def _status(line: bytes) -> bytes:
    """Return a report with fields of grblHAL: actual speed as third value of FS, active offsets, inputs, firmware."""
    body = line.rstrip(b"\r\n").removesuffix(b">")
    body = re.sub(rb"(\|FS:[^|]*)", rb"\1,0", body)
    if b"|WCO:" in body:
        body += b"|WCS:G54|In:-1|FW:grblHAL"
    return body + b">\r\n"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Values on their way from a server into a machine's state, and which of two is the newer one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Value(NamedTuple):
    """A plain value, None where unknown.

    source_ns is when its source says that it came to be (UTC ns, by a clock that may be wrong by years), None where it
    says nothing; overflowed tells that others before it were lost.
    """

    value: object
    source_ns: int | None = None
    overflowed: bool = False


@dataclass(slots=True)
class _Held:
    value: object
    source_ns: int | None
    received_ns: int


class Values:
    """The newest value of each key; newest_ns is the source timestamp of what changed last.

    It is not the highest of all: where a clock was set back, old values bear times to come.
    """

    def __init__(self) -> None:
        self.known: dict[str, object] = {}
        self.newest_ns: int | None = None
        self._held: dict[str, _Held] = {}

    def report(self, values: Mapping[str, Value], now_ns: int) -> set[str]:
        """Take values that the server reported; return the keys that were taken.

        A report may carry what was sampled before a reading that overtook it: a counter must not go back for that.
        """
        taken = set()
        for key, one in values.items():
            held = self._held.get(key)
            if held is None or one.source_ns is None or held.source_ns is None or one.source_ns >= held.source_ns:
                taken.add(key)
        self._hold({key: values[key] for key in taken}, now_ns)
        return taken

    def read(self, values: Mapping[str, Value], asked_ns: int, now_ns: int) -> set[str]:
        """Take values that were read at once, asked for at `asked_ns`; return the keys that were taken.

        A reading counts even where its source timestamp is older: a server's clock may be set back. What was reported
        while the answer was on its way may be newer; there the timestamps decide, and without them the report stays.
        """
        taken = set()
        for key, one in values.items():
            held = self._held.get(key)
            if held is not None and held.received_ns > asked_ns and held.value is not None:
                if one.source_ns is None or held.source_ns is None or one.source_ns < held.source_ns:
                    continue
            taken.add(key)
        self._hold({key: values[key] for key in taken}, now_ns)
        return taken

    def _hold(self, values: Mapping[str, Value], now_ns: int) -> None:
        changed_ns = []
        for key, one in values.items():
            held = self._held.get(key)
            if one.source_ns is not None and (held is None or one.source_ns != held.source_ns):
                changed_ns.append(one.source_ns)
            self.known[key] = one.value
            self._held[key] = _Held(one.value, one.source_ns, now_ns)
        if changed_ns:
            self.newest_ns = max(changed_ns)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Values on their way from a server into a machine's state, and which of two is the newer one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Value(NamedTuple):
    """A plain value, None where unknown.

    source_ns is when its source says that it came to be, server_ns when the server says that it had it (UTC ns, by
    clocks that may be wrong by years), None where they say nothing; overflowed tells that others before it were lost.
    """

    value: object
    source_ns: int | None = None
    overflowed: bool = False
    server_ns: int | None = None

    def age_to(self, other: Value) -> int | None:
        """Return how much younger than `other` it is, ns, by one clock; None where no clock tells of both.

        The server's clock is asked only where the source's says nothing.
        """
        if self.source_ns is not None and other.source_ns is not None:
            return self.source_ns - other.source_ns
        if self.server_ns is not None and other.server_ns is not None:
            return self.server_ns - other.server_ns
        return None


@dataclass(slots=True)
class _Held:
    value: Value
    received_ns: int


class Values:
    """The newest value of each key; newest_ns is the source timestamp of what changed last.

    It is not the highest of all: where a clock was set back, old values bear times to come.
    """

    def __init__(self) -> None:
        self.known: dict[str, object] = {}
        self.newest_ns: int | None = None
        self._held: dict[str, _Held] = {}

    def report(self, values: Mapping[str, Value], now_ns: int, always: Collection[str] = ()) -> set[str]:
        """Take values that the server reported; return the keys that were taken.

        A report may carry what was sampled before a reading that overtook it: a counter must not go back for that.
        The values of `always` are taken whenever they came to be.
        """
        taken = set()
        for key, one in values.items():
            held = self._held.get(key)
            younger_ns = None if held is None or key in always else one.age_to(held.value)
            if younger_ns is None or younger_ns >= 0:
                taken.add(key)
        self._hold({key: values[key] for key in taken}, now_ns)
        return taken

    def read(self, values: Mapping[str, Value], asked_ns: int, now_ns: int, always: Collection[str] = ()) -> set[str]:
        """Take values that were read at once, asked for at `asked_ns`; return the keys that were taken.

        A reading counts even where its timestamp is older: a server's clock may be set back. What was reported while
        the answer was on its way may be newer; there the timestamps decide, and without them the report stays. The
        values of `always` are taken all the same.
        """
        taken = set()
        for key, one in values.items():
            held = self._held.get(key)
            if held is not None and held.received_ns > asked_ns and held.value.value is not None and key not in always:
                younger_ns = one.age_to(held.value)
                if younger_ns is None or younger_ns < 0:
                    continue
            taken.add(key)
        self._hold({key: values[key] for key in taken}, now_ns)
        return taken

    def _hold(self, values: Mapping[str, Value], now_ns: int) -> None:
        changed_ns = []
        for key, one in values.items():
            held = self._held.get(key)
            if one.source_ns is not None and (held is None or one.source_ns != held.value.source_ns):
                changed_ns.append(one.source_ns)
            self.known[key] = one.value
            self._held[key] = _Held(one, now_ns)
        if changed_ns:
            self.newest_ns = max(changed_ns)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings each sample to the interlocks that watch it, on the stack of the source that reported it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge.domain.inputs import InputRule, InputSample
from edge.services.supervisor import MachineSupervisor


class InputRouter:
    """Knows which rule of which machine watches which input of which source.

    A source is ``gpio``, ``controller:MACHINE`` or ``opcua:MACHINE``; a rule's own source text says which is meant.
    """

    def __init__(self) -> None:
        self._watchers: dict[tuple[str, str], list[tuple[MachineSupervisor, str]]] = {}

    def watch(self, supervisor: MachineSupervisor, rule: InputRule) -> None:
        """Bring the input that `rule` names to `supervisor`."""
        kind, _, rest = rule.source.partition(":")
        match kind:
            case "gpio":
                key = ("gpio", rest)
            case "opcua":
                machine, _, name = rest.partition("/")
                key = (f"opcua:{machine}", name)
            case _:
                key = (f"controller:{supervisor.machine_id}", rule.name)
        self._watchers.setdefault(key, []).append((supervisor, rule.name))

    def watched(self, source: str) -> list[str]:
        """Return the names of the inputs of `source` that some interlock watches."""
        return [name for (where, name) in self._watchers if where == source]

    def reporter(self, source: str) -> Callable[[InputSample], None]:
        """Return the call that takes the samples of `source`. Samples that nobody watches are dropped."""

        def report(sample: InputSample) -> None:
            for supervisor, name in self._watchers.get((source, sample.name), ()):
                supervisor.on_input(replace(sample, name=name))

        return report

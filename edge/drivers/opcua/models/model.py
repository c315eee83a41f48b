# SPDX-License-Identifier: GPL-3.0-or-later
"""What an information model has to tell about a machine, and what it may ask a connection for that.

A model is asked once per connection, because namespace indexes are those of the connection. It says where the machine
keeps what; `state_of` then turns values into the words of MTConnect, and nothing here asks or decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge.domain.machine import MachineState

MOST_ORDERS = 200
"""How many orders of a job list are looked at: the last, since machines keep what has ended for long."""


class Reference(Protocol):
    """A child of a node."""

    @property
    def name(self) -> str:
        """Return the browse name without its namespace."""
        ...

    @property
    def node_id(self) -> str:
        """Return the NodeId as text."""
        ...

    @property
    def type_id(self) -> str:
        """Return the NodeId of its type as text."""
        ...


class Browser(Protocol):
    """What discovery asks of a connection; every call may raise LinkError."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the server's namespace URIs by index."""
        ...

    async def browse(self, node_id: str) -> Sequence[Reference]:
        """Return the children of a node."""
        ...

    async def supertype(self, type_id: str) -> str | None:
        """Return the type that `type_id` is derived from."""
        ...

    async def read(self, node_ids: Sequence[str]) -> list[object]:
        """Return the values of nodes, None where unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """A node to report on change; of a counter no value is skipped."""

    node_id: str
    counter: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """A FileDirectoryType or FileSystem (OPC 10000-20) into which programs may be written; methods by browse name."""

    node_id: str
    methods: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Methods:
    """An object with methods, NodeIds by browse name: a Sinumerik's, or an ISA-95 job order receiver."""

    node_id: str
    methods: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProgramPath:
    """How programs get into the machine; what the machine does not offer is None.

    directory is the OPC UA file system; files the maker's own file methods and select its method for selecting
    (Sinumerik: CopyFileToServer, CopyFileFromServer, Select); jobs an ISA95JobOrderReceiver (OPC 10031-4).
    """

    directory: Directory | None = None
    files: Methods | None = None
    select: Methods | None = None
    jobs: Methods | None = None


@dataclass(frozen=True, slots=True)
class AlarmSource:
    """The node whose events tell of alarms, and where an alarm's own number stands in its fields.

    code_type and code_path are the type (NodeId) and the path (namespace index, name) of the field; without them the
    condition's name is the code.
    """

    node_id: str
    code_type: str | None = None
    code_path: tuple[tuple[int, str], ...] = ()


class FoundMachine(Protocol):
    """One machine of one server, on one connection."""

    @property
    def node_id(self) -> str:
        """Return the machine's NodeId as text: browse paths of inputs begin there."""
        ...

    @property
    def controller(self) -> str:
        """Return maker and model, as the machine says it; empty where it says nothing."""
        ...

    @property
    def alarms(self) -> AlarmSource | None:
        """Return where alarms come from."""
        ...

    @property
    def part_counter(self) -> str:
        """Return which counter `state_of` takes parts from, by a name that outlives the server; empty without one."""
        ...

    @property
    def programs(self) -> ProgramPath:
        """Return how programs get in."""
        ...

    @property
    def missing(self) -> Sequence[str]:
        """Return, in a person's words, what was configured or is mandatory and is not there. The rest works."""
        ...

    def monitored(self) -> Mapping[str, Item]:
        """Return the nodes that `state_of` looks at, by a key of the model."""
        ...

    def state_of(self, values: Mapping[str, object], taken_ns: int) -> MachineState:
        """Say what `values` (by key; None is unknown) mean; taken_ns is the boot-time clock of their receipt.

        Where no value tells what the machine does, the machine is not available. It must not raise for any value.
        """
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What a model finds on a server, for the probe: the browse names of its machines, and sentences about them."""

    machines: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())

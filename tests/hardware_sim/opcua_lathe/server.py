# SPDX-License-Identifier: GPL-3.0-or-later
"""The lathe's OPC UA server: writes what the lathe does into the address space, and misbehaves on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.event_objects import AlarmCondition, RefreshEndEvent, RefreshStartEvent
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole

from tests.hardware_sim.opcua_lathe.faults import Faults
from tests.hardware_sim.opcua_lathe.files import CALLER, Disk, FileSystem
from tests.hardware_sim.opcua_lathe.jobs import JobReceiver, Order
from tests.hardware_sim.opcua_lathe.lathe import ChannelState, Lathe, ProgramState
from tests.hardware_sim.opcua_lathe.model import Builder, Namespaces, build, register_namespaces

_CONDITION_REFRESH = 3875
_OVERFLOW = 0x480
_PROGRAM_STATE_NAMES = {
    ProgramState.INITIALIZING: "Initializing",
    ProgramState.RUNNING: "Running",
    ProgramState.INTERRUPTED: "Interrupted",
    ProgramState.ENDED: "Ended",
    ProgramState.ABORTED: "Aborted",
}


class _OneUser:
    """Lets one user in, with a password."""

    def __init__(self, user: str, password: str) -> None:
        self._expected = (user, password)

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        return User(role=UserRole.User) if (username, password) == self._expected else None


@dataclass
class Machine:
    """What outlives a server: the lathe, its program memory, its job orders, and what goes wrong.

    without names what the server does not offer: files, move, jobs.
    """

    lathe: Lathe
    faults: Faults
    disk: Disk = field(default_factory=Disk)
    orders: dict[str, Order] = field(default_factory=dict)
    without: Sequence[str] = ()
    bad_quality: bool = False
    clock_offset_s: float = 0.0
    max_sessions: int | None = None


class LatheServer:
    """One life of the server; a restart makes another."""

    def __init__(
        self, machine: Machine, name: str, user: str | None, password: str, keys: tuple[Path, Path] | None = None
    ) -> None:
        self._machine = machine
        self._lathe = machine.lathe
        self._files = FileSystem(machine.disk, machine.faults, self._is_running)
        self._jobs = JobReceiver(machine.orders, machine.disk, machine.faults, machine.lathe)
        self._name = name
        self._server = Server(user_manager=None if user is None else _OneUser(user, password))
        self._with_user = user is not None
        self._keys = keys
        self._builder: Builder | None = None
        self._written: dict[str, tuple[object, bool, float]] = {}

    @property
    def port(self) -> int:
        """The port that the server behind the relay listens on."""
        assert self._server.bserver is not None
        return self._server.bserver.port

    async def start(self, path: str, *, updated: bool) -> None:
        """Build the address space and listen on a free loopback port; `updated` as after an update of the control.

        An update shifts the namespace indices and makes the lathe an instance of the vendor's own type.
        """
        await self._server.init()
        self._server.name = "InfoMobil training lathe"
        self._server.set_endpoint(f"opc.tcp://127.0.0.1:0{path}")
        await self._secure()
        self._server.set_identity_tokens([ua.UserNameIdentityToken if self._with_user else ua.AnonymousIdentityToken])
        ns = await register_namespaces(self._server, extra=updated)
        self._builder = await build(self._server, ns, self._name, vendor_type=updated)
        await self._build_programs()
        self._look_after_sessions()
        messages = self._server.get_node(ua.NodeId("Notification/Messages", ns.lathe))
        await messages.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
        self._server.link_method(self._server.get_node(ua.NodeId(_CONDITION_REFRESH)), self._condition_refresh)
        await self.write()
        await self._server.start()

    async def _secure(self) -> None:
        if self._keys is None:
            return self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        certificate, key = self._keys
        await self._server.load_certificate(certificate)
        await self._server.load_private_key(key)
        self._server.set_security_policy(
            [
                getattr(ua.SecurityPolicyType, f"{policy}_{mode}")
                for policy in ("Basic256Sha256", "Aes128Sha256RsaOaep")
                for mode in ("Sign", "SignAndEncrypt")
            ]
        )

    async def stop(self) -> None:
        """Stop listening and forget every session."""
        await self._server.stop()

    async def write(self) -> None:
        """Write every value that changed."""
        assert self._builder is not None
        machine = self._machine
        taken = datetime.now(UTC) + timedelta(seconds=machine.clock_offset_s)
        for path, variant in self._values(self._builder.ns).items():
            state = (variant, machine.bad_quality, machine.clock_offset_s)
            if self._written.get(path) == state:
                continue
            self._written[path] = state
            value = ua.DataValue(variant, SourceTimestamp=taken)
            if machine.bad_quality:
                bad = ua.StatusCode(ua.StatusCodes.BadCommunicationError)
                value = ua.DataValue(ua.Variant(None), bad, SourceTimestamp=taken)
            await self._server.write_attribute_value(self._builder.variables[path].nodeid, value)

    async def raise_alarm(self, code: str, text: str, *, active: bool, subscription_id: int | None = None) -> None:
        """Fire an AlertType event (OPC 40501-1, 9.2) at Notification/Messages."""
        assert self._builder is not None
        ns = self._builder.ns
        event = AlarmCondition(message=text, severity=800)
        event.EventType = ua.NodeId(39, ns.tool)
        event.add_property("ErrorCode", code, ua.VariantType.String)
        event.add_property("NodeId", ua.NodeId(f"Alert/{code}", ns.lathe), ua.VariantType.NodeId)
        event.ConditionName = code
        event.Retain = active
        setattr(event, "ActiveState/Id", active)
        messages = self._server.get_node(ua.NodeId("Notification/Messages", ns.lathe))
        generator = await self._server.get_event_generator(event, messages)
        generator.event.SourceName = self._name
        await generator.trigger(message=text, subscription_id=subscription_id)

    async def advance(self) -> None:
        """Let job control follow the lathe."""
        if "jobs" not in self._machine.without:
            await self._jobs.advance()

    async def put_file(self, name: str, content: bytes) -> None:
        """Put a file into the program memory, as at the machine's panel."""
        await self._files.put(name, content)

    async def erase_files(self) -> None:
        """Empty the program memory, as at the machine's panel."""
        await self._files.erase()

    async def delete_subscriptions(self) -> None:
        """Delete every subscription without a word, as a server does whose patience is shorter than it promised."""
        service = self._server.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))

    def lose_reports(self) -> None:
        """Lose the reports that are waiting, but count them as sent."""
        for subscription in self._server.iserver.subscription_service.subscriptions.values():
            subscription._triggered_datachanges = {}
            subscription._notification_seq += 1

    async def report_overflow(self) -> None:
        """Report the door anew, with the overflow bit (OPC 10000-4, 7.39.1)."""
        assert self._builder is not None
        value = ua.DataValue(_bool(value=self._lathe.door_closed), ua.StatusCode(_OVERFLOW))
        await self._server.write_attribute_value(self._builder.variables["Interlock/DoorClosed"].nodeid, value)

    async def drop_sessions(self) -> None:
        """Forget every session and its subscriptions without a word; connections stay open."""
        for protocol in list(self._server.bserver.clients):  # type: ignore[union-attr]
            session = protocol.processor.session if protocol.processor is not None else None
            if session is not None:
                await session.close_session(True)

    def counts(self) -> dict[str, int]:
        """Connections, sessions and subscriptions of clients."""
        clients = self._server.bserver.clients  # type: ignore[union-attr]
        sessions = [p.processor.session for p in clients if p.processor is not None and p.processor.session is not None]
        ids = {session.session_id for session in sessions}
        subscriptions = self._server.iserver.subscription_service.subscriptions.values()
        return {
            "connections": len(clients),
            "sessions": len(self._server.iserver._external_sessions),
            "activated": sum(session.is_activated() for session in sessions),
            "subscriptions": len(subscriptions),
            "orphaned_subscriptions": sum(subscription.session_id not in ids for subscription in subscriptions),
            "open_handles": self._files.open_handles,
        }

    def _is_running(self, path: str) -> bool:
        return self._lathe.channel is not ChannelState.RESET and self._lathe.job_program == path

    async def _build_programs(self) -> None:
        assert self._builder is not None
        machine = self._server.get_node(ua.NodeId("Lathe", self._builder.ns.lathe))
        without = self._machine.without
        if "files" not in without:
            await self._files.build(self._server, self._builder, machine, movable="move" not in without)
        if "jobs" not in without:
            await self._jobs.build(self._server, self._builder, machine)

    def _look_after_sessions(self) -> None:
        """Limit sessions, let methods know theirs, and close the files of one that ends."""
        create = self._server.iserver.create_session

        def create_session(*arguments: Any, **named: Any) -> Any:
            most = self._machine.max_sessions
            if most is not None and len(self._server.iserver._external_sessions) >= most:
                raise ServiceError(ua.StatusCodes.BadTooManySessions)
            session = create(*arguments, **named)
            call, close = session.call, session.close_session

            async def call_of_session(methods: list[ua.CallMethodRequest]) -> Any:
                CALLER.set(session)
                return await call(methods)

            async def close_session(*flags: Any, **named_flags: Any) -> None:
                await close(*flags, **named_flags)
                self._files.session_ended(session)

            session.call, session.close_session = call_of_session, close_session
            return session

        self._server.iserver.create_session = create_session  # type: ignore[method-assign]

    async def _condition_refresh(self, _parent: ua.NodeId, subscription: ua.Variant) -> list[ua.Variant]:
        await self._frame(RefreshStartEvent(), subscription.Value)
        for code, text in self._lathe.alarms.items():
            await self.raise_alarm(code, text, active=True, subscription_id=subscription.Value)
        await self._frame(RefreshEndEvent(), subscription.Value)
        return []

    async def _frame(self, event: Any, subscription_id: int) -> None:
        assert self._builder is not None
        messages = self._server.get_node(ua.NodeId("Notification/Messages", self._builder.ns.lathe))
        generator = await self._server.get_event_generator(event, messages)
        await generator.trigger(subscription_id=subscription_id)

    def _values(self, ns: Namespaces) -> dict[str, ua.Variant]:
        lathe = self._lathe
        executing = lathe.channel is ChannelState.ACTIVE
        item_state = ua.NodeId(5006 if executing else 5007, ns.machinery)
        item_text = _text("Executing" if executing else "NotExecuting")
        mode = ua.NodeId(5060, ns.tool)
        override = ua.Variant(lathe.feed_override, ua.VariantType.Double)
        program_state = ua.NodeId(int(lathe.program_state), ns.tool)
        return {
            "Monitoring/MachineTool/OperationMode": ua.Variant(int(lathe.operation_mode), ua.VariantType.Int32),
            "Monitoring/MachineTool/FeedOverride": override,
            "Monitoring/MachineTool/MachineryItemState/CurrentState": item_text,
            "Monitoring/MachineTool/MachineryItemState/CurrentState/Id": _node_id(item_state),
            "Monitoring/MachineTool/MachineryOperationMode/CurrentState": _text("Processing"),
            "Monitoring/MachineTool/MachineryOperationMode/CurrentState/Id": _node_id(mode),
            "Monitoring/Channel1/ChannelState": ua.Variant(int(lathe.channel), ua.VariantType.Int32),
            "Monitoring/Channel1/ChannelMode": ua.Variant(int(lathe.mode), ua.VariantType.Int32),
            "Monitoring/Channel1/FeedOverride": override,
            "Monitoring/Channel1/RapidOverride": ua.Variant(min(lathe.feed_override, 100.0), ua.VariantType.Double),
            "Monitoring/MainSpindle/IsRotating": _bool(value=lathe.rotating),
            "Production/ActiveProgram/Name": ua.Variant(lathe.program_name, ua.VariantType.String),
            "Production/ActiveProgram/NumberInList": ua.Variant(lathe.program, ua.VariantType.UInt16),
            "Production/ActiveProgram/State/CurrentState": _text(_PROGRAM_STATE_NAMES[lathe.program_state]),
            "Production/ActiveProgram/State/CurrentState/Id": _node_id(program_state),
            "Production/Statistics/PartsProducedInLifetime": ua.Variant(lathe.parts, ua.VariantType.UInt32),
            "Interlock/DoorClosed": _bool(value=lathe.door_closed),
            "Interlock/StopCircuitClosed": _bool(value=lathe.stop_circuit_closed),
        }


def _text(text: str) -> ua.Variant:
    return ua.Variant(ua.LocalizedText(text), ua.VariantType.LocalizedText)


def _node_id(node_id: ua.NodeId) -> ua.Variant:
    return ua.Variant(node_id, ua.VariantType.NodeId)


def _bool(*, value: bool) -> ua.Variant:
    return ua.Variant(Value=value, VariantType=ua.VariantType.Boolean)

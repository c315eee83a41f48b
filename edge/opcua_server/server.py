# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as a whole: made of a plan, fed with facts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from edge.opcua_server.access import Clients, ReadingOnly, Users
from edge.opcua_server.alarms import Alarms, plan_changed
from edge.opcua_server.facts import MachineFacts, Plan
from edge.opcua_server.jobs import PLAN
from edge.opcua_server.machine_tool import MachineTool
from edge.opcua_server.nodesets import MACHINE_TOOL, load_nodesets
from edge.opcua_server.passwords import passwords_of
from edge.opcua_server.readonly import ReadOnlyServer
from edge.opcua_server.sessions import LIMITS
from edge.opcua_server.space import AttributeIds, Space
from edge.opcua_server.stack import node_id, ua
from edge.opcua_server.transport import GuardedServer
from edge.pki import Pki

_PRODUCT = "urn:infomobil:edge"
_POLICY = ua.SecurityPolicyType
_ENCRYPTED = [_POLICY.Basic256Sha256_SignAndEncrypt, _POLICY.Aes128Sha256RsaOaep_SignAndEncrypt]


class LabServer:
    """The lab's machines for clients. `start`, then `show` for whatever is new, `stop`."""

    def __init__(self, plan: Plan) -> None:
        """Prepare everything that can be wrong with the plan. Raises PasswordMissing, OwnCertificateUnusable."""
        self._plan = plan
        pki = Pki(Path(plan.pki))
        self._own = pki.own()
        passwords = passwords_of({name: Path(path) for name, path in plan.users})
        users = Users(passwords, anonymous=plan.anonymous)
        self._services = ReadOnlyServer(users, sessions=plan.sessions, publishing_min_ms=plan.publishing_min_ms)
        self._server = GuardedServer(self._services, Clients(pki), anonymous=plan.anonymous)
        self._machines: dict[str, tuple[MachineTool, Alarms]] = {}
        tokens = [ua.AnonymousIdentityToken] if plan.anonymous or not passwords else []
        self._server.set_identity_tokens([*tokens, *([ua.UserNameIdentityToken] if passwords else [])])

    @property
    def clients(self) -> int:
        """Return how many sessions are active."""
        return self._services.clients

    async def start(self) -> None:
        """Build the address space and listen. Raises NodesetsMissing, and OSError where the port is taken."""
        plan, server = self._plan, self._server
        await server.init()
        await server.set_application_uri(self._own.application_uri)
        server.product_uri = _PRODUCT
        server.set_server_name(f"InfoMobil {plan.lab_name}")
        server.application_type = ua.ApplicationType.Server
        server.set_endpoint(plan.endpoint)
        await server.set_build_info(
            _PRODUCT, "InfoMobil", "InfoMobil", plan.version, plan.version, datetime(2026, 1, 1, tzinfo=UTC)
        )
        await server.load_certificate(self._own.certificate.der, "der")
        await server.load_private_key(self._own.key_pem, format="pem")
        offered = [*_ENCRYPTED, *([_POLICY.NoSecurity] if plan.anonymous else [])]
        server.set_security_policy(offered)
        server.permit_only(ReadingOnly())
        await self._tell_limits()
        await load_nodesets(server)
        await self._build()
        await server.start()

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        await self._server.stop()

    async def show(self, facts: MachineFacts) -> None:
        """Tell clients what is new of a machine; one that is not in the plan is nobody's."""
        if facts.machine_id in self._machines:
            machine, alarms = self._machines[facts.machine_id]
            async with self._watching_plan(machine):
                await machine.show(facts)
            await alarms.show(facts.alarms, heard=facts.available)

    async def fall_silent(self) -> None:
        """Take all values back: nobody tells any more what the machines do."""
        for machine, _ in self._machines.values():
            async with self._watching_plan(machine):
                await machine.fall_silent()

    @asynccontextmanager
    async def _watching_plan(self, machine: MachineTool) -> AsyncIterator[None]:
        """Tell clients where jobs came to the production plan or left it inside."""
        version = machine.plan_version
        yield
        if machine.plan_version != version:
            await self._services.subscriptions.announce(plan_changed(machine.node(PLAN)))

    async def _tell_limits(self) -> None:
        for name, most in LIMITS.items():
            place = getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")
            told = ua.DataValue(ua.Variant(most, ua.VariantType.UInt32))
            await self._server.get_node(node_id(place)).write_attribute(AttributeIds.Value, told)

    async def _build(self) -> None:
        uri = f"urn:infomobil:{self._plan.lab_id}"
        own = await self._server.register_namespace(uri)
        space = Space(self._server)
        namespaces = {one: index for index, one in enumerate(await self._server.get_namespace_array())}
        await self._describe_namespace(uri, own)
        for plate in self._plan.machines:
            machine = MachineTool(self._server, space, namespaces, own, plate)
            alarms = Alarms(machine, self._services.subscriptions, namespaces[MACHINE_TOOL])
            self._machines[plate.machine_id] = machine, alarms
            await machine.show(MachineFacts(plate.machine_id, 0))

    async def _describe_namespace(self, uri: str, own: int) -> None:
        """Describe the lab's namespace (OPC 10000-5, 6.3.14), which no nodeset file does."""
        folder = self._server.get_node(node_id(ua.ObjectIds.Server_Namespaces))
        about = await folder.add_object(
            node_id("Namespace", own),
            ua.QualifiedName(uri, own),
            ua.ObjectIds.NamespaceMetadataType,
            instantiate_optional=False,
        )
        told = {
            "NamespaceUri": ua.Variant(uri),
            "NamespaceVersion": ua.Variant(self._plan.version),
            "NamespacePublicationDate": ua.Variant(datetime(2026, 1, 1, tzinfo=UTC)),
            "IsNamespaceSubset": ua.Variant(False, ua.VariantType.Boolean),  # noqa: FBT003 - a value
            "StaticNodeIdTypes": ua.Variant([], ua.VariantType.Int32, is_array=True),
            "StaticNumericNodeIdRange": ua.Variant([], ua.VariantType.String, is_array=True),
            "StaticStringNodeIdPattern": ua.Variant(""),
        }
        for name, value in told.items():
            node = await about.get_child(ua.QualifiedName(name, 0))
            await node.write_attribute(AttributeIds.Value, ua.DataValue(value))

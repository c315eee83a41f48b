// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Holds an OPC UA server of machine tools against the published nodesets, with a second stack on both sides: node-opcua
 * reads the nodeset files into an address space of its own, browses the server as a client, and compares.
 *
 *     node validate.mjs ENDPOINT NAMESPACE-OF-THE-MACHINES [CERTIFICATE KEY PKI APPLICATION-URI]
 *
 * Prints one JSON object: how many nodes of the models and how many instances were looked at, and every difference in
 * words. Nodes of a file that are for design tools only are not looked for. With a certificate the channel is signed and
 * encrypted; the server's certificate is then taken as it is.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

// The library remarks on this and that; standard output is for the result.
console.log = console.error;
const require = createRequire(fileURLToPath(new URL("../node_opcua/package.json", import.meta.url)));
const {
  AddressSpace,
  AttributeIds,
  BrowseDirection,
  DataType,
  MessageSecurityMode,
  NodeClass,
  OPCUACertificateManager,
  OPCUAClient,
  SecurityPolicy,
  StatusCodes,
  coerceNodeId,
  nodesets,
} = require("node-opcua");
const { generateAddressSpace } = require("node-opcua-address-space/nodeJS.js");

const MODELS = ["di", "ia", "machinery", "isa95JobControl", "machineryJobs", "machineTool"];
const BULK = 400;
const EVERYTHING = { nodeClassMask: 0, resultMask: 63 };
const TYPE = "ns=0;i=40";

const [endpoint, ownUri, certificateFile, privateKeyFile, pki, applicationUri] = process.argv.slice(2);
const problems = [];
const counts = { nodes: 0, instances: 0, machines: 0 };

/** The same node of another address space: namespaces are compared by URI. */
function translate(nodeId, from, to) {
  const index = to.indexOf(from[nodeId.namespace]);
  if (index < 0) return null;
  const copy = coerceNodeId(nodeId.toString());
  copy.namespace = index;
  return copy;
}

function named(name, uris) {
  return `${uris[name.namespaceIndex]}#${name.name}`;
}

function inBulks(list) {
  const bulks = [];
  for (let at = 0; at < list.length; at += BULK) bulks.push(list.slice(at, at + BULK));
  return bulks;
}

async function readAll(session, wanted) {
  const found = [];
  for (const bulk of inBulks(wanted)) found.push(...(await session.read(bulk)));
  return found;
}

/** Every forward reference of the nodes, as [type, target] texts with what the server says of the target. */
async function browseAll(session, nodeIds) {
  const found = [];
  for (const bulk of inBulks(nodeIds)) {
    const asked = bulk.map((nodeId) => ({
      nodeId,
      browseDirection: BrowseDirection.Forward,
      referenceTypeId: null,
      includeSubtypes: true,
      ...EVERYTHING,
    }));
    found.push(...(await session.browse(asked)));
  }
  return found.map((result) => result.references ?? []);
}

/** Tool-only nodes by `uri#id`. */
function designOnly() {
  const found = new Set();
  for (const model of MODELS) {
    const text = readFileSync(nodesets[model], "utf8");
    const uri = /<NamespaceUris>\s*<Uri>([^<]+)<\/Uri>/.exec(text)[1];
    for (const [, id] of text.matchAll(/NodeId="ns=1;(i=\d+)"[^>]*DesignToolOnly="true"/g)) found.add(`${uri}#${id}`);
  }
  return found;
}

/** Whether every node of the models is on the server, the same in all that a client relies on. */
async function compareModels(session, space, ours, theirs) {
  const toolOnly = designOnly();
  const nodes = [];
  for (const [index, uri] of ours.entries()) {
    if (index === 0 || !theirs.includes(uri)) continue;
    for (const node of space.getNamespace(index).nodeIterator()) {
      if (!toolOnly.has(`${uri}#${node.nodeId.toString().replace(/^ns=\d+;/, "")}`)) nodes.push(node);
    }
  }
  const attributes = ["BrowseName", "NodeClass", "DataType", "ValueRank", "IsAbstract", "DisplayName"];
  const there = nodes.map((node) => translate(node.nodeId, ours, theirs));
  const asked = there.flatMap((nodeId) => attributes.map((name) => ({ nodeId, attributeId: AttributeIds[name] })));
  const values = await readAll(session, asked);
  const references = await browseAll(session, there);
  nodes.forEach((node, at) => {
    counts.nodes += 1;
    const label = `${ours[node.nodeId.namespace]} ${node.nodeId} ${node.browseName.name}`;
    const heard = Object.fromEntries(attributes.map((name, i) => [name, values[at * attributes.length + i]]));
    if (heard.BrowseName.statusCode.isNotGood()) {
      problems.push(`${label}: ${heard.BrowseName.statusCode.name}`);
      return;
    }
    const differs = (what, is, should) => {
      if (is !== should) problems.push(`${label}: ${what} is ${is}, not ${should}`);
    };
    differs("BrowseName", named(heard.BrowseName.value.value, theirs), named(node.browseName, ours));
    differs("NodeClass", heard.NodeClass.value.value, node.nodeClass);
    differs("DisplayName", heard.DisplayName.value.value.text, node.displayName[0]?.text);
    if (node.nodeClass === NodeClass.Variable || node.nodeClass === NodeClass.VariableType) {
      // A file may leave the data type out, which its schema reads as BaseDataType and node-opcua as none.
      // It also gives every ModelVersion the type of a later edition, whatever the file says.
      const said = node.browseName.name === "ModelVersion" ? coerceNodeId("i=12") : node.dataType;
      const dataType = said.isEmpty() ? coerceNodeId("i=24") : said;
      differs("DataType", `${heard.DataType.value.value}`, `${translate(dataType, ours, theirs)}`);
      differs("ValueRank", heard.ValueRank.value.value, node.valueRank);
    }
    if ("isAbstract" in node) differs("IsAbstract", heard.IsAbstract.value.value, node.isAbstract);
    const present = new Set(references[at].map((one) => `${one.referenceTypeId} ${one.nodeId}`));
    for (const one of node.allReferences()) {
      if (!one.isForward) continue;
      const target = translate(one.nodeId, ours, theirs);
      const kind = translate(one.referenceType, ours, theirs);
      if (target === null || kind === null || toolOnly.has(`${ours[one.nodeId.namespace]}#i=${one.nodeId.value}`)) continue;
      if (!present.has(`${kind} ${target}`)) problems.push(`${label}: no reference ${kind} to ${target}`);
    }
  });
}

/** What a type declares as mandatory, with its supertypes and interfaces: lists of { name, node, placeholder }. */
function mandatory(space, type) {
  const found = new Map();
  const visit = (node) => {
    const children = node.findReferencesExAsObject("HierarchicalReferences", BrowseDirection.Forward);
    for (const child of children) {
      if (node.isSubtypeOf && child.nodeClass === node.nodeClass) continue;
      const rule = child.modellingRule;
      if (rule === "Mandatory" && !found.has(child.browseName.toString())) found.set(child.browseName.toString(), child);
    }
    for (const one of node.findReferencesEx("HasInterface", BrowseDirection.Forward)) visit(space.findNode(one.nodeId));
    if (node.subtypeOfObj) visit(node.subtypeOfObj);
  };
  visit(type);
  return [...found.values()];
}

/** Walk the instances below the machines and hold each against its type, or the declaration that it stands for. */
async function compareInstances(session, space, ours, theirs) {
  const own = theirs.indexOf(ownUri);
  const machinery = theirs.indexOf("http://opcfoundation.org/UA/Machinery/");
  const seen = new Set();
  const hierarchical = new Set([35, 46, 47, 48, 49, 117, 17604].map((id) => `ns=0;i=${id}`));
  let level = [];
  for (const one of (await browseAll(session, [`ns=${machinery};i=1001`]))[0]) {
    if (one.nodeId.namespace === own) {
      counts.machines += 1;
      level.push({ reference: one, declaration: null, path: one.browseName.name });
    }
  }
  while (level.length > 0) {
    const fresh = level.filter(({ reference }) => !seen.has(reference.nodeId.toString()));
    for (const { reference } of fresh) seen.add(reference.nodeId.toString());
    const children = await browseAll(session, fresh.map(({ reference }) => reference.nodeId));
    const next = [];
    for (const [at, { reference, declaration, path }] of fresh.entries()) {
      counts.instances += 1;
      const kind = children[at].find((one) => one.referenceTypeId.toString() === TYPE)?.nodeId ?? null;
      if (kind === null && reference.nodeClass !== NodeClass.Method) problems.push(`${path}: no type definition`);
      const type = kind === null ? null : space.findNode(translate(kind, theirs, ours));
      if (declaration !== null) await compareDeclared(session, path, reference, declaration, type, ours, theirs);
      const wanted = new Map();
      for (const source of [declaration, type]) {
        for (const one of source === null ? [] : mandatory(space, source)) {
          if (!wanted.has(named(one.browseName, ours))) wanted.set(named(one.browseName, ours), one);
        }
      }
      const there = new Map();
      for (const one of children[at]) {
        const name = named(one.browseName, theirs);
        if (one.nodeId.namespace !== own || !hierarchical.has(one.referenceTypeId.toString())) continue;
        if (there.has(name)) problems.push(`${path}: two children ${name}`);
        there.set(name, one);
        next.push({
          reference: one,
          declaration: wanted.get(name) ?? findDeclared(space, [declaration, type], name, ours),
          path: `${path}/${one.browseName.name}`,
        });
      }
      for (const name of wanted.keys()) if (!there.has(name)) problems.push(`${path}: ${name} is mandatory and missing`);
    }
    level = next;
  }
}

/** The optional declaration of a name, or null where the model does not know it (a placeholder's instance). */
function findDeclared(space, sources, name, ours) {
  for (const source of sources) {
    for (let node = source; node; node = node.subtypeOfObj ?? null) {
      const child = node.findReferencesExAsObject("HierarchicalReferences", BrowseDirection.Forward).find((one) => named(one.browseName, ours) === name);
      if (child && child.nodeClass !== node.nodeClass) return child;
      if (child && child.modellingRule) return child;
    }
  }
  return null;
}

async function compareDeclared(session, path, reference, declaration, type, ours, theirs) {
  const differs = (what, is, should) => {
    if (is !== should) problems.push(`${path}: ${what} is ${is}, not ${should}`);
  };
  differs("NodeClass", reference.nodeClass, declaration.nodeClass);
  const wantedType = declaration.typeDefinitionObj;
  if (wantedType && type && !type.isSubtypeOf(wantedType)) {
    problems.push(`${path}: its type ${type.browseName} is no ${wantedType.browseName}`);
  }
  if (declaration.nodeClass !== NodeClass.Variable) return;
  const [dataType, rank, access, value] = await session.read(
    ["DataType", "ValueRank", "AccessLevel", "Value"].map((name) => ({
      nodeId: reference.nodeId,
      attributeId: AttributeIds[name],
    })),
  );
  differs("DataType", `${dataType.value.value}`, `${translate(declaration.dataType, ours, theirs)}`);
  differs("ValueRank", rank.value.value, declaration.valueRank);
  if (access.value.value & 2) problems.push(`${path}: it can be written`);
  const builtIn = await session.getBuiltInDataType(reference.nodeId);
  if (value.statusCode.equals(StatusCodes.Good) && builtIn !== DataType.Variant && value.value.dataType !== builtIn) {
    problems.push(`${path}: its value is of the type ${DataType[value.value.dataType]}, not ${DataType[builtIn]}`);
  }
  if (value.statusCode.equals(StatusCodes.Good) && value.value.value === null && value.value.dataType === 0) {
    problems.push(`${path}: Good without a value`);
  }
}

const space = AddressSpace.create();
await generateAddressSpace(space, ["standard", ...MODELS].map((name) => nodesets[name]));
const secured = certificateFile && {
  certificateFile,
  privateKeyFile,
  applicationUri,
  securityMode: MessageSecurityMode.SignAndEncrypt,
  securityPolicy: SecurityPolicy.Basic256Sha256,
  clientCertificateManager: new OPCUACertificateManager({
    rootFolder: pki,
    automaticallyAcceptUnknownCertificate: true,
  }),
};
const client = OPCUAClient.create({ ...secured, endpointMustExist: false, connectionStrategy: { maxRetry: 1 } });
await client.connect(endpoint);
const session = await client.createSession();
const ours = space.getNamespaceArray().map((one) => one.namespaceUri);
const theirs = (await session.read({ nodeId: "i=2255", attributeId: AttributeIds.Value })).value.value;
await compareModels(session, space, ours, theirs);
await compareInstances(session, space, ours, theirs);
await session.close();
await client.disconnect();
space.dispose();
process.stdout.write(`${JSON.stringify({ ...counts, problems })}\n`);

// SPDX-License-Identifier: GPL-3.0-or-later
// Copies the OPC Foundation's nodesets that the van's own OPC UA server is built of to dist/nodesets, byte for byte:
// their licence, which asks that its notice goes with every copy, stands at the head of each file.
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** In the order in which they need each other, as edge/opcua_server/nodesets.py loads them. */
const FILES = [
  "Opc.Ua.Di.NodeSet2.xml",
  "Opc.Ua.IA.NodeSet2.xml",
  "Opc.Ua.Machinery.NodeSet2.xml",
  "opc.ua.isa95-jobcontrol.nodeset2.xml",
  "Opc.Ua.Machinery.Jobs.Nodeset2.xml",
  "Opc.Ua.MachineTool.NodeSet2.xml",
];

const from = join(dirname(createRequire(import.meta.url).resolve("node-opcua-nodesets/package.json")), "nodesets");
const to = join(import.meta.dirname, "dist", "nodesets");
rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
for (const file of FILES) {
  if (!readFileSync(join(from, file), "utf8").includes("Permission is hereby granted")) {
    throw new Error(`${file} comes without the notice of its licence.`);
  }
  copyFileSync(join(from, file), join(to, file));
}

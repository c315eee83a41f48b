// SPDX-License-Identifier: GPL-3.0-or-later
/** The lathe as an instance of the published MachineToolType (OPC 40501-1, 1.02) below Machinery's `Machines`. */

import { BrowseDirection, DataType, NodeId, NodeIdType, StatusCodes, coerceLocalizedText } from "node-opcua";

import { ChannelState } from "./lathe.mjs";

const MACHINERY_URI = "http://opcfoundation.org/UA/Machinery/";
const TOOL_URI = "http://opcfoundation.org/UA/MachineTool/";
const LATHE_URI = "urn:infomobil:simulator:node-lathe";

const MACHINES = 1001;
const ITEM_EXECUTING = 5006;
const ITEM_NOT_EXECUTING = 5007;
const MODE_PROCESSING = 5060;

const OPTIONALS = [
  "Identification.Model",
  "Monitoring.MachineTool.FeedOverride",
  "Monitoring.MachineTool.MachineryItemState",
  "Monitoring.MachineTool.MachineryOperationMode",
  "Notification.Messages",
  "Production.Statistics.PartsProducedInLifetime",
];

/** The nodes of one life of the server. */
export class Model {
  #written = new Map();
  #variables = new Map();
  #alarms = new Map();

  /**
   * @param {boolean} updated whether the lathe is of the maker's own subtype, so that clients look at supertypes
   * @param {string[]} optionals paths of further optional nodes, with dots
   */
  constructor(addressSpace, machine, name, updated, optionals) {
    this.state = machine;
    this.lathe = machine.lathe;
    this.name = name;
    this.addressSpace = addressSpace;
    this.machinery = addressSpace.getNamespaceIndex(MACHINERY_URI);
    this.tool = addressSpace.getNamespaceIndex(TOOL_URI);
    this.own = addressSpace.registerNamespace(LATHE_URI);
    this.machine = this.#machine(updated, optionals);
    this.#identification();
    this.#monitoring();
    this.#interlock();
    this.messages = this.node("Notification/Messages");
    this.messages.setEventNotifier(1);
    const server = addressSpace.rootFolder.objects.server;
    server.addReference({ referenceType: "HasNotifier", nodeId: this.messages });
    this.messages.addReference({ referenceType: "HasEventSource", nodeId: this.machine });
    this.write();
  }

  /** Return the node at a path of browse names below the machine. */
  node(path) {
    let node = this.machine;
    for (const name of path.split("/")) {
      const children = node.findReferencesExAsObject("HierarchicalReferences", BrowseDirection.Forward);
      const next = children.find((one) => one.browseName.name === name);
      if (next === undefined) throw new Error(`the lathe has no node ${path}`);
      node = next;
    }
    return node;
  }

  /** Write every value that changed. */
  write() {
    const { badQuality, clockS } = this.state;
    for (const [path, dataType, value] of this.#values()) {
      const state = JSON.stringify([value, badQuality, clockS]);
      if (this.#written.get(path) === state) continue;
      this.#written.set(path, state);
      if (!this.#variables.has(path)) this.#variables.set(path, this.node(path));
      const status = badQuality ? StatusCodes.BadCommunicationError : StatusCodes.Good;
      this.#variables.get(path).setValueFromSource({ dataType, value }, status, new Date(Date.now() + 1000 * clockS));
    }
  }

  /** Raise an alarm (AlertType, OPC 40501-1, 9.2) or clear it. */
  alarm(code, text, active) {
    let alarm = this.#alarms.get(code);
    if (alarm === undefined) {
      alarm = this.own.instantiateAlarmCondition(this.addressSpace.findEventType("AlertType", this.tool), {
        browseName: `Alert${code}`,
        conditionName: code,
        conditionSource: this.machine,
        inputNode: NodeId.nullNodeId,
      });
      alarm.getChildByName("ErrorCode").setValueFromSource({ dataType: DataType.String, value: code });
      this.#alarms.set(code, alarm);
    }
    const branch = alarm.currentBranch();
    branch.setActiveState(active);
    branch.setRetain(active);
    alarm.raiseNewCondition({ message: text, severity: 800, retain: active });
    if (!active) {
      this.#alarms.delete(code);
      this.addressSpace.deleteNode(alarm);
    }
  }

  #machine(updated, optionals) {
    let type = this.addressSpace.findObjectType("MachineToolType", this.tool);
    if (updated) type = this.own.addObjectType({ browseName: "TrainingLatheType", subtypeOf: type });
    return type.instantiate({
      browseName: { name: this.name, namespaceIndex: this.own.index },
      namespace: this.own,
      organizedBy: this.addressSpace.findNode(`ns=${this.machinery};i=${MACHINES}`),
      optionals: [...OPTIONALS, ...optionals],
    });
  }

  #identification() {
    const text = (path, value) => this.node(path).setValueFromSource({ dataType: DataType.String, value });
    const localized = (path, value) =>
      this.node(path).setValueFromSource({ dataType: DataType.LocalizedText, value: coerceLocalizedText(value) });
    localized("Identification/Manufacturer", "InfoMobil");
    localized("Identification/Model", "Training lathe, node-opcua");
    text("Identification/SerialNumber", "SIM-0002");
    text("Identification/ProductInstanceUri", `${LATHE_URI}:SIM-0002`);
  }

  #monitoring() {
    const monitoring = this.node("Monitoring");
    const element = (typeName, browseName, optionals) => {
      const type = this.addressSpace.findObjectType(typeName, this.tool);
      type.instantiate({ browseName, namespace: this.own, componentOf: monitoring, optionals });
      this.node(`Monitoring/${browseName}/Name`).setValueFromSource({ dataType: DataType.String, value: browseName });
    };
    element("ChannelMonitoringType", "Channel1", ["RapidOverride"]);
    element("SpindleMonitoringType", "MainSpindle", ["Override"]);
  }

  #interlock() {
    const folder = this.own.addObject({
      browseName: "Interlock",
      componentOf: this.machine,
      typeDefinition: "FolderType",
    });
    for (const browseName of ["DoorClosed", "StopCircuitClosed"]) {
      this.own.addVariable({ browseName, componentOf: folder, dataType: "Boolean", accessLevel: "CurrentRead" });
    }
  }

  #values() {
    const lathe = this.lathe;
    const executing = lathe.channel === ChannelState.ACTIVE;
    const text = (value) => coerceLocalizedText(value);
    const id = (namespace, number) => new NodeId(NodeIdType.NUMERIC, number, namespace);
    const itemState = id(this.machinery, executing ? ITEM_EXECUTING : ITEM_NOT_EXECUTING);
    return [
      ["Monitoring/MachineTool/OperationMode", DataType.Int32, lathe.operationMode],
      ["Monitoring/MachineTool/FeedOverride", DataType.Double, lathe.override],
      [
        "Monitoring/MachineTool/MachineryItemState/CurrentState",
        DataType.LocalizedText,
        text(executing ? "Executing" : "NotExecuting"),
      ],
      ["Monitoring/MachineTool/MachineryItemState/CurrentState/Id", DataType.NodeId, itemState],
      ["Monitoring/MachineTool/MachineryOperationMode/CurrentState", DataType.LocalizedText, text("Processing")],
      [
        "Monitoring/MachineTool/MachineryOperationMode/CurrentState/Id",
        DataType.NodeId,
        id(this.tool, MODE_PROCESSING),
      ],
      ["Monitoring/Channel1/ChannelState", DataType.Int32, lathe.channel],
      ["Monitoring/Channel1/ChannelMode", DataType.Int32, lathe.mode],
      ["Monitoring/Channel1/FeedOverride", DataType.Double, lathe.override],
      ["Monitoring/Channel1/RapidOverride", DataType.Double, Math.min(lathe.override, 100)],
      ["Monitoring/MainSpindle/IsRotating", DataType.Boolean, lathe.rotating],
      ["Monitoring/MainSpindle/Override", DataType.Double, 100],
      ["Production/ActiveProgram/Name", DataType.String, lathe.program],
      ["Production/ActiveProgram/NumberInList", DataType.UInt16, lathe.number],
      ["Production/ActiveProgram/State/CurrentState", DataType.LocalizedText, text(lathe.programState.text)],
      ["Production/ActiveProgram/State/CurrentState/Id", DataType.NodeId, id(this.tool, lathe.programState.id)],
      ["Production/ActiveProgram/State/CurrentState/Number", DataType.UInt32, lathe.programState.number],
      ["Production/Statistics/PartsProducedInLifetime", DataType.UInt32, lathe.parts],
      ["Interlock/DoorClosed", DataType.Boolean, lathe.doorClosed],
      ["Interlock/StopCircuitClosed", DataType.Boolean, lathe.circuitClosed],
    ];
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The lathe's job control: JobManagement of OPC 40001-3 with an ISA-95 job order receiver (OPC 10031-4, version 2).
 *
 * A job order names the program as its work master. The lathe begins an order that is allowed to start by itself, as
 * soon as it stands in automatic mode with everything closed: one order is one part.
 */

import { DataType, VariantArrayType, coerceLocalizedText } from "node-opcua";

import { NO_ERROR, returnStatus } from "./faults.mjs";
import { ChannelState, ProgramState } from "./lathe.mjs";

const ISA95_URI = "http://opcfoundation.org/UA/ISA95-JOBCONTROL_V2/";
const CONTROL = "MachineryBuildingBlocks/JobManagement/JobOrderControl";
const MOST_ORDERS = 20;

// ReturnStatus, bits of OPC 10031-4, Annex B.2.
const UNKNOWN_ORDER = 1 << 1;
const INVALID_COMMAND = 1 << 2;
const NOT_ACCEPTED = 1 << 4;

const METHODS = [
  "Store",
  "StoreAndStart",
  "Start",
  "Stop",
  "Pause",
  "Resume",
  "Abort",
  "Cancel",
  "Clear",
  "RevokeStart",
];

/** Paths, with dots, of the optional nodes that the receiver is made of. */
export const JOB_NODES = [CONTROL, ...METHODS.map((name) => `${CONTROL}/${name}`)].map((path) =>
  path.replaceAll("/", "."),
);

/** The states of ISA95JobOrderReceiverObjectType in the published nodeset, and their state numbers. */
const STATE_NUMBERS = {
  NotAllowedToStart: 1,
  AllowedToStart: 2,
  Running: 3,
  Interrupted: 4,
  Ended: 5,
  Aborted: 6,
};
const WAITING = ["NotAllowedToStart", "AllowedToStart"];
const BEGUN = ["Running", "Interrupted"];
const OVER = ["Ended", "Aborted"];

/** A job order that the lathe knows. */
class Order {
  constructor(order, state) {
    this.order = order;
    this.state = state;
    const master = order.workMasterID?.[0];
    const local = master?.parameters?.find((one) => one.ID === "LocalPath");
    /** The path of the program below the file system: the work master's LocalPath, or its id. */
    this.program = String(local?.value?.value ?? master?.ID ?? "").replace(/^\/+/, "");
    this.master = master?.ID ?? "";
  }

  facts() {
    return { id: this.order.jobOrderID, state: this.state, work_master: this.master, program: this.program };
  }
}

export class JobReceiver {
  #written = "";

  constructor(model, machine) {
    this.model = model;
    this.lathe = machine.lathe;
    this.orders = machine.orders;
    this.disk = machine.disk;
    this.control = model.node(CONTROL);
    const namespace = model.addressSpace.getNamespaceIndex(ISA95_URI);
    this.entryType = model.addressSpace.findDataType("ISA95JobOrderAndStateDataType", namespace);
    for (const name of METHODS) {
      machine.faults.bind(this.control, name, ([what]) => {
        const status = name.startsWith("Store") ? this.#store(name, what) : this.#command(name, what);
        this.advance();
        return [returnStatus(status)];
      });
    }
    const most = model.node(`${CONTROL}/MaxDownloadableJobOrders`);
    most.setValueFromSource({ dataType: DataType.UInt16, value: MOST_ORDERS });
    this.#publish();
  }

  /** Follow the lathe, begin what may begin, and publish the job order list. */
  advance() {
    const { lathe } = this;
    for (const one of this.orders.values()) {
      if (!BEGUN.includes(one.state)) continue;
      if (lathe.jobId !== one.order.jobOrderID) one.state = "Aborted";
      else if (lathe.channel === ChannelState.RESET) {
        one.state = lathe.programState === ProgramState.ENDED ? "Ended" : "Aborted";
      } else one.state = lathe.channel === ChannelState.ACTIVE ? "Running" : "Interrupted";
    }
    for (const [id, one] of this.orders) {
      if (one.state === "AllowedToStart" && lathe.beginJob(id, one.program)) one.state = "Running";
    }
    const states = JSON.stringify([...this.orders].map(([id, one]) => [id, one.state]));
    if (states !== this.#written) {
      this.#written = states;
      this.#publish();
    }
  }

  #store(name, order) {
    const id = order?.jobOrderID;
    if (!id || this.orders.has(id) || this.orders.size >= MOST_ORDERS) return NOT_ACCEPTED;
    const entry = new Order(order, name === "StoreAndStart" ? "AllowedToStart" : "NotAllowedToStart");
    if (!this.disk.files.has(entry.program)) return NOT_ACCEPTED;
    this.orders.set(id, entry);
    return NO_ERROR;
  }

  #command(name, id) {
    const entry = this.orders.get(id);
    if (entry === undefined) return UNKNOWN_ORDER;
    const { state } = entry;
    if (name === "Start" && WAITING.includes(state)) entry.state = "AllowedToStart";
    else if (name === "RevokeStart" && WAITING.includes(state)) entry.state = "NotAllowedToStart";
    else if (name === "Cancel" && WAITING.includes(state)) this.orders.delete(id);
    else if (name === "Clear" && OVER.includes(state)) this.orders.delete(id);
    else if (name === "Pause" && state === "Running") this.lathe.pause();
    else if (name === "Resume" && state === "Interrupted" && this.lathe.mayRun) this.lathe.resume();
    else if (name === "Stop" && BEGUN.includes(state)) {
      this.lathe.stop();
      entry.state = "Ended";
    } else if (name === "Abort" && !OVER.includes(state)) {
      if (BEGUN.includes(state)) this.lathe.stop();
      entry.state = "Aborted";
    } else return INVALID_COMMAND;
    return NO_ERROR;
  }

  #publish() {
    const value = [...this.orders.values()].map(({ order, state }) =>
      this.model.addressSpace.constructExtensionObject(this.entryType, {
        jobOrder: order,
        state: [{ stateText: coerceLocalizedText(state), stateNumber: STATE_NUMBERS[state] }],
      }),
    );
    this.model.node(`${CONTROL}/JobOrderList`).setValueFromSource({
      dataType: DataType.ExtensionObject,
      arrayType: VariantArrayType.Array,
      value,
    });
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** What outlives the server: the lathe, what it keeps, and the faults that tests asked for. */

import { Faults } from "./faults.mjs";
import { Disk } from "./files.mjs";
import { ChannelState, Lathe, ProgramState, wordOf } from "./lathe.mjs";

export class Machine {
  /** @param {boolean} cycling whether it turns by itself  @param {() => void} cutWire resets the connections */
  constructor(cycling, cutWire) {
    this.lathe = new Lathe(cycling);
    this.disk = new Disk();
    /** Job orders by JobOrderID. */
    this.orders = new Map();
    this.faults = new Faults(cutWire);
    this.reset();
  }

  /** Let everything work again; the lathe, its files and orders stay. */
  reset() {
    /** Whether every value has a Bad status. */
    this.badQuality = false;
    /** Seconds by which source timestamps are off. */
    this.clockS = 0;
    /** How many sessions are let in; null is as many as the library permits. */
    this.maxSessions = null;
    this.faults.clear();
  }

  /** What tests look at. */
  facts() {
    const { lathe } = this;
    return {
      channel: wordOf(ChannelState, lathe.channel),
      program: lathe.program,
      program_state: wordOf(ProgramState, lathe.programState),
      parts: lathe.parts,
      door_closed: lathe.doorClosed,
      override: lathe.override,
      files: this.disk.listing(),
      folders: [...this.disk.folders].sort(),
      jobs: [...this.orders.values()].map((one) => one.facts()),
      calls: { ...this.faults.calls },
    };
  }
}

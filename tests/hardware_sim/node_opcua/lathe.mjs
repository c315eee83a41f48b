// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * What the lathe does, without a wire: the same bar-fed turning cycle in time as that of opcua_lathe.
 *
 * One part takes LOAD_S seconds of loading and TURN_S seconds of turning at 100 % feed override. Opening the door while
 * turning interrupts the program; closing it restarts nothing: only `start` does. A job order has one part made of a
 * program from the lathe's memory.
 */

export const LOAD_S = 4;
export const TURN_S = 24;
const PROGRAMS = ["O2101_SHAFT", "O2102_BUSHING", "O2103_CHESS_PAWN"];

/** OPC 40501-1, 12.1. */
export const ChannelState = Object.freeze({ ACTIVE: 0, INTERRUPTED: 1, RESET: 2 });
/** OPC 40501-1, 12.2; the modes that this lathe has. */
export const ChannelMode = Object.freeze({ AUTOMATIC: 0, JOG_MANUAL: 2 });
/** OPC 40501-1, 12.5; the modes that this lathe has. */
export const OperationMode = Object.freeze({ MANUAL: 0, AUTOMATIC: 1 });
/** The states of ProductionProgramStateMachineType in the published nodeset: numeric id, text and number. */
export const ProgramState = Object.freeze({
  INITIALIZING: { id: 5039, text: "Initializing", number: 0 },
  RUNNING: { id: 5041, text: "Running", number: 1 },
  INTERRUPTED: { id: 5040, text: "Interrupted", number: 3 },
  ENDED: { id: 5038, text: "Ended", number: 2 },
  ABORTED: { id: 5037, text: "Aborted", number: 4 },
});

/** The word for a value of one of the tables above. */
export function wordOf(table, value) {
  return Object.keys(table).find((word) => table[word] === value);
}

export class Lathe {
  /** @param {boolean} cycling whether it turns part after part without a `start` */
  constructor(cycling) {
    this.reset(cycling);
  }

  /** Everything as at the start. */
  reset(cycling) {
    this.cycling = cycling;
    this.channel = ChannelState.RESET;
    this.mode = ChannelMode.AUTOMATIC;
    this.programState = ProgramState.INITIALIZING;
    this.number = 0;
    this.jobId = "";
    this.jobProgram = "";
    this.doneS = 0;
    this.override = 100;
    this.parts = 1200;
    this.doorClosed = true;
    this.circuitClosed = true;
    /** Texts by error code. */
    this.alarms = new Map();
  }

  /** The active program: that of a job order, or the next of the lathe's own. */
  get program() {
    return this.jobProgram || PROGRAMS[this.number];
  }

  get operationMode() {
    return this.mode === ChannelMode.AUTOMATIC ? OperationMode.AUTOMATIC : OperationMode.MANUAL;
  }

  get rotating() {
    return this.channel === ChannelState.ACTIVE;
  }

  /** Whether the lathe's own control lets a program run. */
  get mayRun() {
    return this.doorClosed && this.circuitClosed;
  }

  /** Whether the lathe runs this program of its memory, or stands in the middle of it. */
  isRunning(program) {
    return this.channel !== ChannelState.RESET && this.jobProgram === program;
  }

  /** Cycle start, as at the machine's panel. */
  start() {
    this.cycling = true;
    this.resume();
  }

  /** Begin one part of a job order; return whether the lathe stood ready for it. */
  beginJob(jobId, program) {
    const automatic = this.mode === ChannelMode.AUTOMATIC;
    if (this.channel !== ChannelState.RESET || this.cycling || !automatic || !this.mayRun) return false;
    this.jobId = jobId;
    this.jobProgram = program;
    this.doneS = 0;
    this.#turn();
    return true;
  }

  /** Interrupt the program, as the feed hold of the panel does. */
  pause() {
    if (this.channel === ChannelState.ACTIVE) {
      this.channel = ChannelState.INTERRUPTED;
      this.programState = ProgramState.INTERRUPTED;
    }
  }

  /** Go on with an interrupted program. */
  resume() {
    if (this.channel === ChannelState.INTERRUPTED && this.mayRun) this.#turn();
  }

  /** Reset, as at the machine's panel: the program is aborted and no other starts. */
  stop() {
    this.cycling = false;
    if (this.channel !== ChannelState.RESET) {
      this.channel = ChannelState.RESET;
      this.programState = ProgramState.ABORTED;
      this.doneS = 0;
    }
  }

  setDoor(closed) {
    this.doorClosed = closed;
    if (!this.mayRun) this.pause();
  }

  /** Press (false) or release (true) the lathe's own emergency stop. */
  setCircuit(closed) {
    this.circuitClosed = closed;
    if (!this.mayRun) this.pause();
  }

  /** Let seconds pass. */
  advance(seconds) {
    if (this.channel === ChannelState.ACTIVE) {
      this.doneS += (seconds * this.override) / 100;
      if (this.doneS >= TURN_S) {
        this.doneS = 0;
        this.parts += 1;
        this.channel = ChannelState.RESET;
        this.programState = ProgramState.ENDED;
      }
    } else if (this.channel === ChannelState.RESET && this.cycling && this.mayRun) {
      this.doneS += seconds;
      if (this.doneS >= LOAD_S) {
        this.doneS = 0;
        this.number = this.parts % PROGRAMS.length;
        this.jobId = this.jobProgram = "";
        this.#turn();
      }
    }
  }

  #turn() {
    this.channel = ChannelState.ACTIVE;
    this.programState = ProgramState.RUNNING;
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** How a machine's state is said in one word: the word, the shape and the signal colour always go together. */
import type { Tone } from "../../shared/tone";
import type { Interlock, Machine } from "../../shared/types";

export type Shape = "ring" | "play" | "bars" | "square" | "triangle" | "diamond" | "hexagon" | "check" | "dashes" | "person";

export type Word =
  | "unreachable"
  | "circuit"
  | "tripped"
  | "alarm"
  | "fault"
  | "running"
  | "held"
  | "interrupted"
  | "stopped"
  | "unknown"
  | "reset"
  | "home"
  | "completed"
  | "ready";

export interface StateWord {
  word: Word;
  tone: Tone;
  shape: Shape;
}

/** Return the state of a machine in one word. What hinders most is said first; unknown never looks normal. */
export function stateOf(machine: Machine): StateWord {
  if (machine.availability !== "AVAILABLE") return { word: "unreachable", tone: "grey", shape: "dashes" };
  if (machine.emergency_stop === "TRIGGERED") return { word: "circuit", tone: "red", shape: "hexagon" };
  if (machine.interlock?.state === "TRIPPED") return { word: "tripped", tone: "red", shape: "hexagon" };
  if (machine.alarms.length > 0) return { word: "alarm", tone: "red", shape: "triangle" };
  if (machine.fault === "FAULT") return { word: "fault", tone: "red", shape: "diamond" };
  switch (machine.execution) {
    case "ACTIVE":
      return { word: "running", tone: "green", shape: "play" };
    case "FEED_HOLD":
      return { word: "held", tone: "amber", shape: "bars" };
    case "INTERRUPTED":
      return { word: "interrupted", tone: "amber", shape: "bars" };
    case "STOPPED":
      return { word: "stopped", tone: "grey", shape: "square" };
    case "UNAVAILABLE":
      return { word: "unknown", tone: "grey", shape: "dashes" };
    case "READY":
    case "PROGRAM_COMPLETED":
      break;
  }
  if (interlocked(machine)?.state === "UNKNOWN") return { word: "reset", tone: "blue", shape: "person" };
  if (machine.capabilities.includes("home") && !machine.homed) return { word: "home", tone: "blue", shape: "person" };
  return machine.execution === "PROGRAM_COMPLETED"
    ? { word: "completed", tone: "green", shape: "check" }
    : { word: "ready", tone: "green", shape: "ring" };
}

/** Return whether the machine takes hold and stop from here. */
export function canStop(machine: Machine): boolean {
  return machine.capabilities.includes("stop");
}

/** Return whether the machine is only looked at from here, or is given programs that its own panel starts. */
export function isWatched(machine: Machine): boolean {
  return machine.driver === "opcua" && !canStop(machine);
}

/** Return whether there is a path or a travel to draw. */
export function hasPicture(machine: Machine): boolean {
  return machine.travel !== null || machine.capabilities.includes("run_program");
}

/** Return the interlock where it can let something move: one without inputs on a machine that nobody here stops cannot. */
export function interlocked(machine: Machine): Interlock | null {
  return machine.interlock !== null && (machine.interlock.inputs.length > 0 || canStop(machine)) ? machine.interlock : null;
}

/** Return whether the machine may move at any moment, as far as its controller says. */
export function inMotion(machine: Machine): boolean {
  return ["ACTIVE", "INTERRUPTED", "FEED_HOLD"].includes(machine.execution);
}

/**
 * Return the machine that the bar acts on: the chosen one; where that is only watched, the one that runs, else the
 * first that takes commands. The bar always says its name.
 */
export function barMachine(machines: Machine[], chosen: string | null): Machine | null {
  const able = machines.filter(canStop);
  return able.find((m) => m.id === chosen) ?? able.find(inMotion) ?? able[0] ?? null;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Motion by hand, recovery and the link, as docs/http-api.md has them. Lengths mm, feeds mm/min, overrides in per cent. */

import type { ErrorBody, Position, Refusal } from "./base-types";

export type AxisName = "x" | "y" | "z";
export type LinkGrade = "UNKNOWN" | "GOOD" | "DAMAGED" | "BAD";

/** How well the wire to the controller carries bytes, since it was opened. */
export interface Link {
  grade: LinkGrade;
  lines: number;
  damaged: number;
  unknown: number;
  /** Median time from a question to its report, with the spindle commanded off and on. */
  latency_ms: number | null;
  latency_spindle_ms: number | null;
  cause: string | null;
}

/** What the machine has for motion by hand. */
export interface HandLimits {
  plate: boolean;
  corner: boolean;
  tool_setter: boolean;
  park: boolean;
  max_feed: number;
  /** The longest single step, mm. */
  max_step: number;
}

export interface Waits {
  kind: "tool" | "stop";
  tool: number | null;
  line: number;
  text: string;
}

export type JogCommand =
  | { type: "begin"; towards: Position; feed: number; pointer: number }
  | { type: "renew" }
  | { type: "end" };

export type JogEnd = "released" | "not renewed" | "the end of the travel" | "stopped" | "the connection was lost";

export type JogMessage = { type: "jogging" } | { type: "ended"; reason: JogEnd; error: ErrorBody | null };

export type ProbeCycle = "plate" | "corner" | "bore" | "tool";

export interface ProbePost {
  cycle: ProbeCycle;
  tool_diameter?: number;
  area_clear: true;
}

export interface ProbeAnswer {
  contacts: Position[];
  set: Partial<Record<AxisName, number>>;
  text: string;
}

export type OverrideKind = "feed" | "rapid" | "spindle";

export interface ControllerSetting {
  number: number;
  name: string;
  unit: string;
  value: string;
}

export interface SettingDifference {
  number: number;
  name: string;
  unit: string;
  wanted: string;
  found: string | null;
}

export interface ControllerSettings {
  profile: boolean;
  settings: ControllerSetting[];
  differences: SettingDifference[];
}

export interface Recording {
  name: string;
  job: string | null;
  claim: number | null;
  bytes: number;
  /** ISO 8601. */
  began: string;
  ended: string;
}

export interface RecoveryMove {
  line: number;
  text: string;
  to: Position;
}

export interface Recovery {
  job: string;
  line: number;
  total_lines: number;
  position: "kept" | "home again";
  evidence: string[];
  /** Three sentences; none where the program cannot be started there. */
  plan: string[];
  moves: RecoveryMove[];
  choices: { line: number; text: string }[];
  refusals: Refusal[];
  /** What of the machine is not as it was approved: who lets the job go on has to confirm it. */
  changes: string[];
}

export type OpeningItemName = "stop_circuit" | "door" | "home" | "clamps";

export interface OpeningItem {
  item: OpeningItemName;
  done: boolean;
  by: "input" | "person";
  text: string;
}

/** What has to be walked through after a drive, machine by machine. */
export interface Opening {
  needed: boolean;
  machines: Record<string, OpeningItem[]>;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** The HTTP contract of docs/http-api.md in types. Lengths mm, feeds mm/min, speeds rev/min, times s. */

import type { JobState, Position, Refusal, Role, Texts } from "./base-types";
import type { HandLimits, Link, Opening, Waits } from "./hand-types";
import type { Language } from "./i18n.svelte";
import type { Gap, OpcUaServer, Transfer } from "./program-types";

export type { Language };
export type * from "./base-types";

export interface Path {
  points: Position[];
  /** One for each point: whether the move to it is rapid. */
  rapid: boolean[];
  /** Planned time at each point. */
  seconds: number[];
  stock: Position;
}

/* Console */

export type Availability = "AVAILABLE" | "UNAVAILABLE";
export type Execution =
  | "READY"
  | "ACTIVE"
  | "INTERRUPTED"
  | "FEED_HOLD"
  | "STOPPED"
  | "PROGRAM_COMPLETED"
  | "UNAVAILABLE";
export type ControllerMode = "AUTOMATIC" | "MANUAL" | "MANUAL_DATA_INPUT" | "UNAVAILABLE";
export type EmergencyStop = "ARMED" | "TRIGGERED" | "UNAVAILABLE";
export type DoorState = "OPEN" | "CLOSED" | "UNLATCHED" | "UNAVAILABLE";
export type SpindleCommand = "OFF" | "CLOCKWISE" | "COUNTER_CLOCKWISE" | "UNAVAILABLE";
export type Capability =
  | "run_program"
  | "hold"
  | "stop"
  | "home"
  | "unlock"
  | "jog"
  | "probe"
  | "work_zero"
  | "override"
  | "settings"
  | "load_program"
  | "job_control"
  | "check_mode";
export type InterlockState = "UNKNOWN" | "TRIPPED" | "PERMITTED";
export type InputStatus = "HEALTHY" | "OPEN" | "UNKNOWN";
export type MotionCommand =
  | "start"
  | "home"
  | "resume"
  | "reset"
  | "unlock"
  | "jog"
  | "probe"
  | "zero"
  | "override"
  | "settings"
  | "load"
  | "start_loaded"
  | "second_opinion";

export interface InterlockInput {
  name: string;
  label: string;
  source: string;
  status: InputStatus;
  age_ms: number | null;
  remedy: string;
}

export interface Interlock {
  state: InterlockState;
  cause: Refusal | null;
  inputs: InterlockInput[];
}

export interface Machine {
  id: string;
  name: string;
  kind: string;
  driver: string;
  controller: string;
  capabilities: Capability[];
  /** What the machine's server should tell or offer and does not, in a person's words. */
  lacks: string[];
  travel: { low: Position; high: Position; max_feed: number; max_spindle: number } | null;
  availability: Availability;
  execution: Execution;
  mode: ControllerMode;
  emergency_stop: EmergencyStop;
  door: DoorState;
  machine_position: Position | null;
  work_position: Position | null;
  work_offset: Position | null;
  homed: boolean;
  feed: number | null;
  spindle: SpindleCommand;
  spindle_speed: number | null;
  overrides: { feed: number; rapid: number; spindle: number } | null;
  program: string | null;
  line: number | null;
  total_lines: number | null;
  progress: number | null;
  remaining_s: number | null;
  part_count: number | null;
  alarms: { code: string; text: string; position_kept: boolean }[];
  fault: "NONE" | "FAULT";
  fault_reason: string;
  age_ms: number | null;
  job: string | null;
  interlock: Interlock | null;
  link: Link | null;
  hand: HandLimits | null;
  /** How many settings of the controller are not what the kept profile says; null where there is no profile. */
  settings_differ: number | null;
  /** The newest program on its way into the machine's memory, or there. */
  transfer: Transfer | null;
  /** What the machine's own clock showed last (ISO 8601), and how many seconds it is ahead of ours. */
  source_time: string | null;
  clock_off_s: number | null;
  last_gap: Gap | null;
  /** For each command the reasons why it would be refused now; an empty list means that it would be accepted. */
  refusals: Record<MotionCommand, Refusal[]>;
}

export interface Job {
  id: string;
  claim: number;
  machine: string;
  program: string;
  title: Texts;
  origin: "kiosk" | "operator";
  state: JobState;
  estimate_s: number;
  guess_s: number | null;
  actual_s: number | null;
  line: number;
  total_lines: number;
  progress: number;
  remaining_s: number | null;
  fits_before_bell: boolean | null;
  reason: string;
  /** What the program waits for: a person. */
  waits: Waits | null;
  text: string | null;
  /** Names the newest check that `recheck` has made for the job; null where it made none. */
  check_digest: string | null;
}

export interface HeadcountEntry {
  group: string;
  role: Role;
  count: number;
  reason: string;
}

export interface Visit {
  id: string;
  school: string;
  municipality: string;
  date: string;
  group: string;
  expected: number;
  language: Language;
  open: boolean;
  people: Record<Role, number>;
  total: number;
  kiosk_sessions: number;
  entries: HeadcountEntry[];
  bell_in_s: number | null;
}

export interface Sync {
  connected: boolean;
  waiting: { visits: number; safety: number; jobs: number; metrics: number };
  waiting_total: number;
  oldest_waiting_s: number | null;
  last_ack_age_s: number | null;
  sent: number;
  resent: number;
  last_error: string;
}

export interface Program {
  id: string;
  title: Texts;
  origin: "library" | "upload";
  lines: number;
  seconds: number;
  sha256: string;
  machine: string | null;
}

export interface ProgramPath extends Path {
  lines: number[];
}

export interface Diagnostic {
  line: number;
  column: number;
  code: string | null;
  severity: "error" | "warning" | "note";
  message: string;
  /** The words of the program that it is about. */
  words: string[];
  remedy: string;
}

export interface Check {
  lines: number;
  seconds: number;
  distance_mm: number;
  cut_mm: number;
  bounds: { x: [number, number]; y: [number, number]; z: [number, number] } | null;
  errors: number;
  warnings: number;
  /** Numbers of the tools that the program takes. */
  tools: number[];
  diagnostics: Diagnostic[];
  /** Names this result: an approval sends it, and is refused where a check made then differs. */
  digest: string;
}

/** What a controller's own check mode says of a program. */
export interface SecondOpinion {
  lines: number;
  /** The first 200 of `refused_lines`. */
  refused: { line: number; error: number; text: string }[];
  refused_lines: number;
  agrees: boolean;
}

export type CheckStage = "reading" | "limits" | "planning" | "controller";

/** How far a check is; `check` is the name that the page gave it. */
export interface CheckProgress {
  type: "check";
  check: string;
  stage: CheckStage;
  /** 0..1 of the stage. */
  done: number;
}

/** A machine has cut more of a job's material; the relief is asked for by its mark. Nulls: it is not shown any more. */
export interface TwinNews {
  type: "twin";
  machine: string;
  /** The newest that has begun; versions begin at 0 with each. */
  job: string | null;
  removed_mm3: number | null;
  planned_mm3: number | null;
  version: number | null;
}

/** A piece of the library that is not what was approved; `piece` is empty where the whole library cannot be read. */
export interface LeftOut {
  piece: string;
  flaw: string;
  file: string;
  /** A sentence in English. */
  why: string;
}

export interface Snapshot {
  lab: string;
  lab_name: string;
  operator: boolean;
  machines: Machine[];
  jobs: Job[];
  visit: Visit | null;
  sync: Sync;
  programs: Program[];
  left_out: LeftOut[];
  opening: Opening | null;
  opcua_server: OpcUaServer | null;
}

export interface Notice {
  level: "info" | "attention" | "fault";
  /** In English, for a page that does not know the code. */
  text: string;
  code: "tripped" | "tripped-watched" | "fault" | "job" | "load" | "counter-back" | "counter-jump" | "settings" | "";
  /** tripped: machine, input; fault: machine, reason; job: claim, state, reason; load: machine, file, reason. */
  facts: Partial<Record<string, string>>;
}

export type ConsoleMessage =
  | { type: "snapshot"; snapshot: Snapshot }
  | { type: "machine"; machine: Machine }
  | { type: "jobs"; jobs: Job[] }
  | { type: "visit"; visit: Visit | null }
  | { type: "sync"; sync: Sync }
  | { type: "notice"; notice: Notice }
  | { type: "programs"; programs: Program[]; left_out: LeftOut[] }
  | { type: "opening"; opening: Opening }
  | CheckProgress
  | TwinNews;

export interface VisitPost {
  school: string;
  municipality: string;
  date: string;
  group: string;
  expected: number;
  language: Language;
  school_type?: SchoolType;
}

export type SchoolType =
  | "primary"
  | "progymnasium"
  | "basic"
  | "gymnasium"
  | "vocational"
  | "special"
  | "university"
  | "other";

export interface CorrectionPost {
  entry: string;
  group: string;
  role: Role;
  /** The difference, either sign. */
  count: number;
  reason: string;
}

export interface HeadcountPost {
  /** A UUID made by the page: sending it again counts once. */
  entry: string;
  group: string;
  role: Role;
  count: number;
  reason?: string;
}

export type * from "./hand-types";
export type * from "./kiosk-types";
export type * from "./program-types";

/* Office */

export type * from "./office-types";
export type * from "./survey-types";

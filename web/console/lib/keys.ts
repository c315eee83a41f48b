// SPDX-License-Identifier: GPL-3.0-or-later
/** Which words belong to which value: written out, so that every key can be searched for. */
import type { Tone } from "../../shared/tone";
import type { CheckStage, InputStatus, InterlockState, JobState, LinkGrade, MotionCommand, OpeningItemName, Role, SchoolType, Sync } from "../../shared/types";
import type { Word } from "./machine";
import type { Theme } from "./theme";
import type { Key } from "./words";

/** What of a check goes on: the service's stages, and before them the file on its way. */
export type Stage = CheckStage | "sending";

export const STATE = {
  unreachable: "state.unreachable",
  circuit: "state.circuit",
  tripped: "state.tripped",
  alarm: "state.alarm",
  fault: "state.fault",
  running: "state.running",
  held: "state.held",
  interrupted: "state.interrupted",
  stopped: "state.stopped",
  unknown: "state.unknown",
  reset: "state.reset",
  home: "state.home",
  completed: "state.completed",
  ready: "state.ready",
} as const satisfies Record<Word, Key>;

export const INTERLOCK = {
  UNKNOWN: "interlock.unknown",
  TRIPPED: "interlock.tripped",
  PERMITTED: "interlock.permitted",
} as const satisfies Record<InterlockState, Key>;

export const INPUT = {
  HEALTHY: "input.healthy",
  OPEN: "input.open",
  UNKNOWN: "input.unknown",
} as const satisfies Record<InputStatus, Key>;

export const JOB = {
  REQUESTED: "job.requested",
  APPROVED: "job.approved",
  DECLINED: "job.declined",
  RUNNING: "job.running",
  HELD: "job.held",
  INTERRUPTED: "job.interrupted",
  FINISHED: "job.finished",
  ABORTED: "job.aborted",
  FAILED: "job.failed",
} as const satisfies Record<JobState, Key>;

export const QUEUE = {
  waiting: "queue.waiting",
  running: "queue.running",
  approved: "queue.approved",
  requested: "queue.requested",
} as const satisfies Record<string, Key>;

export const ROLE = {
  pupil: "role.pupil",
  teacher: "role.teacher",
  vet_trainer: "role.vet_trainer",
  trainee: "role.trainee",
} as const satisfies Record<Role, Key>;

export const SCHOOL_TYPE = {
  primary: "open.type.primary",
  progymnasium: "open.type.progymnasium",
  basic: "open.type.basic",
  gymnasium: "open.type.gymnasium",
  vocational: "open.type.vocational",
  special: "open.type.special",
  university: "open.type.university",
  other: "open.type.other",
} as const satisfies Record<SchoolType, Key>;

/** Reasons for a correction and for a decline, in the order of the keys on the screen. */
export const CORRECTIONS = ["count.reason.twice", "count.reason.role", "count.reason.group", "count.reason.typing"] as const satisfies readonly Key[];
export const DECLINES = ["decline.text", "decline.time", "decline.material", "decline.machine", "decline.wish"] as const satisfies readonly Key[];

export const ASK = {
  start: { title: "ask.start", hold: "ask.start.do" },
  resume: { title: "ask.resume", hold: "ask.resume.do" },
  home: { title: "ask.home", hold: "ask.home.do" },
  park: { title: "ask.park", hold: "ask.park.do" },
} as const satisfies Record<string, { title: Key; hold: Key }>;

export const DELIVERY = {
  hold: { sending: "bar.hold.sending", delivered: "bar.hold.delivered", failed: "bar.hold.failed" },
  stop: { sending: "bar.stop.sending", delivered: "bar.stop.delivered", failed: "bar.stop.failed" },
} as const satisfies Record<string, Record<string, Key>>;

export const NOT_DONE = {
  start: "refusal.what.start",
  resume: "refusal.what.resume",
  home: "refusal.what.home",
  unlock: "refusal.what.unlock",
  reset: "refusal.what.reset",
  jog: "refusal.what.jog",
  probe: "refusal.what.probe",
  zero: "refusal.what.zero",
  override: "refusal.what.override",
  settings: "refusal.what.settings",
  load: "refusal.what.load",
  start_loaded: "refusal.what.start.loaded",
  second_opinion: "refusal.what.opinion",
} as const satisfies Record<MotionCommand, Key>;

/** The permissives that the page can tell in its own words; those of inputs are made of the input's own. */
export const PERMISSIVE = {
  available: { why: "refusal.why.available", todo: "refusal.todo.available" },
  fresh: { why: "refusal.why.fresh", todo: "refusal.todo.fresh" },
  inputs: { why: "refusal.why.inputs", todo: "refusal.todo.inputs" },
  interlock: { why: "refusal.why.interlock", todo: "refusal.todo.interlock" },
  fault: { why: "refusal.why.fault", todo: "refusal.todo.fault" },
  guardian: { why: "refusal.why.guardian", todo: "refusal.todo.guardian" },
  idle: { why: "refusal.why.idle", todo: "refusal.todo.idle" },
  homed: { why: "refusal.why.homed", todo: "refusal.todo.homed" },
  held: { why: "refusal.why.held", todo: "refusal.todo.held" },
  alarm: { why: "refusal.why.alarm", todo: "refusal.todo.alarm" },
  position: { why: "refusal.why.position", todo: "refusal.todo.position" },
  opening: { why: "refusal.why.opening", todo: "refusal.todo.opening" },
  busy: { why: "refusal.why.busy", todo: "refusal.todo.busy" },
  restart: { why: "refusal.why.restart", todo: "refusal.todo.restart" },
  "check-outdated": { why: "refusal.why.check-outdated", todo: "refusal.todo.check-outdated" },
  "changed-since": { why: "refusal.why.changed-since", todo: "refusal.todo.changed-since" },
} as const satisfies Record<string, { why: Key; todo: Key }>;

/** What is under way with a program, and its share of the whole: its beginning and its length. */
export const STAGE = {
  sending: { words: "upload.stage.sending", from: 0, share: 0.4 },
  reading: { words: "upload.stage.reading", from: 0.4, share: 0.25 },
  limits: { words: "upload.stage.limits", from: 0.65, share: 0.15 },
  planning: { words: "upload.stage.planning", from: 0.8, share: 0.2 },
  controller: { words: "opinion.stage", from: 0, share: 1 },
} as const satisfies Record<Stage, { words: Key; from: number; share: number }>;

export const SOURCE = {
  controller: "source.controller",
  interlock: "source.interlock",
  supervisor: "source.supervisor",
  guardian: "source.guardian",
  configuration: "source.configuration",
  "opening checklist": "source.opening",
  queue: "source.queue",
  program: "source.program",
  check: "source.check",
} as const satisfies Record<string, Key>;

export const STREAM = {
  visits: "sync.stream.visits",
  safety: "sync.stream.safety",
  jobs: "sync.stream.jobs",
  metrics: "sync.stream.metrics",
} as const satisfies Record<keyof Sync["waiting"], Key>;

export const TAB = {
  queue: "tab.queue",
  visit: "tab.visit",
  sync: "tab.sync",
} as const satisfies Record<string, Key>;

export const VIEW = {
  dark: "top.view.dark",
  light: "top.view.light",
  contrast: "top.view.contrast",
} as const satisfies Record<Theme, Key>;

export const LINK = {
  UNKNOWN: { word: "link.grade.unknown", short: "link.short.unknown", tone: "grey" },
  GOOD: { word: "link.grade.good", short: "link.short.good", tone: "green" },
  DAMAGED: { word: "link.grade.damaged", short: "link.short.damaged", tone: "amber" },
  BAD: { word: "link.grade.bad", short: "link.short.bad", tone: "red" },
} as const satisfies Record<LinkGrade, { word: Key; short: Key; tone: Tone }>;

export const OPENING = {
  stop_circuit: { title: "opening.stop_circuit", todo: "opening.stop_circuit.todo" },
  door: { title: "opening.door", todo: "opening.door.todo" },
  home: { title: "opening.home", todo: "opening.home.todo" },
  clamps: { title: "opening.clamps", todo: "opening.clamps.todo" },
} as const satisfies Record<OpeningItemName, { title: Key; todo: Key }>;

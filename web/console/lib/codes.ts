// SPDX-License-Identifier: GPL-3.0-or-later
/** Which words belong to which code of the service; tests/unit/test_web_codes.py compares them with its sources. */
import type { Key } from "./words";

/** What is the matter, and what to do about it. */
export interface Pair {
  why: Key;
  todo: Key;
}

/** Alarms of GRBL and grblHAL, which share their meaning. */
export const ALARM = {
  LOCKED: { why: "alarm.locked.why", todo: "alarm.locked.todo" },
  "ALARM:1": { why: "alarm.1.why", todo: "alarm.1.todo" },
  "ALARM:2": { why: "alarm.2.why", todo: "alarm.2.todo" },
  "ALARM:3": { why: "alarm.3.why", todo: "alarm.3.todo" },
  "ALARM:4": { why: "alarm.4.why", todo: "alarm.4.todo" },
  "ALARM:5": { why: "alarm.5.why", todo: "alarm.5.todo" },
  "ALARM:6": { why: "alarm.6.why", todo: "alarm.6.todo" },
  "ALARM:7": { why: "alarm.7.why", todo: "alarm.7.todo" },
  "ALARM:8": { why: "alarm.8.why", todo: "alarm.8.todo" },
  "ALARM:9": { why: "alarm.9.why", todo: "alarm.9.todo" },
} as const satisfies Record<string, Pair>;

/** Alarms of GRBL alone, or that mean something else in grblHAL. */
export const ALARM_GRBL = {
  "ALARM:10": { why: "alarm.10.grbl.why", todo: "alarm.10.grbl.todo" },
} as const satisfies Record<string, Pair>;

export const ALARM_HAL = {
  "ALARM:10": { why: "alarm.10.hal.why", todo: "alarm.10.hal.todo" },
  "ALARM:11": { why: "alarm.11.hal.why", todo: "alarm.11.hal.todo" },
  "ALARM:12": { why: "alarm.12.hal.why", todo: "alarm.12.hal.todo" },
  "ALARM:13": { why: "alarm.13.hal.why", todo: "alarm.13.hal.todo" },
  "ALARM:14": { why: "alarm.14.hal.why", todo: "alarm.14.hal.todo" },
  "ALARM:15": { why: "alarm.15.hal.why", todo: "alarm.15.hal.todo" },
  "ALARM:16": { why: "alarm.16.hal.why", todo: "alarm.16.hal.todo" },
  "ALARM:17": { why: "alarm.17.hal.why", todo: "alarm.17.hal.todo" },
  "ALARM:18": { why: "alarm.18.hal.why", todo: "alarm.18.hal.todo" },
} as const satisfies Record<string, Pair>;

/** By the name with which the controller greets. */
export const ALARM_OF_FIRMWARE: Record<string, Partial<Record<string, Pair>>> = { Grbl: ALARM_GRBL, GrblHAL: ALARM_HAL };

/** What the check of a program found, by its code. */
export const DIAGNOSTIC = {
  "letter-expected": "diag.letter-expected",
  "number-expected": "diag.number-expected",
  negative: "diag.negative",
  "line-too-long": "diag.line-too-long",
  unsupported: "diag.unsupported",
  "modal-group": "diag.modal-group",
  "no-feed": "diag.no-feed",
  "integer-expected": "diag.integer-expected",
  "two-axis-commands": "diag.two-axis-commands",
  "repeated-word": "diag.repeated-word",
  "no-axis": "diag.no-axis",
  "line-number-range": "diag.line-number-range",
  "missing-word": "diag.missing-word",
  "no-such-zero": "diag.no-such-zero",
  "g53-motion": "diag.g53-motion",
  "axis-unused": "diag.axis-unused",
  "arc-no-axis": "diag.arc-no-axis",
  "arc-end": "diag.arc-end",
  "arc-radius": "diag.arc-radius",
  "arc-radius-tight": "diag.arc-radius-tight",
  "arc-no-centre": "diag.arc-no-centre",
  "word-unused": "diag.word-unused",
  "tool-length-axis": "diag.tool-length-axis",
  "tool-number": "diag.tool-number",
  "banned-word": "diag.banned-word",
  "place-unknown": "diag.place-unknown",
  "spindle-over-limit": "diag.spindle-over-limit",
  "spindle-under-limit": "diag.spindle-under-limit",
  "spindle-off-in-cut": "diag.spindle-off-in-cut",
  "feed-over-limit": "diag.feed-over-limit",
  "feed-under-limit": "diag.feed-under-limit",
  "rapid-in-stock": "diag.rapid-in-stock",
  "rapids-unchecked": "diag.rapids-unchecked",
  "depth-over-flute": "diag.depth-over-flute",
  "plunge-too-fast": "diag.plunge-too-fast",
  "tool-not-in-table": "diag.tool-not-in-table",
  "out-of-travel": "diag.out-of-travel",
  "travel-unchecked": "diag.travel-unchecked",
  empty: "diag.empty",
  "no-motion": "diag.no-motion",
  "slash-ignored": "diag.slash-ignored",
  "realtime-byte": "diag.realtime-byte",
  "too-many-errors": "diag.too-many-errors",
  "too-many-lines": "diag.too-many-lines",
  "too-many-stops": "diag.too-many-stops",
  "too-large": "diag.too-large",
  "byte-order-mark": "diag.byte-order-mark",
  "tape-mark": "diag.tape-mark",
} as const satisfies Record<string, Key>;

/** Findings whose number or word is only in the service's sentence: it is shown below the page's own. */
export const NAMED_IN_MESSAGE: ReadonlySet<string> = new Set<keyof typeof DIAGNOSTIC>([
  "banned-word",
  "place-unknown",
  "spindle-over-limit",
  "spindle-under-limit",
  "spindle-off-in-cut",
  "feed-over-limit",
  "feed-under-limit",
  "rapid-in-stock",
  "rapids-unchecked",
  "depth-over-flute",
  "plunge-too-fast",
  "tool-not-in-table",
  "out-of-travel",
  "realtime-byte",
  "too-many-lines",
  "too-many-stops",
  "too-large",
]);

/** Refusals of a call, by the code of the error body. */
export const ERROR = {
  "not-found": { why: "error.not-found.why", todo: "error.not-found.todo" },
  "no-visit": { why: "error.no-visit.why", todo: "error.no-visit.todo" },
  "visit-open": { why: "error.visit-open.why", todo: "error.visit-open.todo" },
  "job-state": { why: "error.job-state.why", todo: "error.job-state.todo" },
  program: { why: "error.program.why", todo: "error.program.todo" },
  disk: { why: "error.disk.why", todo: "error.disk.todo" },
  "stop-not-delivered": { why: "error.stop-not-delivered.why", todo: "error.stop-not-delivered.todo" },
  "machine-away": { why: "error.machine-away.why", todo: "error.machine-away.todo" },
  "machine-refused": { why: "error.machine-refused.why", todo: "error.machine-refused.todo" },
  "program-failed": { why: "error.program-failed.why", todo: "error.program-failed.todo" },
  "program-stopped": { why: "error.program-stopped.why", todo: "error.program-stopped.todo" },
  refused: { why: "error.refused.why", todo: "error.refused.todo" },
  malformed: { why: "error.malformed.why", todo: "error.malformed.todo" },
  invalid: { why: "error.invalid.why", todo: "error.invalid.todo" },
  "queue-full": { why: "error.queue-full.why", todo: "error.queue-full.todo" },
  "no-session": { why: "error.no-session.why", todo: "error.no-session.todo" },
  "too-large": { why: "error.too-large.why", todo: "error.too-large.todo" },
  "too-long": { why: "error.too-long.bare.why", todo: "error.too-long.todo" },
  "too-many-moves": { why: "error.too-many-moves.bare.why", todo: "error.too-many-moves.todo" },
  "took-too-long": { why: "error.took-too-long.bare.why", todo: "error.took-too-long.todo" },
  "no-result": { why: "error.no-result.why", todo: "error.no-result.todo" },
  "given-up": { why: "error.given-up.why", todo: "error.given-up.todo" },
  "no-twin": { why: "error.no-twin.why", todo: "error.no-twin.todo" },
  "twin-not-ready": { why: "error.twin-not-ready.why", todo: "error.twin-not-ready.todo" },
  "wish-forgotten": { why: "error.wish-forgotten.why", todo: "error.wish-forgotten.todo" },
  busy: { why: "error.busy.why", todo: "error.busy.todo" },
  login: { why: "error.login.why", todo: "error.login.todo" },
  pin: { why: "error.pin.why", todo: "error.pin.todo" },
  "probe-failed": { why: "error.probe-failed.why", todo: "error.probe-failed.todo" },
  "program-interrupted": { why: "error.program-interrupted.why", todo: "error.program-interrupted.todo" },
  restart: { why: "error.restart.why", todo: "error.restart.todo" },
  "tool-length": { why: "error.tool-length.why", todo: "error.tool-length.todo" },
  "nothing-loaded": { why: "error.nothing-loaded.why", todo: "error.nothing-loaded.todo" },
  "transfer-failed": { why: "error.transfer-failed.why", todo: "error.transfer-failed.todo" },
  "seen-not-told": { why: "error.seen-not-told.why", todo: "error.seen-not-told.todo" },
  "piece-changed": { why: "error.piece-changed.why", todo: "error.piece-changed.todo" },
  "piece-newer": { why: "library.newer", todo: "error.piece-newer.todo" },
} as const satisfies Record<string, Pair>;

/** Refusals whose cause the code does not tell: the service's sentence is shown below the page's own. */
export const CAUSE_IN_SENTENCE: ReadonlySet<string> = new Set<keyof typeof ERROR>([
  "program",
  "disk",
  "stop-not-delivered",
  "machine-away",
  "machine-refused",
  "program-failed",
  "program-interrupted",
  "program-stopped",
  "probe-failed",
  "transfer-failed",
  "restart",
  "piece-changed",
  "refused",
  "malformed",
  "invalid",
]);

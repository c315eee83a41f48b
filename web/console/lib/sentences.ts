// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Sentences that the service builds itself, as it writes them, {places} and all, and the page's words for each.
 *
 * The first form that fits is taken. tests/unit/test_web_codes.py finds those of a refusal, a stop and a fault in the
 * service's sources.
 */
import type { Places } from "../../shared/i18n.svelte";
import type { Pair } from "./codes";
import type { Key } from "./words";

/** Why the service refuses, where one code stands for several causes. */
export const REFUSED = {
  "Nobody has confirmed that the area is clear.": { why: "error.area.why", todo: "error.area.todo" },
  "The check found {n} error.": { why: "error.found.why", todo: "error.found.todo" },
  "The check found {n} errors.": { why: "error.found.why", todo: "error.found.todo" },
  "The service is ending.": { why: "error.ending.why", todo: "error.ending.todo" },
  "It works on another job.": { why: "error.occupied.why", todo: "error.occupied.todo" },
  "{machine} takes no programs from here, or is not connected.": { why: "error.takes-none.why", todo: "error.takes-none.todo" },
  "No machine is connected that could cut it.": { why: "error.cut-none.why", todo: "error.cut-none.todo" },
  "It is zero.": { why: "error.zero.why", todo: "error.zero.todo" },
  "It has no reason.": { why: "error.no-reason.why", todo: "error.no-reason.todo" },
  "It would make {n} people of this role.": { why: "error.total.why", todo: "error.total.todo" },
} as const satisfies Record<string, Pair>;

/** Why a job ended, why a machine is in fault, what a driver says: one may stand inside another, as {reason}. */
export const SAID = {
  "{reason}; {n} unreadable lines came in: look for interference on the cable": "said.noise",
  "the interlock tripped": "said.tripped",
  "the interlock tripped: {input}": "said.tripped.input",
  "stopped by console": "said.stopped.console",
  "stopped by interlock": "said.stopped.interlock",
  "stopped by reset": "said.stopped.reset",
  "stopped by shutdown": "said.stopped.shutdown",
  "the guardian stopped the machine": "said.guardian.stopped",
  "its driver failed": "said.driver.away",
  "the service ended": "said.service.ended",
  "The controller service was restarted during this job.": "said.restarted",
  "The controller service was restarted, and the text to engrave was kept in memory only. Please ask again.": "said.wish.lost",
  "The program {program} ended before its end: {reason}.": "said.program.failed",
  "The program {program} was stopped: {reason}.": "said.program.stopped",
  "The program {program} is refused: {reason}.": "said.program.refused",
  "The machine {machine} cannot be reached: {reason}.": "said.machine.away",
  "The machine {machine} refused {command}: {reason}.": "said.machine.refused",
  "The stop did not reach the machine {machine} ({reason}): use the hard-wired stop at the machine.": "said.stop.failed",
  "The record could not be written to disk: {reason}.": "said.disk",
  "The guardian stopped the machine because this service had fallen silent.": "said.guardian.silent",
  "The driver of the machine ended by itself.": "said.driver.ended",
  "The driver of the machine failed: {reason}": "said.driver.failed",
  "The connection was lost: {reason}. Motion that was under way may have gone on.": "said.link.lost",
  "The controller lost its settings and uses defaults: have them restored.": "said.settings.lost",
  "An axis left its travel while a program ran: look at the machine, then home it.": "said.travel.left",
  "The controller restarted by itself: its position is not known any more.": "said.restart.lost",
  "The controller stopped answering while a program ran: look at the machine.": "said.silent",
  "The controller was found in {state} at connect, and was stopped.": "said.found",
  "The controller does not answer.": "said.no.answer",
  "it was stopped": "said.was.stopped",
  "it was cancelled": "said.was.cancelled",
  "the controller restarted by itself": "said.restart",
  "the controller stopped answering": "said.silence",
  "an axis left its travel at {x}, {y}, {z}": "said.travel",
  "for {s} s nothing moved and none of {n} lines was acknowledged": "said.stalled",
  "line {line} {text}: {meaning} (error:{code})": "said.line",
  "the controller refused the final dwell: {meaning} (error:{code})": "said.dwell",
  "the controller was reset": "said.reset",
  "there is no connection": "said.link.none",
  "the port is gone": "said.port.gone",
  "the port takes no more bytes": "said.port.full",
  "it was reset and did not start again": "said.reset.silent",
  "it is busy: {what}": "said.busy",
  "it is being stopped": "said.stopping",
  "it is in fault: {reason}": "said.in.fault",
  "homing is switched off in its settings ($22)": "said.homing.off",
  "it is in {state}": "said.state",
  "it is still slowing down": "said.slowing",
  "the door is open, or it is still slowing down": "said.door",
  "it stays in hold": "said.held",
  "it stays locked": "said.locked",
  "its position is not known. {reason}": "said.unplaced",
  "it is not connected": "said.apart",
  "no answer to {line} within {s} s": "said.late",
  "it was interrupted": "said.interrupted",
  "the machine has not reported its work offset yet": "said.no.offset",
  "the file was changed after it had been checked": "said.changed",
  "it is only watched over OPC UA; use its own panel": "said.watched",
} as const satisfies Record<string, Key>;

export interface Found<Words> {
  words: Words;
  places: Places;
}

/** Sentences with places, ready to be looked for. */
export class Forms<Words> {
  readonly #forms: { pattern: RegExp; words: Words }[];

  constructor(table: Record<string, Words>) {
    this.#forms = Object.entries(table).map(([sentence, words]) => ({ pattern: pattern(sentence), words }));
  }

  /** Return the words for `sentence` and what stood in its places, or null where no form fits. */
  find(sentence: string): Found<Words> | null {
    for (const form of this.#forms) {
      const match = form.pattern.exec(sentence);
      if (match !== null) return { words: form.words, places: { ...match.groups } };
    }
    return null;
  }
}

function pattern(sentence: string): RegExp {
  const source = sentence
    .split(/(\{\w+\})/)
    .map((part) => (part.startsWith("{") ? `(?<${part.slice(1, -1)}>.+)` : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return new RegExp(`^${source.join("")}$`, "s");
}

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
  "It has {n} lines, and a controller would read over {most} for too long.": { why: "error.too-long.why", todo: "error.too-long.todo" },
  "It has {n} moves, and reckoning them would keep the computer busy for too long.": { why: "error.too-many-moves.why", todo: "error.too-many-moves.todo" },
  "It took over {s} s on this computer, and was given up so that others get their turn.": { why: "error.took-too-long.why", todo: "error.took-too-long.todo" },
  "It works on another job.": { why: "error.occupied.why", todo: "error.occupied.todo" },
  "{machine} takes no programs from here, or is not connected.": { why: "error.takes-none.why", todo: "error.takes-none.todo" },
  "The piece is made for another kind of machine than {machine}.": { why: "error.other-kind.why", todo: "error.takes-none.todo" },
  "No machine is connected that could cut it.": { why: "error.cut-none.why", todo: "error.cut-none.todo" },
  "It is zero.": { why: "error.zero.why", todo: "error.zero.todo" },
  "It has no reason.": { why: "error.no-reason.why", todo: "error.no-reason.todo" },
  "It would make {n} people of this role.": { why: "error.total.why", todo: "error.total.todo" },
  "In the group {group} {n} people of this role were counted.": { why: "error.fewer.why", todo: "error.fewer.todo" },
  "Nobody has confirmed it.": { why: "error.unconfirmed.why", todo: "error.unconfirmed.todo" },
  "None was named.": { why: "error.unnamed.why", todo: "error.unnamed.todo" },
  "{machine} is at work.": { why: "error.at-work.why", todo: "error.at-work.todo" },
  "Nobody has approved the plan.": { why: "error.unapproved.why", todo: "error.unapproved.todo" },
  "The length of the new tool is not known: the zero of Z is where it was before the change.": { why: "error.tool-length.why", todo: "error.tool-length.todo" },
  "Another one is on its way into it.": { why: "error.loading.why", todo: "error.loading.todo" },
  "Nothing is being loaded.": { why: "error.not-loading.why", todo: "error.not-loading.todo" },
  "Nothing that was loaded from here over this connection waits to be started.": { why: "error.nothing-loaded.why", todo: "error.nothing-loaded.todo" },
  "An input shows it: it has to be seen, not told.": { why: "error.seen-not-told.why", todo: "error.seen-not-told.todo" },
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
  "stopped before it began": "said.stopped.before",
  "it was stopped or started again before the first line": "said.stopped.before",
  "the work zero was moved after the check": "said.zero.moved",
  "the machine was set differently after the check": "said.machine.set",
  "it works in {zero} and not in G54: press Stop machine, which puts that back": "said.other.zero",
  "a tool length of {length} mm is left in it: press Stop machine, which takes it back": "said.tool.length",
  "it did not say whether a tool length is left: start again": "said.tool.length.unsaid",
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
  "its check ended without a result: it may be too large for this computer": "said.no-result",
  "it was stopped or started again meanwhile": "said.check.stopped",
  "it is not in check mode": "said.check.mode",
  "line {line}: {reason} ({code})": "said.check.line",
  "it did not leave its check mode": "said.check.stays",
  "leaving its check mode cleared G92: set the zero again": "said.check.zero",
  "a laser is not put into check mode from here": "said.check.laser",
  "its controller has no check mode that can be asked for from here": "said.check.none",
  "it is only watched over OPC UA; use its own panel": "said.watched",
  "The guardian process ended or got stuck while the machine moved, so it was stopped.": "said.guardian.lost",
  "The machine moved further than it was asked to: look at it, then home it.": "said.moved.far",
  "a damaged reply came in, {line}. {reason}": "said.reply.damaged",
  "before homing it moves {mm} mm at a time": "said.unhomed.step",
  "held by {origin}": "said.held.by",
  "it did not answer, and was stopped": "said.unanswered.stopped",
  "it did not keep {settings}": "said.not.kept",
  "it does not answer while it homes": "said.unanswered.homing",
  "it does not answer": "said.unanswered",
  "it has no setting ${number}": "said.no.setting",
  "it has not been homed, so nobody knows where it stands": "said.unhomed",
  "it has not said yet where it stands": "said.no.position",
  "it has not reported its position yet": "said.no.position.yet",
  "it probes {mm} mm at a time": "said.probe.step",
  "it reports another place than the one that was set": "said.zero.other",
  "it stands at the end of its travel": "said.travel.end",
  "its spindle is commanded on": "said.spindle.on",
  "lines were lost on the way: look for interference on the cable": "said.lines.lost",
  "no axis was named": "said.no.axis",
  "the feed is no feed": "said.no.feed",
  "the guardian process ended or is stuck": "said.guardian.stuck",
  "the port took no more bytes, and what waited in it was thrown away": "said.port.thrown",
  "the way is too short, or the feed too slow": "said.way.short",
  "the way leads out of its travel": "said.way.out",
  "the way or the feed is no number that it can follow": "said.way.number",
  "it cannot do that from here": "said.cannot",
  "{value} is no value for ${number}": "said.no.value",
  "The probe of the machine {machine} found nothing to measure: {reason}.": "said.probe.nothing",
  "The program {program} was interrupted: {reason}.": "said.program.interrupted",
  "Given up by the operator. {reason}": "said.given.up",
  "The job was interrupted: {reason}.": "evidence.interrupted",
  "It waited in line {line} for the tool T{tool}: be sure that this is done, the length measured.": "evidence.tool",
  "It waited in line {line} for the tool: be sure that this is done, the length measured.": "evidence.tool.any",
  "It waited in line {line} at a stop of the program: be sure that this is done, the length measured.": "evidence.stop",
  "No journal of its course was found.": "evidence.none",
  "The work zero has been moved since then: be sure that it fits the piece.": "evidence.zero",
  "The controller has kept its position since then.": "evidence.kept",
  "Its position was lost then; the machine has been homed since.": "evidence.homed",
  "Its position is not trusted any more: the machine has to be homed.": "evidence.home",
  "The controller had taken line {line}; line {sent} had been sent.": "evidence.taken.sent",
  "The controller had taken no line; line {sent} had been sent.": "evidence.sent",
  "The controller had taken line {line}.": "evidence.taken",
  "The controller had taken no line.": "evidence.nothing",
  "Its last trusted position was machine {place}, {off} mm from the path of line {line}.": "evidence.place.path",
  "Its last trusted position was machine {place}, which names no line: line {line} is the first that may not have been done.": "evidence.place.first",
  "Its last trusted position was machine {place}.": "evidence.place",
  "Raise the tool to machine {z}, then go above {place}.": "plan.raise.go",
  "Raise the tool to machine {z}.": "plan.raise",
  "Turn on the spindle ({word}) and the coolant, wait {s} s.": "plan.spindle.coolant.wait",
  "Turn on the spindle ({word}), wait {s} s.": "plan.spindle.wait",
  "Turn on the spindle ({word}) and the coolant.": "plan.spindle.coolant",
  "Turn on the spindle ({word}).": "plan.spindle",
  "Leave the spindle off.": "plan.no.spindle",
  "Leave the spindle off, turn on the coolant.": "plan.no.spindle.coolant",
  "Go down to {place} at F{feed}, then go on with line {line} of {total}: {text}.": "plan.down",
  "Go on from there with line {line} of {total}: {text}.": "plan.go.on",
  "the line that was being cut": "choice.cut",
  "the beginning of this cut": "choice.begin",
  "after the tool change in line {line}": "choice.tool",
  "after the stop in line {line}": "choice.stop",
  "the first motion of the program": "choice.first",
  "The program cannot be started at line {line}: {reason}.": "plan.refused",
  "What comes in is unreadable from the start: the port is set to {baud} baud and the controller probably to another rate.": "cause.baud",
  "Replies are damaged while the spindle is on and not while it is off: interference. Lay the USB cable away from the spindle's cable, and use a short shielded one.": "cause.spindle",
  "Replies are damaged whether the spindle is on or off: a bad cable, or a plug that is loose.": "cause.cable",
  "It was seen pressed: release it.": "opening.seen.pressed",
  "It was seen open: close it.": "opening.seen.open",
  "Press the stop button at the machine and release it.": "opening.do.press",
  "Open the door and close it.": "opening.do.open",
  "{meaning} (error:{code})": "said.error",
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

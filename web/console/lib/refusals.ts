// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Refusals in the reader's language.
 *
 * The service sends whole sentences in English. Where the page knows the permissive it says the same in its own
 * words; where it does not, the service's sentence is shown as it came: a reason in English beats none.
 */
import type { Interlock, Machine, MotionCommand, Refusal } from "../../shared/types";
import { NOT_DONE, PERMISSIVE, SOURCE } from "./keys";
import { bare, type Reason, type Spoken } from "./spoken";
import type { Key } from "./words";

/** What, why with source and age, what to do. */
export interface Lines {
  what: string;
  reasons: Reason[];
  /** What has changed since the job was approved, in the service's own words: who has read it can confirm it. */
  changes?: string[];
}

const PERMISSIVES: Partial<Record<string, { why: Key; todo: Key }>> = PERMISSIVE;
/** Permissives of which the service's sentence tells the cause. */
const DETAILED: ReadonlySet<string> = new Set<keyof typeof PERMISSIVE>(["restart", "check-outdated", "changed-since"]);
const SOURCES: Partial<Record<string, Key>> = SOURCE;

export class Refusals {
  constructor(
    readonly spoken: Spoken,
    private readonly age: (ms: number | null) => string,
  ) {}

  /** Return the reasons against `command` as the machine's last message lists them; null where it would be accepted. */
  ofCommand(command: MotionCommand, machine: Machine, what: Key = NOT_DONE[command]): Lines | null {
    const list = machine.refusals[command];
    if (list.length === 0) return null;
    return { what: this.spoken.t(what, { machine: machine.name }), reasons: this.reasons(list, machine.interlock) };
  }

  /** Return each refusal as a reason. */
  reasons(list: readonly Refusal[], interlock: Interlock | null): Reason[] {
    return list.map((refusal) => this.reason(refusal, interlock));
  }

  reason(refusal: Refusal, interlock: Interlock | null): Reason {
    if (this.spoken.language === "en") return { why: refusal.why, remedy: refusal.remedy };
    if (refusal.permissive.startsWith("input.")) return this.inputReason(refusal, interlock);
    const known = PERMISSIVES[refusal.permissive];
    if (known === undefined) return { why: refusal.why, remedy: refusal.remedy };
    const source = this.source(refusal.source);
    const read = refusal.age_ms === null ? this.spoken.t("refusal.source", { source }) : this.spoken.t("refusal.read", { age: this.age(refusal.age_ms), source });
    const detail = this.detail(refusal);
    return {
      why: `${this.spoken.t(known.why, { detail })} ${read}`,
      remedy: this.spoken.t(known.todo),
    };
  }

  /** What only the service's sentence tells. */
  private detail(refusal: Refusal): string {
    if (refusal.permissive === "fault") return bare(this.spoken.say(afterColon(refusal.why)));
    return DETAILED.has(refusal.permissive) ? bare(this.spoken.say(refusal.why)) : "";
  }

  private inputReason(refusal: Refusal, interlock: Interlock | null): Reason {
    const input = interlock?.inputs.find((candidate) => `input.${candidate.name}` === refusal.permissive);
    if (input === undefined) return { why: refusal.why, remedy: refusal.remedy };
    // Healthy again since the refusal was made: the refusal is told as it was.
    const open = input.status === "HEALTHY" ? /\bopen\b/i.test(afterColon(refusal.why)) : input.status === "OPEN";
    const word = this.spoken.t(open ? "input.open" : "input.unknown");
    const read = this.spoken.t("refusal.read", { age: this.age(refusal.age_ms), source: this.source(refusal.source) });
    return { why: `${input.label}: ${word.toLocaleLowerCase("lt")}. ${read}`, remedy: refusal.remedy };
  }

  /** Return where a reading comes from; a name out of the configuration stays as it is. */
  source(name: string): string {
    const known = SOURCES[name];
    return known === undefined ? name : this.spoken.t(known);
  }
}

function afterColon(sentence: string): string {
  const at = sentence.indexOf(": ");
  return at < 0 ? sentence : sentence.slice(at + 2);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * What the service says by a code or by a known sentence, in the page's own words.
 *
 * What the page does not know is shown as it came: a sentence in English beats none.
 */
import type { ApiRefusal } from "../../shared/api";
import type { Diagnostic, JobState, Machine, Notice } from "../../shared/types";
import { SAID_CHECK } from "./check-sentences";
import { ALARM, ALARM_OF_FIRMWARE, CAUSE_IN_SENTENCE, DIAGNOSTIC, ERROR, NAMED_IN_MESSAGE, type Pair } from "./codes";
import { JOB } from "./keys";
import { SAID_LIBRARY } from "./library-sentences";
import { SAID_OPCUA } from "./opcua-sentences";
import { Forms, REFUSED, SAID } from "./sentences";
import type { Key, Translate } from "./words";

export interface Reason {
  why: string;
  remedy: string;
  /** The service's own sentence, where it tells more than the page's words. */
  detail?: string;
}

type Table<Words> = Partial<Record<string, Words>>;

const ALARMS: Table<Pair> = ALARM;
const OWN_ALARMS: Table<Table<Pair>> = ALARM_OF_FIRMWARE;
const DIAGNOSTICS: Table<Key> = DIAGNOSTIC;
const ERRORS: Table<Pair> = ERROR;
const JOBS: Table<Key> = JOB satisfies Record<JobState, Key>;
const SENTENCES = new Forms<Key>({ ...SAID_OPCUA, ...SAID, ...SAID_LIBRARY, ...SAID_CHECK });
const REFUSALS = new Forms<Pair>(REFUSED);
const ALARM_AT_END = /\((ALARM:\d+)\)$/;

export class Spoken {
  constructor(
    readonly t: Translate,
    readonly language: string,
  ) {}

  /** Return a sentence of the service in the page's words, with the one inside it. */
  say(sentence: string): string {
    const alarm = ALARMS[ALARM_AT_END.exec(sentence)?.[1] ?? ""];
    const found = SENTENCES.find(sentence);
    if (found === null) return alarm === undefined ? sentence : bare(this.t(alarm.why));
    const { reason } = found.places;
    return this.t(found.words, reason === undefined ? found.places : { ...found.places, reason: bare(this.say(String(reason))) });
  }

  /** Return what `say` returns as a sentence of its own. */
  sentence(text: string): string {
    return whole(this.say(text));
  }

  /** Return a notice of the live socket; one whose code or facts are unknown as it came. */
  notice(notice: Notice): string {
    const { machine, input, reason, claim, state, file } = notice.facts;
    if ((notice.code === "tripped" || notice.code === "tripped-watched") && machine !== undefined) {
      const tripped = input ? this.t("notice.tripped", { machine, input }) : this.t("notice.tripped.bare", { machine });
      return notice.code === "tripped" ? tripped : `${tripped} ${this.t("notice.tripped.watched")}`;
    }
    if (notice.code === "load" && machine !== undefined && file !== undefined) {
      return this.t("notice.load", { machine, file, reason: this.sentence(reason ?? "") });
    }
    if (notice.code === "fault" && machine !== undefined && reason !== undefined) {
      return this.t("notice.fault", { machine, reason: whole(this.say(reason)) });
    }
    const word = JOBS[state ?? ""];
    if (notice.code === "job" && claim !== undefined && word !== undefined) {
      return this.t("notice.job", { n: claim, state: this.t(word), reason: whole(this.say(reason ?? "")) }).trim();
    }
    const rest = machine === undefined ? "" : notice.text.slice(machine.length + 2);
    return machine !== undefined && notice.text === `${machine}: ${rest}` ? `${machine}: ${this.sentence(rest)}` : notice.text;
  }

  alarm(alarm: Machine["alarms"][number], controller: string): Reason {
    const firmware = Object.keys(OWN_ALARMS).find((name) => controller.split(" ")[0] === name) ?? "";
    const known = ALARMS[alarm.code] ?? OWN_ALARMS[firmware]?.[alarm.code];
    if (known !== undefined) return this.#pair(known);
    return { why: alarm.text, remedy: this.t(alarm.position_kept ? "alarm.kept" : "alarm.lost") };
  }

  /** Return what the check found: in the page's words, and below them what only the service's sentence names. */
  diagnostic(found: Diagnostic): { message: string; detail: string } {
    const known = DIAGNOSTICS[found.code ?? ""];
    if (known === undefined || this.language === "en") return { message: found.message, detail: "" };
    return { message: this.t(known), detail: NAMED_IN_MESSAGE.has(found.code ?? "") ? found.message : "" };
  }

  /** Return why a call was refused, by the sentence where it is known, else by the code. */
  refused(error: ApiRefusal): Reason {
    const why = error.why === "" ? error.what : error.why;
    if (this.language === "en") return { why, remedy: error.remedy };
    const cause = REFUSALS.find(why);
    if (cause !== null) return { why: this.t(cause.words.why, cause.places), remedy: this.t(cause.words.todo) };
    const known = ERRORS[error.code];
    const said = this.say(why);
    if (said !== why) return { why: whole(said), remedy: known === undefined ? error.remedy : this.t(known.todo) };
    if (known === undefined) return { why: this.t("error.unknown.why"), remedy: error.remedy, detail: why };
    return CAUSE_IN_SENTENCE.has(error.code) ? { ...this.#pair(known), detail: why } : this.#pair(known);
  }

  #pair(pair: Pair): Reason {
    return { why: this.t(pair.why), remedy: this.t(pair.todo) };
  }
}

/** Without its full stop, to stand inside another sentence. */
export function bare(sentence: string): string {
  return sentence.replace(/\.$/, "");
}

/** With a capital letter and a full stop, to stand alone. */
function whole(sentence: string): string {
  if (sentence === "") return "";
  const stopped = /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
  return stopped.charAt(0).toLocaleUpperCase("lt") + stopped.slice(1);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Three questions before and after, linked by a random card number that only the visitor keeps. Nothing of it outlives the
 * turn here: it is wiped with the visitor, and no claim, session or wish goes with the answers.
 */

import { post } from "../../shared/api";
import type { Language } from "../../shared/i18n.svelte";
import type { SurveyBand, SurveyMoment, SurveyPost } from "../../shared/types";
import { uuid } from "../../shared/uuid";
import { Attempt } from "./attempt.svelte";

export const QUESTIONS = ["interest", "confidence", "career"] as const;
export type Question = (typeof QUESTIONS)[number];
/** card: type the number; band: how old; a question's place; end: written, or not. */
export type Step = "card" | "band" | 0 | 1 | 2 | "end";

export const CARD_LENGTH = 6;

/** A number that is easy to keep and says nothing of who keeps it. */
function newCard(): string {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  return String(random % 10 ** CARD_LENGTH).padStart(CARD_LENGTH, "0");
}

export class Survey {
  moment: SurveyMoment = $state("before");
  step: Step = $state("band");
  /** The visitor's own card; null for one who left the questions out. */
  card: string | null = $state(null);
  typed = $state("");
  band: SurveyBand | null = $state(null);
  /** Whether the answers of this moment are on disk. */
  written = $state(false);
  /** A new one for each visitor: an answer that is slow to be written must not hold up the next one's. */
  sending = $state.raw(new Attempt());

  #scores: Partial<Record<Question, number>> = {};
  #answer = "";

  begin(moment: SurveyMoment): void {
    this.moment = moment;
    this.written = false;
    this.typed = "";
    this.sending = new Attempt();
    this.#scores = {};
    // One id for every try, so that a repeated one counts once.
    this.#answer = uuid();
    if (moment === "before") this.step = "band";
    else this.step = this.card === null ? "card" : this.band === null ? "band" : 0;
  }

  figure(digit: string): void {
    if (this.typed.length < CARD_LENGTH) this.typed += digit;
  }

  take(): void {
    if (this.typed.length !== CARD_LENGTH) return;
    this.card = this.typed;
    this.step = "band";
  }

  choose(band: SurveyBand): void {
    this.band = band;
    this.step = 0;
  }

  /** Keep a score from 1 to 5; returns whether it was the last. */
  score(value: number): boolean {
    if (typeof this.step !== "number") return false;
    const question = QUESTIONS[this.step];
    if (question !== undefined) this.#scores = { ...this.#scores, [question]: value };
    const next = this.step + 1;
    this.step = next === 1 || next === 2 ? next : "end";
    return this.step === "end";
  }

  async send(kiosk: string, language: Language): Promise<void> {
    const { band, sending } = this;
    if (band === null) return;
    this.card ??= newCard();
    const body: SurveyPost = { kiosk, answer: this.#answer, card: this.card, moment: this.moment, band, language, ...this.#scores };
    const answer = await sending.run(() => post<{ answer: string }>("api/kiosk/survey", body));
    if (answer !== null && sending === this.sending) this.written = true;
  }

  /** Forget the visitor. */
  wipe(): void {
    this.begin("before");
    this.card = null;
    this.band = null;
  }
}

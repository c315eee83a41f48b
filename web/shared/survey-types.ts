// SPDX-License-Identifier: GPL-3.0-or-later
/** The survey's part of docs/http-api.md in types; pages import it from types.ts. */
import type { Language } from "./i18n.svelte";

export type SurveyMoment = "before" | "after";
export type SurveyBand = "under_11" | "11_12" | "13_up";

export interface SurveyPost {
  kiosk: string;
  /** A UUID that the page made: sending it again counts once. */
  answer: string;
  card: string;
  moment: SurveyMoment;
  band: SurveyBand;
  language: Language;
  /** 1 to 5. */
  interest?: number;
  confidence?: number;
  career?: number;
}

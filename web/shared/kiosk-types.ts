// SPDX-License-Identifier: GPL-3.0-or-later
/** The kiosk's part of docs/http-api.md in types; pages import it from types.ts. Lengths mm, times s. */

import type { JobState, Position, Texts } from "./base-types";
import type { Language } from "./i18n.svelte";

export type Depth = "shallow" | "normal" | "deep";

export interface Now {
  job: { claim: number; piece: string; progress: number; remaining_s: number | null; state: JobState } | null;
  queue: number;
  last: { claim: number; piece: string } | null;
}

export interface KioskState {
  lab: string;
  lab_name: string;
  visit: { open: boolean; language: Language };
  idle: { warn_after_s: number; countdown_s: number };
  now: Now;
}

export interface PieceField {
  key: "text";
  max_length: number;
}

export interface Piece {
  id: string;
  title: Texts;
  description: Texts;
  /** The preview as SVG markup. */
  svg: string;
  stock: Position;
  guess_choices_s: number[];
  fields: PieceField[];
  depths: Depth[];
}

export interface SessionPost {
  kiosk: string;
  session: string;
  language: Language;
}

export interface RequestPost {
  kiosk: string;
  session: string;
  piece: string;
  guess_s: number;
  /** Made by the page for each wish, so that asking again queues it once. */
  request?: string;
  text?: string;
  depth?: Depth;
}

export interface RequestAnswer {
  job: string;
  claim: number;
  ahead: number;
  wait_s: number | null;
}

export interface KioskJob {
  job: string;
  claim: number;
  piece: string;
  state: JobState;
  ahead: number;
  progress: number;
  remaining_s: number | null;
  guess_s: number;
  estimate_s: number;
  actual_s: number | null;
  reason: string;
}

export interface KioskLive {
  now: Now;
  job: KioskJob | null;
}

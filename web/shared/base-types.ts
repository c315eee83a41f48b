// SPDX-License-Identifier: GPL-3.0-or-later
/** Words that all parts of docs/http-api.md use. Imports nothing, so that each part may import it. */

export type Position = [x: number, y: number, z: number];
/** A text per language, or one under "" where it has no language (an uploaded file's name). */
export type Texts = Record<string, string>;

export interface Refusal {
  permissive: string;
  what: string;
  why: string;
  source: string;
  age_ms: number | null;
  remedy: string;
}

export interface ErrorBody {
  code: string;
  what: string;
  why: string;
  remedy: string;
  retry_after_s: number | null;
  reasons: Refusal[];
}

export type JobState =
  | "REQUESTED"
  | "APPROVED"
  | "DECLINED"
  | "RUNNING"
  | "HELD"
  | "FINISHED"
  | "INTERRUPTED"
  | "ABORTED"
  | "FAILED";

export type Role = "pupil" | "teacher" | "vet_trainer" | "trainee";

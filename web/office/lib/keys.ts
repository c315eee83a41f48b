// SPDX-License-Identifier: GPL-3.0-or-later
/** Which words belong to which value: written out, so that every key can be searched for. */
import type { JobState, Lab, OfficeJob } from "../../shared/types";
import type { Theme } from "./state.svelte";
import type { Key } from "./words";

export const VIEW = {
  light: "app.view.light",
  dark: "app.view.dark",
  contrast: "app.view.contrast",
} as const satisfies Record<Theme, Key>;

export const LAB = {
  online: "lab.online",
  offline: "lab.offline",
  unknown: "lab.unknown",
} as const satisfies Record<Lab["state"], Key>;

export const ORIGIN = {
  kiosk: "jobs.origin.kiosk",
  operator: "jobs.origin.operator",
} as const satisfies Record<OfficeJob["origin"], Key>;

export const JOB = {
  REQUESTED: "jobs.state.requested",
  APPROVED: "jobs.state.approved",
  DECLINED: "jobs.state.declined",
  RUNNING: "jobs.state.running",
  HELD: "jobs.state.held",
  FINISHED: "jobs.state.finished",
  INTERRUPTED: "jobs.state.interrupted",
  ABORTED: "jobs.state.aborted",
  FAILED: "jobs.state.failed",
} as const satisfies Record<JobState, Key>;

/** Figures that the office ships with; the service may name others, which come with a label of their own. */
export const INDICATOR: Partial<Record<string, Key>> = {
  people: "indicator.people",
  vet_trainers: "indicator.vet_trainers",
  trainees: "indicator.trainees",
  schools: "indicator.schools",
  pieces: "indicator.pieces",
};

export const QUALITY = {
  quarantined: { name: "quality.quarantined", means: "quality.quarantined.means" },
  invalid: { name: "quality.invalid", means: "quality.invalid.means" },
  gaps: { name: "quality.gaps", means: "quality.gaps.means" },
  chain: { name: "quality.chain", means: "quality.chain.means" },
  duplicates: { name: "quality.duplicates", means: "quality.duplicates.means" },
} as const satisfies Record<string, { name: Key; means: Key }>;

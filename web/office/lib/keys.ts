// SPDX-License-Identifier: GPL-3.0-or-later
/** Which words belong to which value: written out, so that every key can be searched for. */
import type { AuditRow, BreakdownBy, Doubt, StreamGap, JobState, Lab, OfficeJob, OfficeRole, Role, VisitEntry } from "../../shared/types";
import type { Part } from "./route.svelte";
import type { Theme } from "./state.svelte";
import type { Key } from "./words";

export const VIEW = {
  light: "app.view.light",
  dark: "app.view.dark",
  contrast: "app.view.contrast",
} as const satisfies Record<Theme, Key>;

export const PART = {
  overview: "nav.overview",
  where: "nav.where",
  learning: "nav.learning",
  machines: "nav.machines",
  vans: "nav.vans",
  visits: "nav.visits",
  evidence: "nav.evidence",
  access: "nav.access",
} as const satisfies Record<Part, Key>;

export const LAB = {
  online: "lab.online",
  offline: "lab.offline",
  unknown: "lab.unknown",
} as const satisfies Record<Lab["state"], Key>;

export const EXPLAINED = {
  rolled_up: "gap.rolled_up",
  quota: "gap.quota",
  lost: "gap.lost",
} as const satisfies Record<NonNullable<StreamGap["explained"]>, Key>;

export const DOUBT = {
  gap: "doubt.gap",
  clone: "doubt.clone",
  rollback: "doubt.rollback",
  key: "doubt.key",
  clock: "doubt.clock",
} as const satisfies Record<Doubt["kind"], Key>;

/** What the van's own clock is worth; the wire may know more words than these. */
export const CLOCK: Partial<Record<string, Key>> = {
  synchronised: "clock.synchronised",
  free: "clock.free",
  unset: "clock.unset",
};

/** What a van says of its own health; what is not named here is shown by its own name. */
export const HEALTH: Partial<Record<string, Key>> = {
  disk_free_mb: "health.disk",
  disk_state: "health.state",
  metrics_dropped: "health.dropped",
  certificate_ends: "health.certificate",
};

/** What a van says of its disk. */
export const DISK: Partial<Record<string, Key>> = {
  ok: "health.state.ok",
  low: "health.state.low",
  full: "health.state.full",
  unreadable: "health.state.unreadable",
};

export const STREAM: Partial<Record<string, Key>> = {
  visits: "stream.visits",
  safety: "stream.safety",
  jobs: "stream.jobs",
  metrics: "stream.metrics",
};

export const ORIGIN = {
  kiosk: "jobs.origin.kiosk",
  operator: "jobs.origin.operator",
} as const satisfies Record<OfficeJob["origin"], Key>;

export const ROLE = {
  pupil: "role.pupil",
  teacher: "role.teacher",
  vet_trainer: "role.vet_trainer",
  trainee: "role.trainee",
} as const satisfies Record<Role, Key>;

export const ROLES = ["pupil", "teacher", "vet_trainer", "trainee"] as const satisfies readonly Role[];

export const BY = {
  operator: "by.operator",
  office: "by.office",
} as const satisfies Record<VisitEntry["by"], Key>;

export const RIGHTS = {
  viewer: { name: "access.viewer", means: "access.viewer.means" },
  office: { name: "access.office", means: "access.office.means" },
  admin: { name: "access.admin", means: "access.admin.means" },
} as const satisfies Record<OfficeRole, { name: Key; means: Key }>;

export const BREAKDOWN = {
  municipality: "where.by.municipality",
  school_type: "where.by.school_type",
  month: "where.by.month",
  role: "where.by.role",
  lab: "where.by.lab",
  language: "where.by.language",
} as const satisfies Record<BreakdownBy, Key>;

export const BREAKDOWNS = Object.keys(BREAKDOWN) as BreakdownBy[];

export const AUDIT = {
  correction: "audit.correction",
  account: "audit.account",
  key: "audit.key",
  quarantine: "audit.quarantine",
  import: "audit.import",
  recount: "audit.recount",
  alarm: "audit.alarm",
} as const satisfies Record<AuditRow["what"], Key>;

/** What was done to an account. */
export const ACCOUNT = {
  made: "audit.account.made",
  role: "audit.account.role",
  password: "audit.account.password",
  both: "audit.account.both",
  own: "audit.account.own",
  removed: "audit.account.removed",
} as const satisfies Record<string, Key>;

/** The three items of the survey; the service may name others. */
export const QUESTION: Partial<Record<string, { title: Key; asks: Key }>> = {
  interest: { title: "learning.interest", asks: "learning.interest.asks" },
  confidence: { title: "learning.confidence", asks: "learning.confidence.asks" },
  career: { title: "learning.career", asks: "learning.career.asks" },
};

export const BAND: Partial<Record<string, Key>> = {
  under_11: "learning.under_11",
  "11_12": "learning.11_12",
  "13_up": "learning.13_up",
  all: "learning.everybody",
};

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

export const QUALITY = {
  quarantined: { name: "quality.quarantined", means: "quality.quarantined.means" },
  invalid: { name: "quality.invalid", means: "quality.invalid.means" },
  missing: { name: "quality.gaps", means: "quality.gaps.means" },
  explained: { name: "quality.explained", means: "quality.explained.means" },
  chain: { name: "quality.chain", means: "quality.chain.means" },
  doubts: { name: "quality.doubts", means: "quality.doubts.means" },
  corrections: { name: "quality.corrections", means: "quality.corrections.means" },
  duplicates: { name: "quality.duplicates", means: "quality.duplicates.means" },
} as const satisfies Record<string, { name: Key; means: Key }>;

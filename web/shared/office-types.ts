// SPDX-License-Identifier: GPL-3.0-or-later
/** The office's part of docs/http-api.md in types; pages import it from types.ts. */
import type { JobState, Role } from "./base-types";

/** ISO 8601 dates and instants are strings in all of these. */
export type OfficeRole = "viewer" | "office" | "admin";

export interface Me {
  name: string | null;
  role: OfficeRole | null;
  login_needed: boolean;
}

export interface Account {
  name: string;
  role: OfficeRole;
  made: string;
  last_login: string | null;
}

export interface LabKey {
  lab: string;
  key: string;
  since: string;
  /** Another key that the lab now calls its own. */
  said: string | null;
}

export interface Indicator {
  id: string;
  label: string;
  /** null where nothing was promised: the figure is only told. */
  target: number | null;
  value: number;
}

export interface Progress {
  target: number;
  /** The day of the pledge, ISO 8601, where there is one. */
  due?: string | null;
  reached: number;
  ledger: number;
  not_yet_received: number;
  sessions: number;
  as_of: string;
  forecast: { low: string; mid: string; high: string } | null;
  indicators: Indicator[];
  daily: { date: string; people: number; cumulative: number }[];
}

export interface Lab {
  lab: string;
  state: "online" | "offline" | "unknown";
  last_seen: string | null;
  software: string;
  config: string;
  epoch: string;
  ledger_people: number;
  presence_people: number;
  waiting: number;
  gaps: StreamGap[];
  alarms: string[];
  health?: Record<string, string | number | boolean | null>;
  clock?: { quality: string; uncertainty_s: number | null } | null;
  install?: string | null;
  ordinal?: number | null;
  doubts?: Doubt[];
}

export interface StreamGap {
  stream: string;
  epoch: string;
  first: number;
  last: number;
  /** What a record of the lab says of it; without one, it is still missed. */
  explained?: "rolled_up" | "quota" | "lost" | null;
}

export interface Doubt {
  kind: "clone" | "rollback" | "key" | "clock" | "gap";
  text: string;
  since: string;
}

export interface OfficeVisit {
  lab: string;
  visit: string;
  school: string;
  municipality: string;
  date: string;
  group: string;
  expected: number;
  people: Partial<Record<Role, number>>;
  total: number;
  sessions: number;
  open: boolean;
}

export interface OfficeJob {
  lab: string;
  job: string;
  claim: number;
  machine: string;
  program: string;
  origin: "kiosk" | "operator";
  state: JobState;
  estimate_s: number;
  guess_s: number | null;
  actual_s: number | null;
  lines: number;
  visit: string;
  reason: string;
  received: string;
}

export interface Page<Row> {
  total: number;
  rows: Row[];
}

export interface Quality {
  quarantined: number;
  invalid: number;
  duplicates: number;
  chain_alarms: number;
  last_quarantine: { lab: string; stream: string; reason: string; received: string } | null;
  explained?: number;
  missing?: number;
  corrections?: number;
  unsynced?: { lab: string; waiting: number; since: string | null }[];
  doubts?: number;
  recount?: { at: string; differences: number } | null;
}

/** The earliest and the latest UTC at which a fact can have happened, beside what the van's own clock said. */
export interface Interval {
  from: string | null;
  to: string | null;
  raw: string | null;
  quality: string;
}

export interface VisitEntry {
  epoch: string;
  seq: number;
  group: string;
  role: Role;
  count: number;
  reason: string;
  by: "operator" | "office";
  who: string | null;
  at: Interval;
}

export interface VisitDetail extends OfficeVisit {
  entries: VisitEntry[];
}

export interface OfficeCorrectionPost {
  id: string;
  group: string;
  role: Role;
  count: number;
  reason: string;
}

export interface AuditRow {
  at: string;
  who: string;
  what: "correction" | "account" | "key" | "quarantine" | "import" | "recount" | "alarm";
  lab: string | null;
  text: string;
  facts: Record<string, unknown>;
}

export interface Audit extends Page<AuditRow> {
  head: string;
}

export interface QuarantineRow {
  id: number | string;
  topic: string;
  lab: string;
  stream: string;
  reason: string;
  size: number;
  head: string;
  text: string;
  received: string;
  seen: { who: string; at: string; note: string } | null;
}

export interface Imported {
  lab: string;
  batches: number;
  new: number;
  duplicates: number;
  rejected: number;
  signed_by: string;
}

export interface Pledge {
  id: string;
  label: { lt: string; en: string };
  unit: string;
  target: number | null;
  value: number;
  not_yet_received: number;
  due: string | null;
  milestones: { date: string; target: number; value: number | null; met: boolean | null }[];
  forecast: {
    low: string;
    mid: string;
    high: string;
    by_due: { low: number; mid: number; high: number } | null;
  } | null;
  history: { date: string; value: number }[];
}

export type BreakdownBy = "municipality" | "school_type" | "month" | "role" | "lab" | "language";

export interface BreakdownRow {
  key: string;
  label: { lt: string; en: string };
  people: Partial<Record<Role, number>>;
  total: number;
  visits: number;
  sessions: number;
}

export interface Breakdown {
  by: BreakdownBy;
  rows: BreakdownRow[];
  total: number;
}

export interface Place {
  code: string;
  name: string;
  column: number | null;
  row: number | null;
  people: number;
  visits: number;
}

export interface InterestRow {
  question: string;
  band: string;
  pairs: number | null;
  before: number | null;
  after: number | null;
  difference: number | null;
  interval: [number, number] | null;
  hidden: boolean;
}

export interface Interest {
  smallest: number;
  rows: InterestRow[];
  answers: number;
}

export interface HoursRow {
  lab: string;
  machine: string;
  jobs: Partial<Record<JobState, number>>;
  hours: number;
  /** null of a period: the machine's own counter tells of all its time. */
  parts: number | null;
}

export interface Hours {
  rows: HoursRow[];
  total_hours: number;
}

export interface OfficeMachine {
  lab: string;
  machine: string;
  parts: number;
  unseen: number;
  doubtful: number;
  gaps: number;
  gap_s: number;
  loads: number;
  loads_failed: number;
}

export interface Digest {
  digest: string;
  events: number;
  as_of: string;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** The office's part of docs/http-api.md in types; pages import it from types.ts. */
import type { JobState, Role } from "./types";

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
  gaps: { stream: string; epoch: string; first: number; last: number }[];
  alarms: string[];
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
}

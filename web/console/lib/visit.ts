// SPDX-License-Identifier: GPL-3.0-or-later
/** Roles and languages of a visit, in the order in which they are shown. */
import { ENDONYMS, type Language } from "../../shared/i18n.svelte";
import type { Role, SchoolType, Visit } from "../../shared/types";

export const ROLES: readonly Role[] = ["pupil", "teacher", "vet_trainer", "trainee"];

/** Languages of the kiosk by their own names. */
export const LANGUAGES = Object.entries(ENDONYMS).map(([code, name]) => ({ code: code as Language, name }));

/** Return what is counted of a group and a role in a visit, corrections and all. */
export function counted(visit: Visit, group: string, role: Role): number {
  return visit.entries.reduce((sum, row) => (row.group === group && row.role === role ? sum + row.count : sum), 0);
}

export const SCHOOL_TYPES: readonly SchoolType[] = [
  "primary",
  "progymnasium",
  "basic",
  "gymnasium",
  "vocational",
  "special",
  "university",
  "other",
];

/** Return today's date by the wall clock of this screen, ISO 8601. */
export function today(now: Date = new Date()): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

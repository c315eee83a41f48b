// SPDX-License-Identifier: GPL-3.0-or-later
/** A visit's entries as a person follows them: each with the figure before it and after it. */
import type { Role, VisitEntry } from "../../shared/types";

export interface Told {
  entry: VisitEntry;
  before: number;
  after: number;
  /** Whether it changes what was said before, rather than counting anew. */
  correction: boolean;
}

/** Return the entries in their order, each with the sum of its group and role around it. */
export function told(entries: VisitEntry[]): Told[] {
  const sums = new Map<string, number>();
  return entries.map((entry) => {
    const key = `${entry.role} ${entry.group}`;
    const before = sums.get(key) ?? 0;
    const after = before + entry.count;
    sums.set(key, after);
    return { entry, before, after, correction: entry.by === "office" || entry.reason !== "" || entry.count < 0 };
  });
}

/** Return what is counted now of a group and a role. */
export function counted(entries: VisitEntry[], group: string, role: Role): number {
  return entries.reduce((sum, one) => (one.group === group && one.role === role ? sum + one.count : sum), 0);
}

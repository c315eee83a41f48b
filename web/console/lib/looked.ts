// SPDX-License-Identifier: GPL-3.0-or-later
/** What is looked at: a program of the list on a machine, or what is cut for a job, which a visitor's words may make. */
import type { Job } from "../../shared/types";

export interface Looked {
  program: string;
  machine: string;
  /** Null for the program of the list. */
  job: string | null;
}

/** Whether nothing is cut for a job any more: the words of its visitor are forgotten. */
export function hasEnded({ state }: Job): boolean {
  return ["FINISHED", "DECLINED", "ABORTED", "FAILED"].includes(state);
}

/** Return what is cut for a job. */
export function cutFor(job: Job): Looked {
  return { program: job.program, machine: job.machine, job: job.id };
}

/** Return the program of the list, as it stands apart from any job. */
export function listed(program: string, machine: string): Looked {
  return { program, machine, job: null };
}

/** Return a name of `looked` that is like no other's. */
export function nameOf({ program, machine, job }: Looked): string {
  return JSON.stringify([program, machine, job]);
}

/** Return where the service tells a part of `looked`: its scene, its stock or its check. */
export function addressOf({ program, machine, job }: Looked, part: string, query: Record<string, string> = {}): string {
  const of = job === null ? `api/programs/${encodeURIComponent(program)}` : `api/jobs/${encodeURIComponent(job)}`;
  const asked = new URLSearchParams(job === null ? { machine, ...query } : query).toString();
  return asked === "" ? `${of}/${part}` : `${of}/${part}?${asked}`;
}

/** Return what has that name. */
export function named(name: string): Looked {
  const [program, machine, job] = JSON.parse(name) as [string, string, string | null];
  return { program, machine, job };
}

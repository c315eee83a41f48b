// SPDX-License-Identifier: GPL-3.0-or-later
/** What to do with a job that was interrupted or that waits for a person, and how the van is opened after a drive. */
import { get, post } from "../../shared/api";
import type { Job, Machine, Opening, OpeningItemName, Recovery } from "../../shared/types";
import { MOTION_TIMEOUT_MS, type Attempt } from "./attempt";
import type { Console } from "./state.svelte";
import type { Key } from "./words";

const at = (job: string, rest: string): string => `api/jobs/${encodeURIComponent(job)}/${rest}`;

/** Whether a person has to decide before the job goes on or ends. */
export function needsPerson(job: Job): boolean {
  return job.state === "INTERRUPTED" || job.waits !== null;
}

/** Return the job of `machine` that a person has to decide about, or null. */
export function waitingJob(jobs: Job[], machine: Machine): Job | null {
  return jobs.find((job) => job.machine === machine.id && needsPerson(job)) ?? null;
}

/** Open what the job needs from a person: the plan of a recovery, or the way through a tool change. */
export function openWaiting(desk: Console, job: Job): void {
  desk.sheet = { kind: job.state === "INTERRUPTED" ? "recovery" : "continue", job: job.id };
}

function machineOf(desk: Console, job: string): Machine | null {
  const machine = desk.jobs.find((candidate) => candidate.id === job)?.machine;
  return desk.machines.find((candidate) => candidate.id === machine) ?? null;
}

export function plan(desk: Console, job: string, line: number | null): Promise<Attempt<Recovery>> {
  const query = line === null ? "" : `?line=${line}`;
  return desk.attempt("refusal.what.plan", machineOf(desk, job), () => get<Recovery>(at(job, `recovery${query}`)));
}

async function send(desk: Console, what: Key, job: string, command: string, body?: unknown): Promise<Attempt<Job>> {
  const work = (): Promise<Job> => post<Job>(at(job, command), body, { timeoutMs: MOTION_TIMEOUT_MS });
  const tried = await desk.attempt(what, machineOf(desk, job), work);
  if (tried.answer !== null) desk.putJob(tried.answer);
  return tried;
}

/** `changes` is what a person has read of what has changed since the job was approved. */
export function recover(desk: Console, job: string, line: number, changes: string[]): Promise<Attempt<Job>> {
  return send(desk, "refusal.what.recover", job, "recover", { line, area_clear: true, approved: true, ...read(changes) });
}

function read(changes: string[]): { changes?: string[] } {
  return changes.length === 0 ? {} : { changes };
}

export function abandon(desk: Console, job: string): Promise<Attempt<Job>> {
  return send(desk, "refusal.what.abandon", job, "abandon");
}

/** After a tool change; `sameLength` is a person's word that nothing has to be measured, `changes` as of `recover`. */
export function goOn(desk: Console, job: string, sameLength: boolean, changes: string[]): Promise<Attempt<Job>> {
  const length = sameLength ? { same_length: true } : {};
  return send(desk, "refusal.what.continue", job, "continue", { area_clear: true, ...length, ...read(changes) });
}

async function openingCall(desk: Console, what: Key, address: string, body?: unknown): Promise<Attempt<Opening>> {
  const tried = await desk.attempt(what, null, () => post<Opening>(address, body));
  if (tried.answer !== null) desk.putOpening(tried.answer);
  return tried;
}

export function relocate(desk: Console): Promise<Attempt<Opening>> {
  return openingCall(desk, "refusal.what.pack", "api/opening/relocate");
}

export function confirmItem(desk: Console, machine: string, item: OpeningItemName): Promise<Attempt<Opening>> {
  return openingCall(desk, "refusal.what.item", `api/opening/${encodeURIComponent(machine)}/${item}`, { confirmed: true });
}

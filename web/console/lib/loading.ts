// SPDX-License-Identifier: GPL-3.0-or-later
/** Programs for machines that keep them in their own memory: the lab's files, their way over, and the start. */
import { call, get, post } from "../../shared/api";
import { number } from "../../shared/format";
import type { Machine, ProgramFile, Transfer, TransferStep } from "../../shared/types";
import type { Attempt } from "./attempt";
import type { Console } from "./state.svelte";
import type { Key } from "./words";

/** The largest file that the service takes, bytes. */
export const MAX_BYTES = 16 * 1024 * 1024;

/** A file of 16 MB over a poor wireless link. */
const FILE_TIMEOUT_MS = 120_000;
/** Starting waits for the machine's own answer. */
const START_TIMEOUT_MS = 30_000;

/** The three steps of the way, as they are drawn. */
export const STEPS = [
  { step: "UPLOADING", title: "load.step.upload", done: "load.step.upload.done" },
  { step: "VERIFYING", title: "load.step.verify", done: "load.step.verify.done" },
  { step: "SELECTING", title: "load.step.select", done: "load.step.select.done" },
] as const satisfies readonly { step: TransferStep; title: Key; done: Key }[];

const at = (machine: Machine, rest: string): string => `api/machines/${encodeURIComponent(machine.id)}/${rest}`;
const fileAt = (machine: Machine, name: string): string => at(machine, `files/${encodeURIComponent(name)}`);

/** Return whether programs get into the machine's memory from here. */
export function takesFiles(machine: Machine): boolean {
  return machine.capabilities.includes("load_program");
}

/** Return whether a program is on its way into the machine. */
export function underWay(transfer: Transfer | null): boolean {
  return transfer !== null && STEPS.some((one) => one.step === transfer.step);
}

/** Return the file that the machine has in its memory, if it came from here. */
export function inMemory(machine: Machine, file: ProgramFile): boolean {
  return machine.transfer?.step === "LOADED" && machine.transfer.file === file.name && machine.transfer.sha256 === file.sha256;
}

/** Return a share from 0 to 1 of the present step. */
export function shareOf(transfer: Transfer): number {
  return transfer.size === 0 ? 1 : Math.min(1, transfer.done / transfer.size);
}

/** 480 B, 12 kB, 3,4 MB: rounded up, so that nothing but an empty file has none. */
export function sizeOf(bytes: number, desk: Console): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${desk.whole(Math.ceil(bytes / 1000))} kB`;
  return `${number(bytes / 1_000_000, desk.words.language, 1)} MB`;
}

export function files(desk: Console, machine: Machine): Promise<Attempt<ProgramFile[]>> {
  return desk.attempt("refusal.what.files", machine, () => get<ProgramFile[]>(at(machine, "files")));
}

/** Keep a file for the machine, in place of one of the same name. */
export async function keepFile(desk: Console, machine: Machine, file: File): Promise<Attempt<ProgramFile>> {
  if (file.size > MAX_BYTES) {
    const [size, most] = [sizeOf(file.size, desk), sizeOf(MAX_BYTES, desk)];
    const reason = { why: desk.t("load.large.why", { size, most }), remedy: desk.t("load.large.todo") };
    return { answer: null, lines: { what: desk.t("refusal.what.file", { name: file.name }), reasons: [reason] } };
  }
  const options = { body: file, timeoutMs: FILE_TIMEOUT_MS };
  const tried = await desk.attempt("refusal.what.file", machine, () => call<ProgramFile>("PUT", fileAt(machine, file.name), options));
  // The sentence is about the file, not the machine.
  if (tried.lines !== null) tried.lines = { ...tried.lines, what: desk.t("refusal.what.file", { name: file.name }) };
  return tried;
}

export async function removeFile(desk: Console, machine: Machine, name: string): Promise<Attempt<unknown>> {
  return desk.attempt("refusal.what.remove", machine, () => call("DELETE", fileAt(machine, name)));
}

async function told(desk: Console, work: Promise<Attempt<Machine>>): Promise<Attempt<Machine>> {
  const tried = await work;
  if (tried.answer !== null) desk.putMachine(tried.answer);
  return tried;
}

/** Set a file on its way; the machine tells how far it is. */
export function load(desk: Console, machine: Machine, file: string): Promise<Attempt<Machine>> {
  return told(desk, desk.attempt("refusal.what.load", machine, () => post<Machine>(at(machine, "load"), { file })));
}

export function cancelLoad(desk: Console, machine: Machine): Promise<Attempt<Machine>> {
  return told(desk, desk.attempt("refusal.what.cancel", machine, () => post<Machine>(at(machine, "load/cancel"))));
}

/** Have the machine's own job control begin what is loaded; a person has looked at the machine. */
export function startLoaded(desk: Console, machine: Machine): Promise<Attempt<unknown>> {
  const work = (): Promise<unknown> => post(at(machine, "start-loaded"), { area_clear: true }, { timeoutMs: START_TIMEOUT_MS });
  return desk.attempt("refusal.what.start.loaded", machine, work);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Asking for checks: with an upload, of a program or a job as the machine stands, of the controller itself. */
import { ApiRefusal, get, post } from "../../shared/api";
import type { Check, Machine, Program, SecondOpinion } from "../../shared/types";
import { postFile } from "../../shared/upload";
import { uuid } from "../../shared/uuid";
import type { Attempt } from "./attempt";
import { CHECK_TIMEOUT_MS } from "./checks.svelte";
import { addressOf, listed, type Looked } from "./looked";
import { checkIn, problemOf } from "./problem";
import type { Lines } from "./refusals";
import type { Console } from "./state.svelte";

/** A program of two million lines is sent, read, checked and planned. */
const UPLOAD_TIMEOUT_MS = 180_000;
/** A controller reads some hundred lines a second. */
const OPINION_TIMEOUT_MS = 1_800_000;

export interface Uploaded {
  check: Check | null;
  program: Program | null;
  lines: Lines | null;
}

/** Send a program's file; its check comes back whether it was accepted or not. `check` names it for its progress. */
export async function upload(desk: Console, file: File, machine: string, check: string): Promise<Uploaded> {
  const query = new URLSearchParams({ name: file.name, machine, check });
  const gone = (share: number): void => desk.checks.set(check, "sending", share);
  desk.checks.begin(check, "sending");
  try {
    const answer = await postFile<{ program: Program; check: Check }>(`api/programs?${query}`, file, gone, UPLOAD_TIMEOUT_MS);
    desk.putProgram(answer.program);
    desk.checks.saw(listed(answer.program.id, machine), answer.check.digest);
    return { ...answer, lines: null };
  } catch (error) {
    const { lines } = problemOf(error, desk.t("refusal.what.upload", { name: file.name }), desk.refusals, null);
    return { check: error instanceof ApiRefusal ? checkIn(error.body) : null, program: null, lines };
  } finally {
    desk.checks.end(check);
  }
}

/** Ask for the check of what is looked at for its machine as it stands now. */
export async function checked(desk: Console, what: Looked, machine: Machine): Promise<Attempt<Check>> {
  const work = (): Promise<Check> => get<Check>(addressOf(what, "check"), { timeoutMs: CHECK_TIMEOUT_MS });
  const tried = await desk.attempt("refusal.what.check", machine, work);
  if (tried.answer !== null) desk.checks.saw(what, tried.answer.digest);
  return tried;
}

/** Let the controller itself read what is looked at; what comes of it is in `desk.checks.opinion`. */
export async function opinion(desk: Console, what: Looked, machine: Machine): Promise<void> {
  const check = uuid();
  const address = `api/machines/${encodeURIComponent(machine.id)}/second-opinion`;
  desk.checks.begin(check, "controller");
  desk.checks.ask(what, { check, said: null, failed: null, at: 0 });
  const wanted = what.job === null ? { program: what.program, check } : { job: what.job, check };
  const { answer, lines } = await desk.attempt("refusal.what.opinion", machine, () =>
    post<SecondOpinion>(address, wanted, { timeoutMs: OPINION_TIMEOUT_MS }),
  );
  desk.checks.end(check);
  desk.checks.ask(what, { check: null, said: answer, failed: lines, at: Date.now() });
}

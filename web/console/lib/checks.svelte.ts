// SPDX-License-Identifier: GPL-3.0-or-later
/** Checks that are under way: an upload on its way, the service's own check, the controller's. */
import { SvelteMap } from "svelte/reactivity";
import { ApiRefusal, get, post } from "../../shared/api";
import type { Check, CheckProgress, CheckStage, Job, Machine, Program, SecondOpinion } from "../../shared/types";
import { postFile } from "../../shared/upload";
import { uuid } from "../../shared/uuid";
import type { Attempt } from "./attempt";
import { checkIn, problemOf } from "./problem";
import type { Lines } from "./refusals";
import type { Console } from "./state.svelte";

/** An approval checks the program again, which may be a long one. */
export const CHECK_TIMEOUT_MS = 60_000;
/** A program of two million lines is sent, read, checked and planned. */
const UPLOAD_TIMEOUT_MS = 180_000;
/** A controller reads some hundred lines a second. */
const OPINION_TIMEOUT_MS = 1_800_000;

export type Stage = CheckStage | "sending";

export interface Going {
  stage: Stage;
  /** 0..1 of the stage. */
  done: number;
}

/** A second opinion, asked for or given. */
export interface Asked {
  /** The name under which its progress comes; null once there is an answer. */
  check: string | null;
  said: SecondOpinion | null;
  failed: Lines | null;
  /** When the answer came, ms since 1970. */
  at: number;
}

export class Checks {
  readonly #going = new SvelteMap<string, Going>();
  readonly #asked = new SvelteMap<string, Asked>();
  readonly #seen = new Map<string, string>();

  /** Return how far a check is, or null where it is not under way. */
  of(check: string | null): Going | null {
    return check === null ? null : (this.#going.get(check) ?? null);
  }

  begin(check: string, stage: Stage): void {
    this.#going.set(check, { stage, done: 0 });
  }

  set(check: string, stage: Stage, done: number): void {
    if (this.#going.has(check)) this.#going.set(check, { stage, done });
  }

  end(check: string): void {
    this.#going.delete(check);
  }

  /** Return what a machine's controller says of a program: kept also while nobody looks, for it takes its time. */
  opinion(program: string, machine: string): Asked | null {
    return this.#asked.get(`${machine} ${program}`) ?? null;
  }

  ask(program: string, machine: string, asked: Asked): void {
    this.#asked.set(`${machine} ${program}`, asked);
  }

  /** Keep the digest of a check whose result is shown. */
  saw(program: string, machine: string, digest: string): void {
    this.#seen.set(`${machine} ${program}`, digest);
  }

  /** Return the digest of the newest check of a job's program that was shown here; a visitor's own text is in no list. */
  seen(job: Job): string | null {
    return (job.text ? null : this.#seen.get(`${job.machine} ${job.program}`)) ?? job.check_digest;
  }

  hear({ check, stage, done }: CheckProgress): void {
    this.set(check, stage, done);
  }
}

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
    desk.checks.saw(answer.program.id, machine, answer.check.digest);
    return { ...answer, lines: null };
  } catch (error) {
    const { lines } = problemOf(error, desk.t("refusal.what.upload", { name: file.name }), desk.refusals, null);
    return { check: error instanceof ApiRefusal ? checkIn(error.body) : null, program: null, lines };
  } finally {
    desk.checks.end(check);
  }
}

/** Ask for the check of a program for a machine as it stands now. */
export async function checked(desk: Console, program: string, machine: Machine): Promise<Attempt<Check>> {
  const address = `api/programs/${encodeURIComponent(program)}/check?${new URLSearchParams({ machine: machine.id })}`;
  const tried = await desk.attempt("refusal.what.check", machine, () => get<Check>(address, { timeoutMs: CHECK_TIMEOUT_MS }));
  if (tried.answer !== null) desk.checks.saw(program, machine.id, tried.answer.digest);
  return tried;
}

/** Let the controller itself read a program; what comes of it is in `desk.checks.opinion`. */
export async function opinion(desk: Console, program: string, machine: Machine): Promise<void> {
  const check = uuid();
  const address = `api/machines/${encodeURIComponent(machine.id)}/second-opinion`;
  desk.checks.begin(check, "controller");
  desk.checks.ask(program, machine.id, { check, said: null, failed: null, at: 0 });
  const { answer, lines } = await desk.attempt("refusal.what.opinion", machine, () =>
    post<SecondOpinion>(address, { program, check }, { timeoutMs: OPINION_TIMEOUT_MS }),
  );
  desk.checks.end(check);
  desk.checks.ask(program, machine.id, { check: null, said: answer, failed: lines, at: Date.now() });
}

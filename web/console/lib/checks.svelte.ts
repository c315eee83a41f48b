// SPDX-License-Identifier: GPL-3.0-or-later
/** Checks that are under way: an upload on its way, the service's own check, the controller's. */
import { SvelteMap } from "svelte/reactivity";
import type { CheckProgress, Job, SecondOpinion } from "../../shared/types";
import type { Stage } from "./keys";
import type { Lines } from "./refusals";

/** An approval checks the program again, which may be a long one. */
export const CHECK_TIMEOUT_MS = 60_000;

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

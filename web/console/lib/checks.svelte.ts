// SPDX-License-Identifier: GPL-3.0-or-later
/** Checks that are under way: an upload on its way, the service's own check, the controller's. */
import { SvelteMap } from "svelte/reactivity";
import type { CheckProgress, Job, SecondOpinion } from "../../shared/types";
import type { Stage } from "./keys";
import { cutFor, listed, type Looked, nameOf } from "./looked";
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
  /** The digests of the checks that were shown, in the order in which they came. */
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

  /** Return what a controller says of what is looked at: kept also while nobody looks, for it takes its time. */
  opinion(what: Looked): Asked | null {
    return this.#asked.get(nameOf(what)) ?? null;
  }

  ask(what: Looked, asked: Asked): void {
    this.#asked.set(nameOf(what), asked);
  }

  /** Keep the digest of a check whose result is shown. */
  saw(what: Looked, digest: string): void {
    const name = nameOf(what);
    this.#seen.delete(name);
    this.#seen.set(name, digest);
  }

  /**
   * Return the digest of the newest check that was shown here of what is cut for a job: that of the job itself, or of its
   * program in the list, where no words of a visitor's make another.
   */
  seen(job: Job): string | null {
    const names = [cutFor(job), ...(job.text ? [] : [listed(job.program, job.machine)])].map(nameOf);
    const newest = [...this.#seen].reverse().find(([name]) => names.includes(name));
    return newest?.[1] ?? job.check_digest;
  }

  hear({ check, stage, done }: CheckProgress): void {
    this.set(check, stage, done);
  }
}

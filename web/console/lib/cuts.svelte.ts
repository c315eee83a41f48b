// SPDX-License-Identifier: GPL-3.0-or-later
/** What machines are cutting: the path of the job and the material as their reports have cut it, always of one job. */
import { SvelteMap } from "svelte/reactivity";
import { AGAIN_MS, ask, type Marked } from "../../shared/pictures";
import { readRelief, readScene, type Relief, type Scene } from "../../shared/viewer/scene";

export interface Cut {
  scene: Scene;
  relief: Relief;
}

/** A machine that somebody looks at; scene and relief as they came last, which may be of a job that has ended. */
interface Watched {
  scene: Marked<Scene> | null;
  relief: Marked<Relief> | null;
  /** The job for which was asked first. */
  job: string | null;
  /** How often there was reason to ask, and up to which of them is answered. */
  told: number;
  answered: number;
  at: number;
  asking: boolean;
  again: ReturnType<typeof setTimeout> | undefined;
}

const EVERY_MS = 900;
/** The service is still making the path: it says when it is there. */
const NOT_READY = "twin-not-ready";

export class Cuts {
  readonly #jobOf: (machine: string) => string | null;
  readonly #shown = new SvelteMap<string, { job: string | null; cut: Cut | null }>();
  readonly #watched = new Map<string, Watched>();

  /** `jobOf` tells the job that a machine is at. */
  constructor(jobOf: (machine: string) => string | null) {
    this.#jobOf = jobOf;
  }

  /** Return the path that a machine is at and what it has cut; null while it is made, "none" where there is none. */
  of(machine: string): Cut | "none" | null {
    const job = this.#jobOf(machine);
    return job === null ? null : this.followed(machine, job);
  }

  /** Return the same of a job: the one that the machine is at, or another that it has worked on last. */
  followed(machine: string, job: string): Cut | "none" | null {
    let watched = this.#watched.get(machine);
    if (watched === undefined) {
      watched = { scene: null, relief: null, job: null, told: 0, answered: 0, at: -EVERY_MS, asking: false, again: undefined };
      this.#watched.set(machine, watched);
    }
    const now = this.#jobOf(machine);
    if (now !== null && watched.job !== now) {
      watched.job = now;
      queueMicrotask(() => this.hear(machine));
    }
    const shown = this.#shown.get(machine);
    return shown?.job === job ? (shown.cut ?? "none") : null;
  }

  /** The service has cut more, or something else. Nobody has looked at most machines: whoever does asks for it. */
  hear(machine: string): void {
    const watched = this.#watched.get(machine);
    if (watched === undefined) return;
    clearTimeout(watched.again);
    watched.told += 1;
    if (!watched.asking) void this.#follow(machine, watched);
  }

  retry(): void {
    for (const machine of this.#watched.keys()) if (this.#jobOf(machine) !== null) this.hear(machine);
  }

  async #follow(machine: string, watched: Watched): Promise<void> {
    watched.asking = true;
    try {
      while (watched.answered < watched.told) {
        const early = watched.at + EVERY_MS - performance.now();
        if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
        const told = watched.told;
        const answered = await this.#ask(machine, watched);
        watched.at = performance.now();
        if (!answered) {
          watched.again = setTimeout(() => this.hear(machine), AGAIN_MS);
          return;
        }
        watched.answered = told;
      }
    } finally {
      watched.asking = false;
    }
  }

  /** Return whether there was an answer, be it that there is nothing. */
  async #ask(machine: string, watched: Watched): Promise<boolean> {
    const address = `api/machines/${encodeURIComponent(machine)}`;
    const job = this.#jobOf(machine);
    const relief = await ask(`${address}/twin`, readRelief, watched.relief);
    if (relief.came === "none") return this.#nothing(machine, job, relief.code);
    if (relief.came === "new") watched.relief = relief.marked;
    else if (relief.came !== "same") return false;
    const cut = watched.relief;
    if (cut === null) return false;
    if (watched.scene?.picture.job !== cut.picture.job) {
      const scene = await ask(`${address}/scene`, readScene, null);
      if (scene.came === "none") return this.#nothing(machine, job, scene.code);
      if (scene.came !== "new") return false;
      watched.scene = scene.marked;
    }
    // Where another job has begun between the two answers, both are asked for once more.
    if (watched.scene.picture.job !== cut.picture.job) watched.told += 1;
    else this.#shown.set(machine, { job: cut.picture.job, cut: { scene: watched.scene.picture, relief: cut.picture } });
    return true;
  }

  #nothing(machine: string, job: string | null, code: string): boolean {
    if (code !== NOT_READY) this.#shown.set(machine, { job, cut: null });
    return true;
  }
}

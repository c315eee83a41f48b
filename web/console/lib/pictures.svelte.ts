// SPDX-License-Identifier: GPL-3.0-or-later
/** Programs and jobs for the viewer: each fetched when it is first looked at, and asked for again whenever somebody looks anew. */
import { SvelteMap } from "svelte/reactivity";
import { AGAIN_MS, ask, type Marked } from "../../shared/pictures";
import type { TwinNews } from "../../shared/types";
import { readRelief, readScene, type Relief, type Scene } from "../../shared/viewer/scene";
import { type Cut, Cuts } from "./cuts.svelte";
import { addressOf, type Looked, named, nameOf } from "./looked";

export interface Seen {
  scene: Scene;
  /** What the program leaves of the material; null where only the path could be had. */
  relief: Relief | null;
  /** The relief is still on its way. */
  pending: boolean;
}

/** What a machine is at: a job's id and its program. */
export type Working = (machine: string) => { job: string; program: string } | null;

interface Kept extends Seen {
  path: Marked<Scene>;
  stock: Marked<Relief> | null;
}

/** A long program has megabytes: beside those that are looked at only a few are kept. */
const KEPT = 4;
const CELLS = 384;

export class Pictures {
  readonly #working: Working;
  readonly #cuts: Cuts;
  readonly #seen = new SvelteMap<string, Kept | "wanted" | "none">();
  readonly #asking = new Map<string, AbortController>();
  /** What was on its way when there was reason to ask again: its answer may be of the time before. */
  readonly #doubtful = new Set<string>();
  readonly #lookers = new Map<string, number>();
  /** When each was looked at last, in looks. */
  readonly #looked = new Map<string, number>();
  #looks = 0;

  constructor(working: Working) {
    this.#working = working;
    this.#cuts = new Cuts((machine) => working(machine)?.job ?? null);
  }

  /** Return the picture of what is looked at; null while it is on its way, "none" where there is none to be had. */
  of(what: Looked): Seen | "none" | null {
    const key = nameOf(what);
    this.#looked.set(key, (this.#looks += 1));
    const known = this.#seen.get(key);
    if (known === undefined) queueMicrotask(() => void (this.#seen.has(key) || this.#fetch(key)));
    return known === undefined || known === "wanted" ? null : known;
  }

  /**
   * Ask whether a picture still holds: it is made for the machine as it stands. Return what ends the look: what has not
   * come then is not wanted any more.
   */
  look(what: Looked): () => void {
    const key = nameOf(what);
    this.#lookers.set(key, (this.#lookers.get(key) ?? 0) + 1);
    void this.#fetch(key);
    return () => {
      const left = (this.#lookers.get(key) ?? 1) - 1;
      if (left > 0) {
        this.#lookers.set(key, left);
        return;
      }
      this.#lookers.delete(key);
      if (!this.#isUnderWay(key)) this.#withdraw(key);
    };
  }

  /** Return the path that a machine is at and what it has cut; null while it is made, "none" where there is none. */
  cut(machine: string): Cut | "none" | null {
    return this.#cuts.of(machine);
  }

  /** Return the same of a job that a machine is at, or that it has worked on last. */
  followed(machine: string, job: string): Cut | "none" | null {
    return this.#cuts.followed(machine, job);
  }

  hear(news: TwinNews): void {
    this.#cuts.hear(news.machine);
  }

  /** Ask again for what has not come, such as before a login or while the service was away. */
  retry(): void {
    for (const [key, seen] of this.#seen) if (seen === "none") this.#seen.delete(key);
    for (const key of this.#asking.keys()) this.#doubtful.add(key);
    for (const key of this.#lookers.keys()) void this.#fetch(key);
    this.#cuts.retry();
  }

  async #fetch(key: string): Promise<void> {
    if (this.#asking.has(key)) return;
    const asking = new AbortController();
    this.#asking.set(key, asking);
    try {
      await this.#bring(key, asking);
    } finally {
      if (this.#asking.get(key) === asking) this.#asking.delete(key);
    }
    if (this.#doubtful.delete(key) && this.#seen.get(key) === "none") {
      this.#seen.delete(key);
      void this.#fetch(key);
    }
  }

  async #bring(key: string, { signal }: AbortController): Promise<void> {
    const what = named(key);
    const known = this.#seen.get(key);
    const old = typeof known === "object" ? known : null;
    if (old === null) {
      this.#seen.set(key, "wanted");
      this.#forget();
    }
    const scene = await ask(addressOf(what, "scene"), readScene, old?.path ?? null, signal);
    if (scene.came === "withdrawn") return;
    if (scene.came === "none" || (scene.came === "later" && old === null)) this.#seen.set(key, "none");
    if (scene.came === "later") this.#later(key);
    if (scene.came !== "new" && (scene.came !== "same" || old === null)) return;
    const path = scene.came === "new" ? scene.marked : (old as Kept).path;
    const still = scene.came === "same" ? (old as Kept).relief : null;
    this.#seen.set(key, { scene: path.picture, path, relief: still, stock: old?.stock ?? null, pending: still === null });
    const stock = await ask(addressOf(what, "stock", { cells: `${CELLS}` }), readRelief, old?.stock ?? null, signal);
    if (stock.came === "withdrawn") return;
    if (stock.came === "later") this.#later(key);
    const mark = stock.came === "new" ? stock.marked : stock.came === "same" ? (old?.stock ?? null) : null;
    const relief = mark?.picture ?? (stock.came === "later" ? still : null);
    this.#seen.set(key, { scene: path.picture, path, relief, stock: mark, pending: false });
  }

  /** Ask again after a while, for whoever looks then. */
  #later(key: string): void {
    setTimeout(() => {
      if (this.#seen.get(key) === "none") this.#seen.delete(key);
      if (this.#lookers.has(key)) void this.#fetch(key);
    }, AGAIN_MS);
  }

  /** Take back what has been asked for. */
  #withdraw(key: string): void {
    this.#asking.get(key)?.abort();
    this.#asking.delete(key);
    const known = this.#seen.get(key);
    if (known === "wanted") this.#seen.delete(key);
    else if (typeof known === "object" && known.pending) this.#seen.set(key, { ...known, pending: false });
  }

  #isUnderWay(key: string): boolean {
    const { program, machine, job } = named(key);
    const at = this.#working(machine);
    return job === null ? at?.program === program : at?.job === job;
  }

  /** Give up what was looked at longest ago, but nothing that is looked at or under way. */
  #forget(): void {
    const idle = [...this.#seen.keys()].filter((key) => !this.#lookers.has(key) && !this.#isUnderWay(key));
    idle.sort((one, other) => (this.#looked.get(one) ?? 0) - (this.#looked.get(other) ?? 0));
    for (const key of idle.slice(0, Math.max(0, this.#seen.size - KEPT))) this.#seen.delete(key);
  }
}

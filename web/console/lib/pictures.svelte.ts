// SPDX-License-Identifier: GPL-3.0-or-later
/** Programs for the viewer, each fetched when it is first looked at, and what machines have cut so far. */
import { SvelteMap } from "svelte/reactivity";
import { ApiRefusal, ApiUnreachable } from "../../shared/api";
import type { TwinNews } from "../../shared/types";
import { getRelief, getScene, MalformedPicture, type Relief, type Scene } from "../../shared/viewer/scene";

export interface Seen {
  scene: Scene;
  /** What the program leaves of the material; null where only the path could be had. */
  relief: Relief | null;
  /** The relief is still on its way. */
  pending: boolean;
}

/** A long program has megabytes: only those looked at last are kept. */
const KEPT = 4;
const TWIN_EVERY_MS = 900;
const CELLS = 384;

interface Twin {
  relief: Relief | null;
  etag: string | null;
  /** The version that is shown, and the newest one told of. */
  shown: number;
  told: number;
  at: number;
  asking: boolean;
}

export class Pictures {
  readonly #seen = new SvelteMap<string, Seen | "wanted" | "none">();
  readonly #twins = new SvelteMap<string, Twin>();

  /** Return a program's picture on a machine; null while it is on its way, "none" where there is none to be had. */
  of(program: string, machine: string): Seen | "none" | null {
    const key = `${program}\n${machine}`;
    const known = this.#seen.get(key);
    if (known === undefined) queueMicrotask(() => void this.#fetch(key, program, machine));
    return known === undefined || known === "wanted" ? null : known;
  }

  /** Return the material as a machine has cut it, or null before it has begun. */
  twin(machine: string): Relief | null {
    const known = this.#twins.get(machine);
    if (known === undefined) queueMicrotask(() => void this.#askTwin(machine, 0));
    return known?.relief ?? null;
  }

  hear({ machine, version }: TwinNews): void {
    // Nobody has looked at this machine's work yet: whoever does asks for it.
    if (this.#twins.has(machine)) void this.#askTwin(machine, version);
  }

  /** Ask again for what has not come, such as before a login or while the service was away. */
  retry(): void {
    for (const [key, seen] of this.#seen) if (seen === "none") this.#seen.delete(key);
    this.#twins.clear();
  }

  async #fetch(key: string, program: string, machine: string): Promise<void> {
    if (this.#seen.has(key)) return;
    this.#seen.set(key, "wanted");
    for (const old of [...this.#seen.keys()].slice(0, -KEPT)) this.#seen.delete(old);
    const query = new URLSearchParams({ machine });
    const address = `api/programs/${encodeURIComponent(program)}`;
    const scene = await quietly(() => getScene(`${address}/scene?${query}`));
    if (scene === null) {
      this.#seen.set(key, "none");
      return;
    }
    this.#seen.set(key, { scene, relief: null, pending: true });
    const stock = await quietly(() => getRelief(`${address}/stock?${query}&cells=${CELLS}`));
    this.#seen.set(key, { scene, relief: stock?.relief ?? null, pending: false });
  }

  async #askTwin(machine: string, version: number): Promise<void> {
    const twin = this.#twins.get(machine) ?? { relief: null, etag: null, shown: -1, told: 0, at: -TWIN_EVERY_MS, asking: false };
    twin.told = Math.max(twin.told, version);
    this.#twins.set(machine, twin);
    if (twin.asking || twin.shown >= twin.told) return;
    twin.asking = true;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, twin.at + TWIN_EVERY_MS - performance.now())));
    const wanted = twin.told;
    const answer = await quietly(() => getRelief(`api/machines/${encodeURIComponent(machine)}/twin`, { etag: twin.etag }));
    const now: Twin = { ...twin, shown: wanted, at: performance.now(), asking: false, ...(answer ?? {}) };
    if (this.#twins.get(machine) !== twin) return;
    this.#twins.set(machine, now);
    if (twin.told > wanted) void this.#askTwin(machine, twin.told);
  }
}

/** Return what `ask` brings, or null where it cannot be had: the figures beside a picture still tell everything. */
async function quietly<Answer>(ask: () => Promise<Answer | null>): Promise<Answer | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ApiRefusal || error instanceof ApiUnreachable || error instanceof MalformedPicture) return null;
    throw error;
  }
}

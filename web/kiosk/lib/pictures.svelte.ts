// SPDX-License-Identifier: GPL-3.0-or-later
/** The pieces for the eye and the hand: each fetched when it is first on show, and kept as long as the page. */
import { SvelteMap } from "svelte/reactivity";
import { AGAIN_MS, ask } from "../../shared/pictures";
import { readRelief, readScene, type Relief, type Scene } from "../../shared/viewer/scene";

export interface Seen {
  scene: Scene;
  /** What is left of the material; null where the page itself has to cut it. */
  relief: Relief | null;
}

const CELLS = 256;
/** The path of a wish is made when its machine begins: it is asked for until it is there. */
const WISH_AGAIN_MS = 3_000;

export class Pictures {
  readonly #seen = new SvelteMap<string, Seen | null>();
  /** The visitor's own words as a path: of one job at a time, and forgotten with the visitor. */
  #wish = $state.raw<{ job: string; seen: Seen | null } | null>(null);

  /** Return a piece's picture, or null as long as there is none: its path from above is shown instead. */
  of(piece: string): Seen | null {
    const known = this.#seen.get(piece);
    if (known === undefined) queueMicrotask(() => void this.#fetch(piece));
    return known ?? null;
  }

  /** Return what becomes of the visitor's own words, from when the machine is at it; null before. */
  ofWish(job: string): Seen | null {
    const wish = this.#wish;
    if (wish?.job !== job) queueMicrotask(() => void this.#fetchWish(job));
    return wish?.job === job ? wish.seen : null;
  }

  forget(): void {
    this.#wish = null;
  }

  async #fetch(piece: string): Promise<void> {
    if (this.#seen.has(piece)) return;
    this.#seen.set(piece, null);
    const address = `api/kiosk/pieces/${encodeURIComponent(piece)}`;
    const [scene, stock] = await Promise.all([
      ask(`${address}/scene`, readScene, null),
      ask(`${address}/stock?cells=${CELLS}`, readRelief, null),
    ]);
    if (scene.came === "new" && stock.came === "new") this.#seen.set(piece, { scene: scene.marked.picture, relief: stock.marked.picture });
    else setTimeout(() => this.#seen.delete(piece), AGAIN_MS);
  }

  async #fetchWish(job: string): Promise<void> {
    if (this.#wish?.job === job) return;
    const asked = { job, seen: null };
    this.#wish = asked;
    const scene = await ask(`api/kiosk/jobs/${encodeURIComponent(job)}/scene`, readScene, null);
    // The visitor may have gone meanwhile, and another may stand there.
    if (this.#wish !== asked) return;
    if (scene.came === "new") this.#wish = { job, seen: { scene: scene.marked.picture, relief: null } };
    else setTimeout(() => this.#wish === asked && this.forget(), WISH_AGAIN_MS);
  }
}

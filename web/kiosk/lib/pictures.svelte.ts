// SPDX-License-Identifier: GPL-3.0-or-later
/** The pieces for the eye and the hand: each fetched when it is first on show, and kept as long as the page. */
import { SvelteMap } from "svelte/reactivity";
import { ApiRefusal, ApiUnreachable } from "../../shared/api";
import { getRelief, getScene, MalformedPicture, type Relief, type Scene } from "../../shared/viewer/scene";

export interface Seen {
  scene: Scene;
  relief: Relief;
}

const CELLS = 320;
/** A picture that could not be had is asked for again after this long. */
const AGAIN_MS = 20_000;

export class Pictures {
  readonly #seen = new SvelteMap<string, Seen | null>();

  /** Return a piece's picture, or null as long as there is none: its path from above is shown instead. */
  of(piece: string): Seen | null {
    const known = this.#seen.get(piece);
    if (known === undefined) queueMicrotask(() => void this.#fetch(piece));
    return known ?? null;
  }

  async #fetch(piece: string): Promise<void> {
    if (this.#seen.has(piece)) return;
    this.#seen.set(piece, null);
    const address = `api/kiosk/pieces/${encodeURIComponent(piece)}`;
    try {
      const [scene, stock] = await Promise.all([getScene(`${address}/scene`), getRelief(`${address}/stock?cells=${CELLS}`)]);
      if (scene !== null && stock !== null) this.#seen.set(piece, { scene, relief: stock.relief });
    } catch (error) {
      if (!(error instanceof ApiRefusal || error instanceof ApiUnreachable || error instanceof MalformedPicture)) throw error;
      setTimeout(() => this.#seen.delete(piece), AGAIN_MS);
    }
  }
}

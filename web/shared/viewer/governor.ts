// SPDX-License-Identifier: GPL-3.0-or-later
/** Keeps a picture fluent: where frames take long it is drawn coarser, and where even that is slow, flat. */

/** Milliseconds for a frame: above it a picture stutters. */
const SLOW_MS = 42;
/** Above it the coarsest picture is not worth its battery. */
const HOPELESS_MS = 180;
/** So many slow ones in a row are no accident. */
const SLOW_FRAMES = 5;
/** One frame that is late by so much is a pause: the page had something else to do. Another right behind it is slow. */
const PAUSE_MS = 1000;

/** The level at which a picture is tried: cheap enough for any computer. */
export const FIRST = 2;

export type Verdict = "stay" | "coarser" | "flat";

export class Governor {
  level = FIRST;

  #slow = 0;
  #hopeless = 0;
  #paused = false;

  /** Judge by what a frame of the level FIRST costs, in milliseconds, the graphics card's part included. */
  first(cost: number): void {
    this.level = cost < SLOW_MS / 4 ? 0 : cost < SLOW_MS / 2 ? 1 : cost < SLOW_MS * 1.5 ? 2 : 3;
    this.#rest();
  }

  /** The level of a picture that stands still: one frame may take its time, but not so long that it is in the way. */
  get atRest(): number {
    return this.level >= FIRST + 1 ? FIRST : Math.max(0, this.level - 2);
  }

  /**
   * A frame came `took` milliseconds after it was asked for: a browser whose graphics card lags behind grants it late.
   *
   * `coarsest` tells whether nothing is left to be spared.
   */
  frame(took: number, coarsest: boolean): Verdict {
    const forgiven = took > PAUSE_MS && !this.#paused;
    this.#paused = took > PAUSE_MS;
    if (forgiven) {
      this.#rest();
      return "stay";
    }
    this.#slow = took > SLOW_MS ? this.#slow + 1 : 0;
    this.#hopeless = took > HOPELESS_MS ? this.#hopeless + 1 : 0;
    if (coarsest) return this.#hopeless >= SLOW_FRAMES ? "flat" : "stay";
    if (this.#slow < SLOW_FRAMES) return "stay";
    this.level += 1;
    this.#rest();
    return "coarser";
  }

  #rest(): void {
    this.#slow = 0;
    this.#hopeless = 0;
  }
}

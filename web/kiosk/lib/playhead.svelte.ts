// SPDX-License-Identifier: GPL-3.0-or-later
/** Where on a path the drawing is, in planned seconds: following the machine, or showing the whole way again and again. */

const LOOP_S = 16;
const REST_S = 3;
/** The drawing runs ahead of the last message by at most this much: what was not reported is not shown. */
const AHEAD_S = 1.5;

export class Playhead {
  elapsed = $state(0);

  #frame = 0;

  stop(): void {
    cancelAnimationFrame(this.#frame);
  }

  set(seconds: number): void {
    this.stop();
    this.elapsed = seconds;
  }

  /** Glide from the present place to `seconds`, then on at the machine's own speed while it moves. */
  follow(seconds: number, total: number, moving: boolean, still: boolean): void {
    this.stop();
    // A step back of a moment is a forecast corrected; more is another job.
    if (still || Math.abs(this.elapsed - seconds) > 8 || !moving) {
      this.elapsed = Math.min(seconds, total);
      if (still || !moving) return;
    }
    const from = this.elapsed;
    const began = performance.now();
    const step = (at: number): void => {
      const passed = Math.max(0, (at - began) / 1000);
      const goal = seconds + Math.min(passed, AHEAD_S);
      const share = Math.min(1, passed / 0.4);
      this.elapsed = Math.min(total, Math.max(from, from + (goal - from) * share));
      if (passed < AHEAD_S) this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  /** Draw the whole path in `LOOP_S`, rest, call `onround`, begin anew. */
  loop(total: number, still: boolean, onround: () => void): void {
    this.stop();
    if (still) {
      this.elapsed = total;
      return;
    }
    const began = performance.now();
    const step = (at: number): void => {
      const passed = Math.max(0, (at - began) / 1000);
      this.elapsed = Math.min(1, passed / LOOP_S) * total;
      if (passed > LOOP_S + REST_S) onround();
      else this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Whether somebody is there. Quiet for `warnAfterS` -> asks, counts down `countdownS` -> gone. */

export class Idle {
  /** Seconds until the screen goes back to the start, or null while nobody has to be asked. */
  left: number | null = $state(null);

  warnAfterS = 45;
  countdownS = 15;

  readonly #ongone: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #on = false;

  constructor(ongone: () => void) {
    this.#ongone = ongone;
  }

  /** Start or stop watching. Starting while watching changes nothing. */
  watch(on: boolean): void {
    if (on === this.#on) return;
    this.#on = on;
    this.seen();
  }

  /** Somebody touched the screen: begin anew. */
  seen(): void {
    clearTimeout(this.#timer);
    this.left = null;
    if (this.#on) this.#timer = setTimeout(() => this.#ask(this.countdownS), this.warnAfterS * 1000);
  }

  #ask(left: number): void {
    if (left <= 0) {
      this.watch(false);
      this.#ongone();
      return;
    }
    this.left = left;
    this.#timer = setTimeout(() => this.#ask(left - 1), 1000);
  }
}

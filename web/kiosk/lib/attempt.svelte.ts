// SPDX-License-Identifier: GPL-3.0-or-later
/** One write to the server, as its button shows it: waiting, slow, failed for a reason the visitor can act on. */

import { ApiRefusal, ApiUnreachable } from "../../shared/api";

/**
 * disk: not written (503); away: no answer; busy: too many at once (429); text: this text is not possible (422);
 * refused: the lab does not take it now.
 */
export type Trouble = "disk" | "away" | "busy" | "text" | "refused";

const SLOW_AFTER_MS = 2000;

function troubleOf(error: unknown): Trouble {
  if (error instanceof ApiUnreachable) return "away";
  if (!(error instanceof ApiRefusal)) throw error;
  if (error.status === 429) return "busy";
  if (error.status === 422) return "text";
  return error.status >= 500 ? "disk" : "refused";
}

export class Attempt {
  busy = $state(false);
  slow = $state(false);
  trouble: Trouble | null = $state(null);

  /** Run `send`; return its answer, or null when it failed and `trouble` says why. */
  async run<Answer>(send: () => Promise<Answer>): Promise<Answer | null> {
    if (this.busy) return null;
    this.busy = true;
    this.trouble = null;
    const timer = setTimeout(() => (this.slow = true), SLOW_AFTER_MS);
    try {
      return await send();
    } catch (error) {
      this.trouble = troubleOf(error);
      return null;
    } finally {
      clearTimeout(timer);
      this.busy = false;
      this.slow = false;
    }
  }

  clear(): void {
    this.trouble = null;
  }
}

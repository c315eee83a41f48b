// SPDX-License-Identifier: GPL-3.0-or-later
/** One answer of the office's service, asked for again and again; what was heard last stays, and its age is known. */
import { ApiRefusal, ApiUnreachable, get } from "../../shared/api";

export class Resource<Value> {
  value: Value | null = $state.raw(null);
  /** performance.now() of the newest answer. */
  heardAt: number | null = $state(null);
  failed: ApiRefusal | ApiUnreachable | null = $state.raw(null);
  asking = $state(false);

  #path: string;
  #ask: AbortController | null = null;
  readonly #onrefused: (refusal: ApiRefusal) => void;

  /** `onrefused` hears of every refusal: a login that ran out concerns the whole page. */
  constructor(path: string, onrefused: (refusal: ApiRefusal) => void = () => undefined) {
    this.#path = path;
    this.#onrefused = onrefused;
  }

  /** Ask for another path; the old answer stays until the new one has come. */
  async move(path: string): Promise<void> {
    this.#path = path;
    await this.refresh();
  }

  /** Take an answer that came with a change. */
  put(value: Value): void {
    this.#ask?.abort();
    this.#ask = null;
    this.asking = false;
    this.value = value;
    this.heardAt = performance.now();
    this.failed = null;
  }

  async refresh(): Promise<void> {
    this.#ask?.abort();
    const ask = new AbortController();
    this.#ask = ask;
    this.asking = true;
    try {
      const value = await get<Value>(this.#path, { signal: ask.signal });
      if (ask !== this.#ask) return;
      this.value = value;
      this.heardAt = performance.now();
      this.failed = null;
    } catch (error) {
      // Overtaken by a newer question: its answer is the one that counts.
      if (ask !== this.#ask) return;
      if (!(error instanceof ApiRefusal || error instanceof ApiUnreachable)) throw error;
      this.failed = error;
      if (error instanceof ApiRefusal) this.#onrefused(error);
    } finally {
      if (ask === this.#ask) this.asking = false;
    }
  }
}

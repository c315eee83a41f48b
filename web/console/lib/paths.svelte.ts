// SPDX-License-Identifier: GPL-3.0-or-later
/** The paths of programs, each fetched once, when it is first looked at. */
import { SvelteMap } from "svelte/reactivity";
import { ApiRefusal, ApiUnreachable, get } from "../../shared/api";
import type { ProgramPath } from "../../shared/types";

export class Paths {
  readonly #paths = new SvelteMap<string, ProgramPath | null>();

  /** Return the path of a program, or null until it has arrived. */
  of(program: string): ProgramPath | null {
    const kept = this.#paths.get(program);
    if (kept !== undefined) return kept;
    queueMicrotask(() => void this.#fetch(program));
    return null;
  }

  /** Ask again for what has not come, such as before a login. */
  retry(): void {
    for (const [program, path] of this.#paths) if (path === null) this.#paths.delete(program);
  }

  async #fetch(program: string): Promise<void> {
    if (this.#paths.has(program)) return;
    this.#paths.set(program, null);
    try {
      this.#paths.set(program, await get<ProgramPath>(`api/programs/${encodeURIComponent(program)}/path`));
    } catch (error) {
      // Without the picture the figures still tell everything; the next snapshot asks anew.
      if (!(error instanceof ApiRefusal || error instanceof ApiUnreachable)) throw error;
    }
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** What the service has to tell, one at a time: faults first and until somebody has read them, the rest for a while. */
import type { Notice } from "../../shared/types";
import type { ShownNotice } from "./screen";

const SHOWN_MS = 10_000;
const KEPT = 20;

export class Notices {
  #all = $state.raw<ShownNotice[]>([]);
  #number = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** The newest fault, else the newest of all. */
  readonly shown = $derived(this.#all.filter((notice) => notice.level === "fault").at(-1) ?? this.#all.at(-1) ?? null);
  readonly count = $derived(this.#all.length);

  /** Take a notice; one that says the same as another that waits takes its place. */
  add(notice: Notice): void {
    const others = this.#all.filter((known) => known.text !== notice.text || known.level !== notice.level);
    this.#show([...others, { ...notice, id: (this.#number += 1) }]);
  }

  forget(id: number): void {
    this.#show(this.#all.filter((notice) => notice.id !== id));
  }

  clear(): void {
    this.#show([]);
  }

  #show(notices: ShownNotice[]): void {
    const tooMany = notices.length > KEPT;
    const least = notices.find((notice) => notice.level !== "fault") ?? notices[0];
    this.#all = tooMany ? notices.filter((notice) => notice !== least) : notices;
    clearTimeout(this.#timer);
    const { shown } = this;
    if (shown !== null && shown.level !== "fault") this.#timer = setTimeout(() => this.forget(shown.id), SHOWN_MS);
  }
}

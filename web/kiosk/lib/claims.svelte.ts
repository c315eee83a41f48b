// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The claim numbers given out at this kiosk. They outlive the visitor's turn and a reload of the page: a requested job is
 * never wiped. Nothing of the visitor's is kept, only the job, its number and its piece.
 */

export interface Claim {
  job: string;
  claim: number;
  /** ISO instant at which it was given. */
  given: string;
  /** ISO instant at which it was first seen to have ended. */
  ended?: string;
}

const KEPT_MS = 10 * 60 * 60 * 1000;
/** An ended one can be looked up for this long. */
const ENDED_KEPT_MS = 20 * 60 * 1000;
const SHOWN = 8;

function isClaim(value: unknown): value is Claim {
  if (typeof value !== "object" || value === null) return false;
  const { job, claim, given } = value as Partial<Claim>;
  return typeof job === "string" && typeof claim === "number" && typeof given === "string";
}

export class Claims {
  list: Claim[] = $state([]);
  readonly #key: string;

  constructor(kiosk: string) {
    this.#key = `infomobil.claims.${kiosk}`;
    this.list = this.#read();
  }

  /** The newest ones, in the order of their numbers. */
  get shown(): Claim[] {
    return this.list.slice(-SHOWN).sort((a, b) => a.claim - b.claim);
  }

  add(job: string, claim: number): void {
    this.#write([...this.list.filter((item) => item.job !== job), { job, claim, given: new Date().toISOString() }]);
  }

  /** The job has ended: its number stays for a while, for the comparison. */
  end(job: string): void {
    const now = new Date();
    const marked = this.list.map((item) =>
      item.job === job && item.ended === undefined ? { ...item, ended: now.toISOString() } : item,
    );
    this.#write(
      marked.filter(({ ended }) => ended === undefined || now.getTime() - Date.parse(ended) < ENDED_KEPT_MS),
    );
  }

  /** The visitor has seen how it ended. */
  drop(job: string): void {
    this.#write(this.list.filter((item) => item.job !== job));
  }

  #read(): Claim[] {
    const text = localStorage.getItem(this.#key);
    if (text === null) return [];
    let stored: unknown;
    try {
      stored = JSON.parse(text);
    } catch (error) {
      if (error instanceof SyntaxError) return [];
      throw error;
    }
    const since = Date.now() - KEPT_MS;
    return Array.isArray(stored) ? stored.filter(isClaim).filter((item) => Date.parse(item.given) > since) : [];
  }

  #write(list: Claim[]): void {
    this.list = list;
    localStorage.setItem(this.#key, JSON.stringify(list));
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Which part of the office is shown: kept in the address behind #, so that it can be linked to and gone back from. */

export const PARTS = ["overview", "where", "learning", "machines", "vans", "visits", "evidence", "access"] as const;
export type Part = (typeof PARTS)[number];

export class Route {
  part: Part = $state("overview");
  /** What stands behind the part: a van and its visit. */
  rest: string[] = $state.raw([]);

  constructor() {
    this.#read();
    window.addEventListener("hashchange", () => this.#read());
  }

  #read(): void {
    const [part = "", ...rest] = window.location.hash.replace(/^#\/?/, "").split("/");
    this.part = PARTS.find((known) => known === part) ?? "overview";
    this.rest = rest.filter((piece) => piece !== "").map((piece) => decoded(piece));
  }
}

function decoded(piece: string): string {
  try {
    return decodeURIComponent(piece);
  } catch (error) {
    // Half an escape in an address that somebody typed: taken as it stands.
    if (error instanceof URIError) return piece;
    throw error;
  }
}

/** Return the address of a part, or of one visit in it. */
export function at(part: Part, ...rest: string[]): string {
  return `#/${[part, ...rest.map((piece) => encodeURIComponent(piece))].join("/")}`;
}

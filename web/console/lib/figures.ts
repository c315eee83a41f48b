// SPDX-License-Identifier: GPL-3.0-or-later
/** Figures and ages in the reader's language; what is not known is a dash, never a nought. */
import { clock, coordinate, number } from "../../shared/format";
import { consoleWords, type Translate } from "./words";

export class Figures {
  readonly words = consoleWords();

  readonly t: Translate = (key, places) => this.words.t(key, places);

  clock(seconds: number | null): string {
    return seconds === null ? "–:––" : clock(seconds);
  }

  whole(value: number | null): string {
    return value === null ? "–" : number(value, this.words.language);
  }

  /** A coordinate in mm, or a dash where it is not known. */
  fixed(value: number | null, digits: number): string {
    return value === null ? "–" : coordinate(value, digits);
  }

  /** How old a reading is: tenths of a second below ten, then in the biggest unit that fits. */
  age(ms: number | null): string {
    if (ms === null) return this.t("age.never");
    if (ms < 9950) return this.t("age.s", { n: number(Math.max(0, ms) / 1000, this.words.language, 1) });
    return this.ago(ms / 1000);
  }

  ago(seconds: number): string {
    if (seconds < 60) return this.t("age.s", { n: Math.floor(seconds) });
    if (seconds < 3600) return this.t("age.min", { n: Math.floor(seconds / 60) });
    return this.t("age.h", { h: Math.floor(seconds / 3600), m: Math.floor((seconds % 3600) / 60) });
  }
}

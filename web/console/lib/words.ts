// SPDX-License-Identifier: GPL-3.0-or-later
/** The console's words. Lithuanian is the file that defines the keys. */
import en from "../../../content/i18n/console/en.json";
import lt from "../../../content/i18n/console/lt.json";
import { Words, type Language } from "../../shared/i18n.svelte";

export type Key = keyof typeof lt;
export type Translate = Words<Key>["t"];

const STORED = "infomobil.console.language";

/** Return the console's words in the language that was chosen last on this screen. */
export function consoleWords(): Words<Key> {
  const kept = window.localStorage.getItem(STORED);
  return new Words<Key>({ lt, en }, kept === "en" ? "en" : "lt");
}

/** Remember `language` for this screen. */
export function keepLanguage(language: Language): void {
  window.localStorage.setItem(STORED, language);
}

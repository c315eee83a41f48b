// SPDX-License-Identifier: GPL-3.0-or-later
/** The dashboard's words. Lithuanian is the file that defines the keys. */
import en from "../../../content/i18n/office/en.json";
import lt from "../../../content/i18n/office/lt.json";
import { number } from "../../shared/format";
import { Words, type Language } from "../../shared/i18n.svelte";

export type Key = keyof typeof lt;
export type Translate = Words<Key>["t"];

const STORED = "infomobil.office.language";

/** Return the dashboard's words in the language that was chosen last in this browser. */
export function officeWords(): Words<Key> {
  return new Words<Key>({ lt, en }, window.localStorage.getItem(STORED) === "en" ? "en" : "lt", number);
}

/** Remember `language` in this browser. */
export function keepLanguage(language: Language): void {
  window.localStorage.setItem(STORED, language);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Words in the reader's language. A page hands in one dictionary per language, read from content/i18n/<page>/<lang>.json,
 * and gets a `t` whose keys are the keys of the Lithuanian file: a key that does not exist is a type error.
 *
 * A value is a sentence with {places}, or one sentence per plural form of that language ("one", "few", "other" ...),
 * chosen by the place {n}.
 */

export type Language = "lt" | "en" | "lv" | "et" | "de";

export type Entry = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Dictionary<Key extends string> = Record<Key, Entry>;

export const ENDONYMS: Record<Language, string> = {
  lt: "Lietuvių",
  en: "English",
  lv: "Latviešu",
  et: "Eesti",
  de: "Deutsch",
};

export type Places = Record<string, string | number>;

export class Words<Key extends string> {
  language: Language = $state("lt");

  readonly #dictionaries: Partial<Record<Language, Dictionary<Key>>>;
  readonly #figure: (value: number, language: Language) => string;
  readonly #plural: Intl.PluralRules = $derived(new Intl.PluralRules(this.language));

  /** `figure` writes the numbers among the places; without it they stand as they are. */
  constructor(
    dictionaries: Partial<Record<Language, Dictionary<Key>>>,
    language: Language,
    figure: (value: number, language: Language) => string = String,
  ) {
    this.#dictionaries = dictionaries;
    this.language = language;
    this.#figure = figure;
  }

  get languages(): Language[] {
    return (Object.keys(ENDONYMS) as Language[]).filter((language) => this.#dictionaries[language] !== undefined);
  }

  /** Return the words of `key` in the present language, its {places} filled. */
  t = (key: Key, places: Places = {}): string => this.in(this.language, key, places);

  /** Return the words of `key` in a language that is not the present one. */
  in(language: Language, key: Key, places: Places = {}): string {
    const entry = this.#dictionaries[language]?.[key];
    if (entry === undefined) throw new Error(`No words for "${key}" in "${language}".`);
    const rules = language === this.language ? this.#plural : new Intl.PluralRules(language);
    const sentence = typeof entry === "string" ? entry : (entry[rules.select(Number(places["n"]))] ?? entry.other ?? "");
    return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = places[name];
      if (value === undefined) return whole;
      return typeof value === "number" ? this.#figure(value, language) : value;
    });
  }

  /** Return the text for the present language from a table such as a piece's title. */
  of(texts: Record<string, string>): string {
    return texts[this.language] ?? texts["en"] ?? texts[""] ?? Object.values(texts)[0] ?? "";
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Dark in the van, light in the sun, and a strong one for those who need it. */

export type Theme = "dark" | "light" | "contrast";

export const THEMES: readonly Theme[] = ["dark", "light", "contrast"];
const STORED = "infomobil.console.theme";

/** Return the theme that was chosen last on this screen, and show it. */
export function startTheme(): Theme {
  const kept = window.localStorage.getItem(STORED);
  const theme = THEMES.find((candidate) => candidate === kept) ?? "dark";
  show(theme);
  return theme;
}

/** Show `theme` and remember it for this screen. */
export function keepTheme(theme: Theme): void {
  window.localStorage.setItem(STORED, theme);
  show(theme);
}

function show(theme: Theme): void {
  const { dataset } = document.documentElement;
  dataset["theme"] = theme === "light" ? "light" : "dark";
  if (theme === "contrast") dataset["contrast"] = "high";
  else delete dataset["contrast"];
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** What a picture shows, in sentences that console and kiosk share; each page brings its own words. Lengths mm. */
import type { Language, Places } from "../i18n.svelte";
import type { Scene, SceneTool } from "./scene";

/** The words that every page with a viewer has. */
export type FactKey =
  | "tool.flat"
  | "tool.ball"
  | "tool.v"
  | "tool.turning"
  | "tool.none"
  | "tool.unlisted"
  | "viewer.fact.size"
  | "viewer.fact.size.guessed"
  | "viewer.fact.tools";

export interface Telling {
  t: (key: FactKey, places?: Places) => string;
  language: Language;
}

const SHAPE = {
  flat: "tool.flat",
  ball: "tool.ball",
  v: "tool.v",
  turning: "tool.turning",
} as const satisfies Record<SceneTool["shape"], FactKey>;

/** A length as a person writes it: at most `most` decimals, and none that is nothing. */
export function millimetres(value: number, language: Language, most = 1): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: most }).format(value);
}

/** Return the size of the material: three lengths. */
export function sizeOf({ block: { low, high } }: Scene, language: Language): string {
  return [0, 1, 2].map((k) => millimetres((high[k] as number) - (low[k] as number), language)).join(" × ");
}

/** Return the tools that the path takes. */
export function toolsOf(scene: Scene): SceneTool[] {
  const used = new Set(scene.tool);
  return scene.tools.filter((_, index) => used.has(index));
}

/** Return a tool in words; one that nobody has described is told as what was reckoned with instead. */
export function toolWords({ t, language }: Telling, { number, known, shape, diameter }: SceneTool): string {
  const d = millimetres(diameter, language, 3);
  if (!known) return number === 0 ? t("tool.none", { d }) : t("tool.unlisted", { tool: `T${number}`, d });
  const words = t(SHAPE[shape], { d });
  return number === 0 ? words : `T${number} · ${words}`;
}

/** Return the material and the tools as sentences, for those who do not see the picture. */
export function factsOf(telling: Telling, scene: Scene): string[] {
  const { t, language } = telling;
  const size = t(scene.guessed ? "viewer.fact.size.guessed" : "viewer.fact.size", { size: sizeOf(scene, language) });
  const tools = toolsOf(scene).map((tool) => toolWords(telling, tool));
  return tools.length === 0 ? [size] : [size, t("viewer.fact.tools", { tools: tools.join("; ") })];
}

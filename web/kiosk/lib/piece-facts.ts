// SPDX-License-Identifier: GPL-3.0-or-later
/** A piece's picture told in sentences: all but the time, which is to be guessed. */
import { number } from "../../shared/format";
import type { Scene, SceneTool } from "../../shared/viewer/scene";
import { type Key, t, words } from "./words";

const SHAPE = {
  flat: "tool.flat",
  ball: "tool.ball",
  v: "tool.v",
  turning: "tool.turning",
} as const satisfies Record<SceneTool["shape"], Key>;

function millimetres(value: number): string {
  return number(value, words.language, Math.abs(value - Math.round(value)) < 0.005 ? 0 : 1);
}

/** Return the picture of a piece in sentences, for those who do not see it. */
export function factsOf(scene: Scene): string[] {
  const { low, high } = scene.block;
  const size = [0, 1, 2].map((k) => millimetres((high[k] as number) - (low[k] as number))).join(" × ");
  const used = new Set(scene.tool);
  const tools = scene.tools.filter((_, index) => used.has(index)).map((tool) => t(SHAPE[tool.shape], { d: millimetres(tool.diameter) }));
  const facts = [t("viewer.fact.size", { size }), t("viewer.fact.length", { length: number(scene.cutMm / 1000, words.language, 1) })];
  if (tools.length > 0) facts.push(t("viewer.fact.tools", { tools: tools.join("; ") }));
  return facts;
}

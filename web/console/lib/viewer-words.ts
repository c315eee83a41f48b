// SPDX-License-Identifier: GPL-3.0-or-later
/** The viewer's words on the console, and a program's picture told in sentences. */
import { number } from "../../shared/format";
import type { Check } from "../../shared/types";
import type { Scene, SceneTool } from "../../shared/viewer/scene";
import type { ViewerWords } from "../../shared/viewer/words";
import type { Console } from "./state.svelte";
import type { Key } from "./words";

const SHAPE = {
  flat: "tool.flat",
  ball: "tool.ball",
  v: "tool.v",
  turning: "tool.turning",
} as const satisfies Record<SceneTool["shape"], Key>;

export function viewerWords(desk: Console): ViewerWords {
  const { t } = desk;
  return {
    colouring: t("viewer.colouring"),
    feed: t("viewer.feed"),
    time: t("viewer.time"),
    none: t("viewer.none"),
    drawing: t("viewer.drawing"),
    solid: t("viewer.solid"),
    flat: t("viewer.flat"),
    closer: t("viewer.closer"),
    further: t("viewer.further"),
    home: t("viewer.home"),
    play: t("viewer.play"),
    pause: t("viewer.pause"),
    moment: t("viewer.moment"),
    follow: t("viewer.follow"),
    missing: t("viewer.missing"),
    slow: t("viewer.slow"),
    lost: t("viewer.lost"),
    partial: t("viewer.partial"),
    clock: (seconds) => desk.clock(seconds),
    feeds: (feed) => `${desk.whole(Math.round(feed))} mm/min`,
  };
}

/** A length in mm as a person writes it: no more figures than it needs. */
export function millimetres(desk: Console, value: number): string {
  const digits = Math.abs(value - Math.round(value)) < 0.005 ? 0 : 1;
  return number(value, desk.words.language, digits);
}

/** Return a tool in words. */
export function toolWords(desk: Console, tool: SceneTool): string {
  const shape = desk.t(SHAPE[tool.shape], { d: millimetres(desk, tool.diameter) });
  return tool.number === 0 ? shape : `T${tool.number} · ${shape}`;
}

/** Return the size of the material in words. */
export function sizeWords(desk: Console, scene: Scene): string {
  const { low, high } = scene.block;
  return `${[0, 1, 2].map((k) => millimetres(desk, (high[k] as number) - (low[k] as number))).join(" × ")} mm`;
}

/** Return the tools that the path takes. */
export function toolsOf(scene: Scene): SceneTool[] {
  const used = new Set(scene.tool);
  return scene.tools.filter((_, index) => used.has(index));
}

/** Return the picture of a program in sentences, for those who do not see it. */
export function factsOf(desk: Console, scene: Scene, check: Check | null): string[] {
  const { t } = desk;
  const facts = [
    t("viewer.fact.size", { size: sizeWords(desk, scene) }),
    t("viewer.fact.time", { time: desk.clock(scene.totalSeconds), length: number(scene.cutMm / 1000, desk.words.language, 1) }),
    t("viewer.fact.tools", { tools: toolsOf(scene).map((tool) => toolWords(desk, tool)).join("; ") }),
  ];
  const depth = scene.bounds === null ? 0 : scene.block.high[2] - scene.bounds.z[0];
  if (depth > 0) facts.push(t("viewer.fact.depth", { depth: millimetres(desk, depth) }));
  if (check !== null) facts.push(t("viewer.fact.errors", { n: check.errors }), t("viewer.fact.warnings", { n: check.warnings }));
  return facts;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** The viewer's words on the console, and a program's picture told in sentences. */
import { number } from "../../shared/format";
import type { Check } from "../../shared/types";
import { factsOf as factsOfScene, millimetres, sizeOf, toolWords as told } from "../../shared/viewer/facts";
import type { Scene, SceneTool } from "../../shared/viewer/scene";
import type { Howto, ViewerWords } from "../../shared/viewer/words";
import type { Console } from "./state.svelte";

/** Longer ways are told in metres. */
const MOST_MM = 10_000;

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

/** How to move the picture, for those who hear it. */
export function howtoOf({ t }: Console): Howto {
  return { solid: t("viewer.howto"), flat: t("viewer.howto.flat") };
}

/** A way in mm, or in m where that takes fewer figures than it has room. */
export function wayWords(desk: Console, mm: number): string {
  return mm < MOST_MM ? `${desk.whole(Math.round(mm))}\u00a0mm` : `${number(mm / 1000, desk.words.language, 1)}\u00a0m`;
}

/** Return the size of the material in words. */
export function sizeWords(desk: Console, scene: Scene): string {
  return `${sizeOf(scene, desk.words.language)}\u00a0mm`;
}

/** Return a tool in words. */
export function toolWords(desk: Console, tool: SceneTool): string {
  return told({ t: desk.t, language: desk.words.language }, tool);
}

/** Return the picture of a program in sentences, for those who do not see it. */
export function factsOf(desk: Console, scene: Scene, check: Check | null): string[] {
  const { t } = desk;
  const { language } = desk.words;
  const facts = [
    ...factsOfScene({ t, language }, scene),
    t("viewer.fact.time", { time: desk.clock(scene.totalSeconds), length: number(scene.cutMm / 1000, language, 1) }),
  ];
  const depth = scene.bounds === null ? 0 : scene.block.high[2] - scene.bounds.z[0];
  if (depth > 0) facts.push(t("viewer.fact.depth", { depth: millimetres(depth, language) }));
  if (check !== null) facts.push(t("viewer.fact.errors", { n: check.errors }), t("viewer.fact.warnings", { n: check.warnings }));
  return facts;
}

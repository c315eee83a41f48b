// SPDX-License-Identifier: GPL-3.0-or-later
/** A piece's picture told in sentences: all but the time, which is to be guessed. */
import { number } from "../../shared/format";
import { factsOf } from "../../shared/viewer/facts";
import type { Scene } from "../../shared/viewer/scene";
import { t, words } from "./words";

/** Return the picture of a piece in sentences, for those who do not see it. */
export function factsOfPiece(scene: Scene): string[] {
  const length = t("viewer.fact.length", { length: number(scene.cutMm / 1000, words.language, 1) });
  return [...factsOf({ t, language: words.language }, scene), length];
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Sentences of the service about what has changed since a program was checked, as sentences.ts has those of the others. */
import type { Key } from "./words";

export const SAID_CHECK = {
  "What the program was checked for is not known any more: the controller service was started again since then.": "outdated.unknown",
  "The program is another one than was approved.": "outdated.program",
  "The zero of the work coordinates was not known at the check, and is now.": "outdated.zero.known",
  "The zero of the work coordinates is not known any more.": "outdated.zero.lost",
  "The zero of {axis} was {was} and is {now} mm.": "outdated.zero",
  "The travel of the machine was not known at the check, and is now.": "outdated.travel.known",
  "The travel of the machine is not known any more.": "outdated.travel.lost",
  "The travel of {axis} was {low} to {high} and is {from} to {until} mm.": "outdated.travel",
  "How the machine accelerates was not known at the check, and is now.": "outdated.motion.known",
  "How the machine accelerates is not known any more.": "outdated.motion.lost",
  "The highest feed was {was} and is {now} mm/min.": "outdated.feed",
  "The highest spindle speed was {was} and is {now} rev/min.": "outdated.spindle.most",
  "The lowest spindle speed was {was} and is {now} rev/min.": "outdated.spindle.least",
  "The fastest motion of {axis} was {was} and is {now} mm/min.": "outdated.rate",
  "The acceleration of {axis} was {was} and is {now} mm/s².": "outdated.acceleration",
  "The resolution of {axis} was {was} and is {now} steps/mm.": "outdated.steps",
  "The junction deviation was {was} and is {now} mm.": "outdated.junction",
  "The arc tolerance was {was} and is {now} mm.": "outdated.arc",
  "The wait after each stop was {was} and is {now} s.": "outdated.wait",
  "The controller was {was} and is {now}.": "outdated.controller",
  "Tool {number} was not in the table, and is now.": "outdated.tool.added",
  "Tool {number} was in the table, and is not any more.": "outdated.tool.removed",
  "Tool {number} has changed: {parts}.": "outdated.tool",
  "The block of material is another one than at the check.": "outdated.block",
  "Other words are allowed in the program than at the check.": "outdated.words",
} as const satisfies Record<string, Key>;

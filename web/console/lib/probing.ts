// SPDX-License-Identifier: GPL-3.0-or-later
/** The probing cycles: their words, what has to be clamped where, and which machine has what they need. */
import type { HandLimits, ProbeCycle } from "../../shared/types";
import type { Key } from "./words";

export const CYCLE = {
  plate: { word: "probe.plate", steps: ["probe.plate.1", "probe.plate.2", "probe.plate.3"] },
  corner: { word: "probe.corner", steps: ["probe.corner.1", "probe.corner.2", "probe.corner.3"] },
  bore: { word: "probe.bore", steps: ["probe.bore.1", "probe.bore.2", "probe.bore.3"] },
  tool: { word: "probe.tool", steps: ["probe.tool.1", "probe.tool.2", "probe.tool.3"] },
} as const satisfies Record<ProbeCycle, { word: Key; steps: readonly Key[] }>;

/** Usual diameters of tools, mm. */
export const DIAMETERS = [1, 2, 3, 3.175, 6] as const;

/** Return the cycles that a machine has the parts for. */
export function cyclesOf(hand: HandLimits | null): ProbeCycle[] {
  const has = { plate: hand?.plate, corner: hand?.corner, bore: true, tool: hand?.tool_setter };
  return (["plate", "corner", "bore", "tool"] as const).filter((cycle) => has[cycle]);
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Where a pledge's figures stand in its drawing: days along, people up. Everything between 0 and 1. */
import type { Pledge } from "../../shared/types";

const DAY_MS = 86_400_000;
/** Room above the highest figure, so that its mark is not cut. */
const HEADROOM = 1.08;

export interface Point {
  x: number;
  y: number;
}

export interface Drawn {
  /** What was counted, as steps: a figure stays until the next one. */
  steps: Point[];
  now: Point;
  target: number;
  due: number;
  milestones: { x: number; y: number; met: boolean | null; date: string; target: number; value: number | null }[];
  /** From today to the due day: low, mid, high; null without a forecast. */
  fan: { low: Point; mid: Point; high: Point } | null;
}

/** Return the drawing of a pledge that has a target and a due day, as it stands at `today` (ms). */
export function drawn(pledge: Pledge, today: number): Drawn {
  const target = pledge.target ?? 0;
  const due = Date.parse(pledge.due ?? "");
  const first = pledge.history[0]?.date ?? pledge.milestones[0]?.date;
  const from = Math.min(first === undefined ? today : Date.parse(first), today) - DAY_MS;
  const until = Math.max(due, today, ...pledge.milestones.map((one) => Date.parse(one.date))) + DAY_MS;
  const by = pledge.forecast?.by_due ?? null;
  const top = HEADROOM * Math.max(1, target, pledge.value, by === null ? 0 : Math.min(by.high, target * 1.3));
  const x = (at: number): number => (at - from) / (until - from);
  const y = (value: number): number => Math.min(1, value / top);
  const steps: Point[] = [{ x: x(from), y: y(pledge.history[0] === undefined ? pledge.value : 0) }];
  for (const { date, value } of pledge.history) {
    const at = x(Date.parse(date));
    const last = steps[steps.length - 1];
    if (last !== undefined) steps.push({ x: at, y: last.y });
    steps.push({ x: at, y: y(value) });
  }
  const now = { x: x(today), y: y(pledge.value) };
  steps.push({ x: now.x, y: steps[steps.length - 1]?.y ?? now.y }, now);
  const end = x(due);
  return {
    steps,
    now,
    target: y(target),
    due: end,
    milestones: pledge.milestones.map((one) => ({ ...one, x: x(Date.parse(one.date)), y: y(one.target) })),
    fan:
      by === null || due <= today
        ? null
        : { low: { x: end, y: y(by.low) }, mid: { x: end, y: y(by.mid) }, high: { x: end, y: y(by.high) } },
  };
}

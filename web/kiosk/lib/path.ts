// SPDX-License-Identifier: GPL-3.0-or-later
/** What can be read from a tool's path: its frame on the stock, its length, where the tool is when, and what it does. */

import type { Path, Position } from "../../shared/types";

/** A rectangle in mm, y upwards. */
export interface Frame {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type Doing = "start" | "rapid" | "down" | "up" | "cut" | "end";

const TOLERANCE_MM = 0.5;

/**
 * Return where the stock lies under the path.
 *
 * The program's zero is at the stock's lower left corner or in its middle; the path tells which. A path that fits neither
 * (its stock is larger than told) is framed by itself.
 */
export function stockFrame(path: Path): Frame {
  const [width, height] = path.stock;
  const xs = path.points.map((point) => point[0]);
  const ys = path.points.map((point) => point[1]);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const fits = (x: number, y: number): boolean =>
    left >= x - TOLERANCE_MM &&
    right <= x + width + TOLERANCE_MM &&
    low >= y - TOLERANCE_MM &&
    high <= y + height + TOLERANCE_MM;
  if (fits(0, 0)) return { x: 0, y: 0, width, height };
  if (fits(-width / 2, -height / 2)) return { x: -width / 2, y: -height / 2, width, height };
  return { x: left, y: low, width: right - left || 1, height: high - low || 1 };
}

/**
 * Return the path with a time of its own for each point.
 *
 * The server plans by lines of the program, and the points of one arc share their line's time; between two lines the time
 * is spread along the way. Points without any times keep none.
 */
export function spread(path: Path): Path {
  const seconds = [...path.seconds];
  let [first, before] = [0, 0];
  for (let at = 0; at < seconds.length; at += 1) {
    const time = path.seconds[at] as number;
    if (path.seconds[at + 1] === time) continue;
    const steps = Array.from({ length: at - first + 1 }, (_, step) => {
      const [a, b] = [path.points[first + step - 1], path.points[first + step] as Position];
      return a === undefined ? 0 : Math.hypot(b[0] - a[0], b[1] - a[1], b[2] - a[2]);
    });
    const whole = steps.reduce((sum, step) => sum + step, 0);
    let gone = 0;
    for (let step = 0; step < steps.length - 1; step += 1) {
      gone += steps[step] as number;
      seconds[first + step] = whole > 0 ? before + ((time - before) * gone) / whole : before;
    }
    [first, before] = [at + 1, time];
  }
  return { ...path, seconds };
}

/** Return the way of the tool's tip in mm, rapid moves included. */
export function lengthMm(path: Path): number {
  let sum = 0;
  for (let at = 1; at < path.points.length; at += 1) {
    const [a, b] = [path.points[at - 1] as Position, path.points[at] as Position];
    sum += Math.hypot(b[0] - a[0], b[1] - a[1], b[2] - a[2]);
  }
  return sum;
}

/** Return the planned machine time in seconds. */
export function totalSeconds(path: Path): number {
  return path.seconds.at(-1) ?? 0;
}

/** Return the index of the move under way at `seconds`: the tool is between points[index - 1] and points[index]. */
export function moveAt(path: Path, seconds: number): number {
  let [low, high] = [1, path.points.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((path.seconds[middle] as number) < seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return the tool's planned place at `seconds`. */
export function placeAt(path: Path, seconds: number): Position {
  const index = moveAt(path, seconds);
  const to = path.points[index] ?? ([0, 0, 0] as Position);
  const from = path.points[index - 1] ?? to;
  const [start, end] = [path.seconds[index - 1] ?? 0, path.seconds[index] ?? 0];
  const share = end > start ? Math.min(1, Math.max(0, (seconds - start) / (end - start))) : 1;
  return [0, 1, 2].map((axis) => {
    const [a, b] = [from[axis] as number, to[axis] as number];
    return a + (b - a) * share;
  }) as Position;
}

/** Return what the plan says that the tool does at `seconds`, and for a cut how deep, in mm. */
export function doingAt(path: Path, seconds: number): { doing: Doing; depth: number } {
  const total = totalSeconds(path);
  if (seconds <= 0 || path.points.length < 2) return { doing: "start", depth: 0 };
  if (seconds >= total - 1) return { doing: "end", depth: 0 };
  const index = moveAt(path, seconds);
  const [from, to] = [path.points[index - 1] as Position, path.points[index] as Position];
  const across = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const down = from[2] - to[2];
  if (across < 0.01 && down > 0 && to[2] <= 0) return { doing: "down", depth: 0 };
  if (across < 0.01 && down < 0) return { doing: "up", depth: 0 };
  if (path.rapid[index] === true || to[2] >= 0) return { doing: "rapid", depth: 0 };
  return { doing: "cut", depth: -Math.min(from[2], to[2]) };
}

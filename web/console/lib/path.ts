// SPDX-License-Identifier: GPL-3.0-or-later
/** Geometry of a tool path on a canvas: where the tool is along it, and how millimetres become pixels. */

import type { Position } from "../../shared/types";
import { nearestOn } from "../../shared/viewer/nearest";

export interface PathPicture {
  points: Position[];
  rapid: boolean[];
  stock: Position;
  lines: number[];
}

/** How many segments before the acknowledged line are searched: the controller holds at most its buffer of them. */
const LOOK_BACK = 48;

/** Return the last point that belongs to `line` or an earlier line of the program; -1 before the first one. */
export function lastPointOfLine(lines: number[], line: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lines[middle] ?? Infinity) <= line) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Return how far the tool has come, as a fractional index into the path's points.
 *
 * The acknowledged line runs ahead of the tool by the controller's buffer, so the segment nearest to the reported
 * work position is searched in the stretch before it. Without a position the acknowledged line is all there is.
 */
export function doneIndex(path: PathPicture, line: number | null, tool: Position | null): number {
  if (line === null) return 0;
  const last = lastPointOfLine(path.lines, line);
  if (last <= 0) return Math.max(last, 0);
  if (tool === null) return last;
  const { points } = path;
  const { segment, share } = nearestOn((index) => points[index] ?? tool, Math.max(0, last - 1 - LOOK_BACK), last - 1, tool);
  return segment + share;
}

export interface Frame {
  scale: number;
  left: number;
  bottom: number;
}

/** Return the scale (px per mm) and origin that fit the rectangle `low`..`high` (mm) into width x height px, Y upwards. */
export function fit(low: [number, number], high: [number, number], width: number, height: number, pad: number): Frame {
  const spanX = Math.max(high[0] - low[0], 1);
  const spanY = Math.max(high[1] - low[1], 1);
  const scale = Math.max(0.01, Math.min((width - 2 * pad) / spanX, (height - 2 * pad) / spanY));
  return {
    scale,
    left: (width - spanX * scale) / 2 - low[0] * scale,
    bottom: height - (height - spanY * scale) / 2 + low[1] * scale,
  };
}

/** Return the pixel of a place in mm. */
export function pixel(frame: Frame, x: number, y: number): [number, number] {
  return [frame.left + x * frame.scale, frame.bottom - y * frame.scale];
}

/** Return the rectangle that holds the stock and every point of the path, mm. */
export function bounds(path: PathPicture): { low: [number, number]; high: [number, number] } {
  const low: [number, number] = [0, 0];
  const high: [number, number] = [path.stock[0], path.stock[1]];
  for (const point of path.points) {
    low[0] = Math.min(low[0], point[0]);
    low[1] = Math.min(low[1], point[1]);
    high[0] = Math.max(high[0], point[0]);
    high[1] = Math.max(high[1], point[1]);
  }
  return { low, high };
}

/** Return the length in mm, out of 1, 2, 5 times a power of ten, that is drawn about `wanted` px long. */
export function niceLength(scale: number, wanted: number): number {
  const raw = wanted / scale;
  const power = 10 ** Math.floor(Math.log10(raw));
  const share = raw / power;
  return (share >= 5 ? 5 : share >= 2 ? 2 : 1) * power;
}

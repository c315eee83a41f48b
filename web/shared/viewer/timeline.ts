// SPDX-License-Identifier: GPL-3.0-or-later
/** Where on a path the tool is when, and when it is where. */
import type { Position } from "../types";
import type { Scene } from "./scene";

/** How many lines before the acknowledged one are searched: the controller holds at most its buffer of them. */
const LINES_BACK = 40;
const MOST_SEARCHED = 20_000;

/** Return the segment under way at `seconds`; the last one at the end, -1 for a path without segments. */
export function segmentAt(scene: Scene, seconds: number): number {
  let [low, high] = [0, scene.segments - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((scene.seconds[middle] as number) < seconds) low = middle + 1;
    else high = middle;
  }
  return scene.segments === 0 ? -1 : low;
}

/** Return when a segment begins. */
export function beginsAt(scene: Scene, segment: number): number {
  return segment <= 0 ? 0 : (scene.seconds[segment - 1] as number);
}

/** Return the place at share `t` of a segment. */
export function along(scene: Scene, segment: number, t: number): Position {
  const { points } = scene;
  const at = 3 * segment;
  const axis = (k: number): number => {
    const from = points[at + k] as number;
    return from + ((points[at + 3 + k] as number) - from) * t;
  };
  return [axis(0), axis(1), axis(2)];
}

/** Return the planned place of the tool's tip at `seconds`. */
export function placeAt(scene: Scene, seconds: number): Position {
  const segment = segmentAt(scene, seconds);
  if (segment < 0) return [scene.points[0] ?? 0, scene.points[1] ?? 0, scene.points[2] ?? 0];
  return along(scene, segment, shareAt(scene, segment, seconds));
}

/** Return how much of a segment is done at `seconds`, 0..1. */
export function shareAt(scene: Scene, segment: number, seconds: number): number {
  const begin = beginsAt(scene, segment);
  const end = scene.seconds[segment] as number;
  if (seconds <= begin) return 0;
  return end > begin ? Math.min(1, (seconds - begin) / (end - begin)) : 1;
}

/** Return the first segment whose line is above `line`. */
export function segmentAfterLine(scene: Scene, line: number): number {
  let [low, high] = [0, scene.segments];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((scene.line[middle] as number) <= line) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Return the planned time at which the tool is where it is reported.
 *
 * The acknowledged line runs ahead of the tool by the controller's buffer, so the stretch of path nearest to the reported
 * place is searched in the lines before it. Without a place the acknowledged line is all there is.
 */
export function secondsOf(scene: Scene, line: number, place: Position | null): number {
  const last = segmentAfterLine(scene, line) - 1;
  if (last < 0) return 0;
  if (place === null) return scene.seconds[last] as number;
  const first = Math.max(0, last - MOST_SEARCHED, segmentAfterLine(scene, line - LINES_BACK - 1));
  let [best, least] = [scene.seconds[last] as number, Infinity];
  for (let segment = first; segment <= last; segment += 1) {
    const t = nearest(scene, segment, place);
    const [x, y, z] = along(scene, segment, t);
    const off = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2;
    if (off > least) continue;
    least = off;
    const begin = beginsAt(scene, segment);
    best = begin + ((scene.seconds[segment] as number) - begin) * t;
  }
  return best;
}

function nearest(scene: Scene, segment: number, place: Position): number {
  const [ax, ay, az] = along(scene, segment, 0);
  const [bx, by, bz] = along(scene, segment, 1);
  const length = (bx - ax) ** 2 + (by - ay) ** 2 + (bz - az) ** 2;
  if (length === 0) return 1;
  const dot = (place[0] - ax) * (bx - ax) + (place[1] - ay) * (by - ay) + (place[2] - az) * (bz - az);
  return Math.min(1, Math.max(0, dot / length));
}

/** Return the least and the highest feed of the cuts, mm/min; null where nothing is cut. */
export function feedRange(scene: Scene): [number, number] | null {
  let [low, high] = [Infinity, -Infinity];
  for (let at = 0; at < scene.segments; at += 1) {
    const feed = scene.feed[at] as number;
    if (scene.kind[at] === 0 || feed <= 0) continue;
    if (feed < low) low = feed;
    if (feed > high) high = feed;
  }
  return high > 0 ? [low, high] : null;
}

/**
 * Return the points that stand for the path where it is seen from far: those that are `tolerance` mm or more from the
 * one kept before. The corners between rapids and cuts stay.
 */
export function thinned(scene: Scene, tolerance: number): Uint32Array {
  const { points, kind, segments } = scene;
  const kept = new Uint32Array(segments + 1);
  let count = 1;
  let from = 0;
  const square = tolerance * tolerance;
  for (let at = 1; at <= segments; at += 1) {
    const dx = (points[3 * at] as number) - (points[3 * from] as number);
    const dy = (points[3 * at + 1] as number) - (points[3 * from + 1] as number);
    const dz = (points[3 * at + 2] as number) - (points[3 * from + 2] as number);
    if (at < segments && kind[at] === kind[at - 1] && dx * dx + dy * dy + dz * dz < square) continue;
    kept[count] = at;
    count += 1;
    from = at;
  }
  return kept.slice(0, count);
}

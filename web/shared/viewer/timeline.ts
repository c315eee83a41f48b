// SPDX-License-Identifier: GPL-3.0-or-later
/** Where on a path the tool is when, and when it is where. */
import type { Position } from "../types";
import { between, nearestOn } from "./nearest";
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

function pointOf({ points }: Scene, index: number): Position {
  return [points[3 * index] ?? 0, points[3 * index + 1] ?? 0, points[3 * index + 2] ?? 0];
}

/** Return the place at share `t` of a segment. */
export function along(scene: Scene, segment: number, t: number): Position {
  return between(pointOf(scene, segment), pointOf(scene, segment + 1), t);
}

/** Return the planned place of the tool's tip at `seconds`. */
export function placeAt(scene: Scene, seconds: number): Position {
  const segment = segmentAt(scene, seconds);
  if (segment < 0) return pointOf(scene, 0);
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
  const { segment, share } = nearestOn((index) => pointOf(scene, index), first, last, place);
  const begin = beginsAt(scene, segment);
  return begin + ((scene.seconds[segment] as number) - begin) * share;
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

/** Points of a stretch that is kept or left out as a whole: a few layers of a pocket, a few lines of a surface. */
const STRETCH = 2048;

/** Some of the points that stand for a path, and the ranks among them at which the path goes on from elsewhere. */
export interface Sample {
  chosen: Uint32Array;
  breaks: readonly number[];
}

/** Return whole stretches of a thinned path, evenly over all of it, with about `most` points at the most. */
export function sampled(all: Uint32Array, most: number): Sample {
  if (all.length <= most) return { chosen: all, breaks: [] };
  const last = Math.ceil(all.length / STRETCH) - 1;
  const kept = Math.max(2, Math.floor(most / STRETCH));
  const chosen = new Uint32Array(kept * STRETCH);
  const breaks: number[] = [];
  let count = 0;
  for (let at = 0; at < kept; at += 1) {
    const first = Math.round((at * last) / (kept - 1)) * STRETCH;
    const stretch = all.subarray(first, first + STRETCH);
    if (at > 0) breaks.push(count);
    chosen.set(stretch, count);
    count += stretch.length;
  }
  return { chosen: chosen.slice(0, count), breaks };
}

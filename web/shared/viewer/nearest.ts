// SPDX-License-Identifier: GPL-3.0-or-later
/** The place of a path that is nearest to a reported one. */
import type { Position } from "../base-types";

/** Return the square of the distance of two places. */
function squared(a: Position, b: Position): number {
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
}

/** Return the place at share `t` of the way from `a` to `b`. */
export function between(a: Position, b: Position, t: number): Position {
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

/** Return the share, 0..1, of the way from `a` to `b` at which it is nearest to `place`; the end of a way of no length. */
function nearestShare(a: Position, b: Position, place: Position): number {
  const length = squared(a, b);
  if (length === 0) return 1;
  const dot = (place[0] - a[0]) * (b[0] - a[0]) + (place[1] - a[1]) * (b[1] - a[1]) + (place[2] - a[2]) * (b[2] - a[2]);
  return Math.min(1, Math.max(0, dot / length));
}

/**
 * Return where a path is nearest to `place`: the segment, from its point of that number to the next one, and the share of
 * it that is done. Segments `first` to `last` are searched, and of places equally near the latest counts.
 */
export function nearestOn(
  point: (index: number) => Position,
  first: number,
  last: number,
  place: Position,
): { segment: number; share: number } {
  let best = { segment: last, share: 1 };
  let least = Infinity;
  let from = point(first);
  for (let segment = first; segment <= last; segment += 1) {
    const to = point(segment + 1);
    const share = nearestShare(from, to, place);
    const off = squared(between(from, to, share), place);
    if (off <= least) {
      least = off;
      best = { segment, share };
    }
    from = to;
  }
  return best;
}

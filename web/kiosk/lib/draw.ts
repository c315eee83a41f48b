// SPDX-License-Identifier: GPL-3.0-or-later
/** Draws a tool's path on a canvas as seen from above, with the stock under it and a ruler in millimetres beside it. */

import type { Path, Position } from "../../shared/types";
import { type Frame, moveAt, placeAt, stockFrame } from "./path";

export interface Colours {
  stock: string;
  plan: string;
  ruler: string;
  cut: string;
  tool: string;
  font: string;
}

/** From millimetres to canvas pixels (CSS pixels; the context is scaled for the screen). */
export interface View {
  frame: Frame;
  scale: number;
  left: number;
  bottom: number;
  width: number;
  height: number;
}

const STEPS_MM = [1, 2, 5, 10, 20, 50, 100];
const LEAST_TICK_PX = 9;
const LEAST_LABEL_PX = 64;

/** Fit the stock into `width` x `height` with room for the rulers. */
export function viewOf(path: Path, width: number, height: number): View {
  const frame = stockFrame(path);
  const [side, top, foot] = width < 480 ? [36, 12, 34] : [64, 24, 64];
  const scale = Math.min((width - 2 * side) / frame.width, (height - top - foot) / frame.height);
  const left = (width - frame.width * scale) / 2;
  const bottom = top + (height - top - foot + frame.height * scale) / 2;
  return { frame, scale, left, bottom, width, height };
}

function px(view: View, point: Position): [number, number] {
  return [view.left + (point[0] - view.frame.x) * view.scale, view.bottom - (point[1] - view.frame.y) * view.scale];
}

function stepFor(scale: number, least: number): number {
  return STEPS_MM.find((step) => step * scale >= least) ?? 200;
}

function ruler(context: CanvasRenderingContext2D, view: View, colours: Colours): void {
  const { frame, scale, left, bottom } = view;
  const tick = stepFor(scale, LEAST_TICK_PX);
  const label = stepFor(scale, LEAST_LABEL_PX);
  const small = view.width < 480;
  context.strokeStyle = colours.plan;
  context.fillStyle = colours.ruler;
  context.lineWidth = 1;
  context.font = `500 ${small ? 12 : 19}px ${colours.font}`;
  context.textBaseline = "top";
  context.textAlign = "center";
  const long = small ? 8 : 14;
  context.beginPath();
  for (let mm = 0; mm <= frame.width + 0.01; mm += tick) {
    const x = Math.round(left + mm * scale) + 0.5;
    const major = mm % label === 0;
    context.moveTo(x, bottom + 8);
    context.lineTo(x, bottom + 8 + (major ? long : long / 2));
    if (major) context.fillText(String(mm), x, bottom + 12 + long);
  }
  for (let mm = 0; mm <= frame.height + 0.01; mm += tick) {
    const y = Math.round(bottom - mm * scale) + 0.5;
    const major = mm % label === 0;
    context.moveTo(left - 8, y);
    context.lineTo(left - 8 - (major ? long : long / 2), y);
  }
  context.stroke();
}

function trace(context: CanvasRenderingContext2D, view: View, path: Path, rapid: boolean): void {
  context.beginPath();
  let drawing = false;
  for (let at = 1; at < path.points.length; at += 1) {
    if ((path.rapid[at] === true) !== rapid) {
      drawing = false;
      continue;
    }
    if (!drawing) context.moveTo(...px(view, path.points[at - 1] as Position));
    context.lineTo(...px(view, path.points[at] as Position));
    drawing = true;
  }
  context.stroke();
}

/** Stock, ruler and the whole planned way: cuts as a line, moves through the air dotted. */
export function drawPlan(context: CanvasRenderingContext2D, view: View, path: Path, colours: Colours): void {
  const { frame, scale, left, bottom } = view;
  context.clearRect(0, 0, view.width, view.height);
  context.fillStyle = colours.stock;
  context.strokeStyle = colours.plan;
  context.lineWidth = 1.5;
  context.beginPath();
  context.roundRect(left, bottom - frame.height * scale, frame.width * scale, frame.height * scale, 6);
  context.fill();
  context.stroke();
  ruler(context, view, colours);
  context.lineJoin = "round";
  context.lineCap = "round";
  context.lineWidth = 1;
  context.globalAlpha = 0.6;
  context.setLineDash([1, 6]);
  trace(context, view, path, true);
  context.setLineDash([]);
  context.globalAlpha = 1;
  context.lineWidth = 2;
  trace(context, view, path, false);
}

/** Add the cuts between two planned times; with `from` 0 the canvas is cleared first. */
export function drawCut(
  context: CanvasRenderingContext2D,
  view: View,
  path: Path,
  colours: Colours,
  from: number,
  to: number,
): void {
  if (from <= 0) context.clearRect(0, 0, view.width, view.height);
  if (to <= 0) return;
  context.strokeStyle = colours.cut;
  context.lineWidth = Math.max(3, Math.min(7, view.scale * 0.8));
  context.lineJoin = "round";
  context.lineCap = "round";
  context.beginPath();
  const [first, last] = [moveAt(path, Math.max(from, 1e-6)), moveAt(path, to)];
  for (let at = first; at <= last; at += 1) {
    if (path.rapid[at] === true) continue;
    const begin = at === first ? placeAt(path, Math.max(from, 1e-6)) : (path.points[at - 1] as Position);
    const end = at === last ? placeAt(path, to) : (path.points[at] as Position);
    // Above the material nothing is cut, whatever the move is called.
    if (begin[2] >= 0 && end[2] >= 0) continue;
    context.moveTo(...px(view, begin));
    context.lineTo(...px(view, end));
  }
  context.stroke();
}

/** The tool's place: a ring with hairlines to the edges, as on a machine's graphic panel. */
export function drawTool(context: CanvasRenderingContext2D, view: View, path: Path, colours: Colours, at: number): void {
  context.clearRect(0, 0, view.width, view.height);
  const place = placeAt(path, at);
  const [x, y] = px(view, place);
  const radius = view.width < 480 ? 9 : 15;
  context.strokeStyle = colours.tool;
  context.lineWidth = 1;
  context.globalAlpha = 0.55;
  context.beginPath();
  context.moveTo(0, y);
  context.lineTo(x - radius, y);
  context.moveTo(x + radius, y);
  context.lineTo(view.width, y);
  context.moveTo(x, 0);
  context.lineTo(x, y - radius);
  context.moveTo(x, y + radius);
  context.lineTo(x, view.height);
  context.stroke();
  context.globalAlpha = 1;
  context.lineWidth = 4;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
  if (place[2] < 0) {
    context.fillStyle = colours.tool;
    context.beginPath();
    context.arc(x, y, radius / 2.6, 0, 2 * Math.PI);
    context.fill();
  }
}

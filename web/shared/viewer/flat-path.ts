// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The path in the picture from above, on canvases of its own: all of it faintly, and what is done in colour.
 *
 * A long path takes a processor a good part of a second, so it is stroked in slices of a few milliseconds. While somebody
 * moves the picture what has been stroked goes along, scaled and shifted; it is stroked anew when they have let go.
 */
import { css, ramp, type Palette } from "./colours";
import type { Colouring, Moment } from "./picture";
import type { Scene } from "./scene";
import { along, feedRange, segmentAt, shareAt } from "./timeline";

/** Pixels for one mm, and where the program's zero lies. */
export interface FlatView {
  scale: number;
  left: number;
  top: number;
}

/** Over this many segments only those are painted that are long enough to be seen. */
const LIGHT = 60_000;
const SHADES = 24;
const SLICE_MS = 8;
/** Segments between two looks at the clock. */
const STRIDE = 1000;
const AHEAD_ALPHA = 0.7;
const DONE_WIDTH = 2.4;

/** Drawn by the processor: a path of a hundred thousand strokes is no work for a graphics card, least of all a missing one. */
export function plain(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** The first `count` segments of a path, as they are seen in one view. */
interface Layer {
  canvas: HTMLCanvasElement;
  view: FlatView;
  look: string;
  count: number;
}

type Paint = (context: CanvasRenderingContext2D, view: FlatView, from: number, to: number) => void;

const same = (one: FlatView, other: FlatView): boolean => one.scale === other.scale && one.left === other.left && one.top === other.top;

/** What is seen, and what is being stroked to be seen next. */
class Layers {
  shown: Layer | null = null;
  #next: Layer | null = null;
  #spare: HTMLCanvasElement | null = null;
  #width = 1;
  #height = 1;
  #ratio = 1;

  constructor(private readonly paint: Paint) {}

  resize(width: number, height: number, ratio: number): void {
    this.dispose();
    [this.#width, this.#height, this.#ratio] = [width, height, ratio];
  }

  /** Let go of what was stroked: it shows something else. */
  dispose(): void {
    for (const canvas of [this.shown?.canvas, this.#next?.canvas, this.#spare]) if (canvas != null) canvas.width = 0;
    [this.shown, this.#next, this.#spare] = [null, null, null];
  }

  /** Come nearer to the first `count` segments in this view and look, until `until`; return whether they are there. */
  bring(view: FlatView, look: string, count: number, moved: boolean, until: number): boolean {
    const { shown } = this;
    if (shown !== null && shown.look === look && shown.count <= count && (moved || same(shown.view, view))) return this.#extend(shown, count, until);
    if (shown !== null && shown.look === look && moved) return true;
    let next = this.#next;
    if (next === null || next.look !== look || next.count > count || !same(next.view, view)) next = this.#next = this.#begin(view, look);
    const whole = this.#extend(next, count, until);
    // What is shown stays until the new one is ready; where there is nothing, a part is better.
    if (!whole && shown !== null) return false;
    this.#spare = shown?.canvas ?? null;
    this.shown = next;
    this.#next = null;
    return whole;
  }

  /** Put what is shown into a picture that is seen by `view` now. */
  draw(context: CanvasRenderingContext2D, view: FlatView): void {
    if (this.shown === null) return;
    const { canvas, view: own } = this.shown;
    const by = view.scale / own.scale;
    context.drawImage(canvas, view.left - own.left * by, view.top - own.top * by, this.#width * by, this.#height * by);
  }

  #begin(view: FlatView, look: string): Layer {
    const canvas = this.#next?.canvas ?? this.#spare ?? document.createElement("canvas");
    this.#spare = null;
    // Setting its size empties a canvas.
    canvas.width = Math.round(this.#width * this.#ratio);
    canvas.height = Math.round(this.#height * this.#ratio);
    plain(canvas)?.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    return { canvas, view, look, count: 0 };
  }

  #extend(layer: Layer, count: number, until: number): boolean {
    const context = plain(layer.canvas);
    while (context !== null && layer.count < count) {
      if (performance.now() > until) return false;
      const to = Math.min(count, layer.count + STRIDE);
      this.paint(context, layer.view, layer.count, to);
      layer.count = to;
      // A browser strokes only when somebody looks: without this the clock would tell nothing.
      context.getImageData(0, 0, 1, 1);
    }
    return true;
  }
}

export class FlatPath {
  readonly #ahead = new Layers((context, view, from, to) => this.#plan(context, view, from, to));
  readonly #done = new Layers((context, view, from, to) => this.#cuts(context, view, from, to));
  #scene: Scene | null = null;
  #palette: Palette | null = null;
  #colouring: Colouring = "none";
  #feeds: [number, number] = [0, 1];

  setScene(scene: Scene): void {
    this.#scene = scene;
    this.#feeds = feedRange(scene) ?? [0, 1];
    this.dispose();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.dispose();
  }

  resize(width: number, height: number, ratio: number): void {
    this.#ahead.resize(width, height, ratio);
    this.#done.resize(width, height, ratio);
  }

  /** Draw the path as it is at a moment; return whether all of it is there. `moved`: somebody moves the picture now. */
  draw(context: CanvasRenderingContext2D, view: FlatView, moment: Moment, moved: boolean): boolean {
    const scene = this.#scene;
    if (scene === null || scene.segments === 0 || moment.colouring === "none") return true;
    this.#colouring = moment.colouring;
    const until = performance.now() + SLICE_MS;
    const under = segmentAt(scene, moment.seconds);
    const share = moment.seconds <= 0 ? 0 : shareAt(scene, under, moment.seconds);
    const count = share >= 1 ? under + 1 : under;
    // What is done is told first: it is what goes on.
    const done = this.#done.bring(view, moment.colouring, count, moved, until);
    const ahead = this.#ahead.bring(view, "", scene.segments, moved, until);
    context.globalAlpha = AHEAD_ALPHA;
    this.#ahead.draw(context, view);
    context.globalAlpha = 1;
    this.#done.draw(context, view);
    if (done && share > 0 && share < 1 && scene.kind[under] === 1) this.#part(context, view, scene, under, share);
    return done && ahead;
  }

  dispose(): void {
    this.#ahead.dispose();
    this.#done.dispose();
  }

  /** Stroke what is to come: rapids thin, cuts as lines. */
  #plan(context: CanvasRenderingContext2D, view: FlatView, from: number, to: number): void {
    const [scene, palette] = [this.#scene, this.#palette];
    if (scene === null || palette === null) return;
    for (const kind of [0, 1]) {
      context.strokeStyle = css(kind === 0 ? palette.ink : palette.ahead);
      context.lineWidth = kind === 0 ? 0.7 : 1.4;
      stroke(context, scene, view, from, to, kind);
    }
  }

  /** Stroke what is done: a line for each run of cuts of one shade. */
  #cuts(context: CanvasRenderingContext2D, view: FlatView, from: number, to: number): void {
    const scene = this.#scene;
    if (scene === null) return;
    this.#pen(context, scene);
    for (let begin = from; begin < to; ) {
      const wanted = this.#shade(scene, begin);
      let end = begin + 1;
      while (end < to && this.#shade(scene, end) === wanted) end += 1;
      context.strokeStyle = this.#ink(wanted);
      stroke(context, scene, view, begin, end, 1);
      begin = end;
    }
  }

  /** Stroke what is done of the segment under way. */
  #part(context: CanvasRenderingContext2D, view: FlatView, scene: Scene, segment: number, share: number): void {
    const [ax, ay] = along(scene, segment, 0);
    const [bx, by] = along(scene, segment, share);
    this.#pen(context, scene);
    context.strokeStyle = this.#ink(this.#shade(scene, segment));
    context.beginPath();
    context.moveTo(view.left + ax * view.scale, view.top - ay * view.scale);
    context.lineTo(view.left + bx * view.scale, view.top - by * view.scale);
    context.stroke();
  }

  #pen(context: CanvasRenderingContext2D, scene: Scene): void {
    context.lineJoin = scene.segments > LIGHT ? "bevel" : "round";
    context.lineCap = scene.segments > LIGHT ? "butt" : "round";
    context.lineWidth = DONE_WIDTH;
  }

  #ink(shade: number): string {
    return this.#colouring === "plain" && this.#palette !== null ? css(this.#palette.path) : css(ramp(shade / (SHADES - 1)));
  }

  #shade(scene: Scene, segment: number): number {
    if (this.#colouring === "plain") return 0;
    const [low, high] = this.#feeds;
    let share = 0.75;
    if (this.#colouring === "time") share = (scene.seconds[segment] as number) / Math.max(scene.totalSeconds, 1e-3);
    else if (high > low) share = ((scene.feed[segment] as number) - low) / (high - low);
    return Math.round(share * (SHADES - 1));
  }
}

/** Stroke the segments of a kind from `first` up to `end` (without it) as one path. */
function stroke(context: CanvasRenderingContext2D, scene: Scene, view: FlatView, first: number, end: number, kind: number): void {
  const { points } = scene;
  const { scale, left, top } = view;
  const least = scene.segments > LIGHT ? 1 : 0.2;
  context.beginPath();
  let drawing = false;
  let [px, py] = [0, 0];
  for (let segment = first; segment < end; segment += 1) {
    if (scene.kind[segment] !== kind) {
      drawing = false;
      continue;
    }
    const at = 3 * segment;
    if (!drawing) {
      px = left + (points[at] as number) * scale;
      py = top - (points[at + 1] as number) * scale;
      context.moveTo(px, py);
      drawing = true;
    }
    const [x, y] = [left + (points[at + 3] as number) * scale, top - (points[at + 4] as number) * scale];
    if (segment < end - 1 && Math.abs(x - px) < least && Math.abs(y - py) < least) continue;
    context.lineTo(x, y);
    [px, py] = [x, y];
  }
  context.stroke();
}

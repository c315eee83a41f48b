// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The picture from above on a plain canvas: the stock as a map shaded like hills, the path on it. It needs no graphics
 * card. What stands still (stock, what is to come) is painted once and kept; a moment adds only its own stretch.
 */
import type { Position } from "../types";
import type { Camera } from "./camera";
import { css, ramp, type Palette, type Rgb } from "./colours";
import type { Colouring, Moment, Picture } from "./picture";
import type { Relief, Scene } from "./scene";
import { beginsAt, feedRange, placeAt, segmentAt } from "./timeline";

/** Over this many segments only those are painted that are long enough to be seen. */
const LIGHT = 60_000;
const SHADES = 24;
const MARGIN = 1.16;

interface View {
  scale: number;
  left: number;
  top: number;
}

/** Drawn by the processor: a path of a hundred thousand strokes is no work for a graphics card, least of all a missing one. */
function plain(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  return canvas.getContext("2d", { willReadFrequently: true });
}

export class Flat implements Picture {
  readonly kind = "flat";
  readonly canvas = document.createElement("canvas");

  readonly #hills = document.createElement("canvas");
  readonly #ahead = document.createElement("canvas");
  readonly #done = document.createElement("canvas");
  #palette: Palette | null = null;
  #scene: Scene | null = null;
  #relief: Relief | null = null;
  #feeds: [number, number] = [0, 1];
  #width = 1;
  #height = 1;
  #view: View = { scale: 1, left: 0, top: 0 };
  #painted: { key: string; seconds: number } = { key: "", seconds: 0 };
  #aheadKey = "";
  #pixels: ImageData | null = null;

  setScene(scene: Scene): void {
    this.#scene = scene;
    this.#feeds = feedRange(scene) ?? [0, 1];
    this.#forget();
  }

  setRelief(relief: Relief): void {
    this.#relief = relief;
    this.#shade();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#shade();
    this.#forget();
  }

  resize(width: number, height: number): void {
    [this.#width, this.#height] = [Math.max(1, width), Math.max(1, height)];
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.#ahead, this.#done]) {
      canvas.width = Math.round(this.#width * ratio);
      canvas.height = Math.round(this.#height * ratio);
      plain(canvas)?.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.#forget();
  }

  setLevel(): boolean {
    return false;
  }

  draw(moment: Moment, camera: Camera): void {
    const context = plain(this.canvas);
    const [scene, palette] = [this.#scene, this.#palette];
    if (context === null || palette === null) return;
    context.clearRect(0, 0, this.#width, this.#height);
    if (scene === null) return;
    this.#view = this.#viewOf(scene, camera);
    this.#stock(context, scene);
    if (moment.colouring !== "none") {
      this.#plan(scene, palette);
      this.#cuts(scene, moment);
      context.drawImage(this.#ahead, 0, 0, this.#width, this.#height);
      context.drawImage(this.#done, 0, 0, this.#width, this.#height);
    }
    if (moment.tool !== null) this.#tool(context, scene, palette, moment);
  }

  pixel(place: Position): [number, number] {
    return [this.#view.left + place[0] * this.#view.scale, this.#view.top - place[1] * this.#view.scale];
  }

  dispose(): void {
    for (const canvas of [this.#hills, this.#ahead, this.#done]) canvas.width = 0;
  }

  #forget(): void {
    this.#aheadKey = "";
    this.#painted = { key: "", seconds: 0 };
  }

  #viewOf(scene: Scene, camera: Camera): View {
    const { low, high } = scene.block;
    const [wide, deep] = [high[0] - low[0], high[1] - low[1]];
    const free = camera.free(this.#width, this.#height);
    const fitted = Math.min(free.wide / (wide * MARGIN), free.high / (deep * MARGIN));
    const scale = fitted * camera.zoom;
    const across = this.#height * camera.zoom;
    const [x, y] = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
    return {
      scale,
      left: free.x - x * scale - camera.panX * across,
      top: free.y + y * scale + camera.panY * across,
    };
  }

  /** Paint the relief cell by cell, lit from the upper left. */
  #shade(): void {
    const [relief, palette] = [this.#relief, this.#palette];
    if (relief === null || palette === null) return;
    const { nx, ny, heights, bottom, top, cellMm } = relief;
    if (this.#hills.width !== nx || this.#hills.height !== ny || this.#pixels === null) {
      [this.#hills.width, this.#hills.height] = [nx, ny];
      this.#pixels = new ImageData(nx, ny);
    }
    const { data } = this.#pixels;
    const through = bottom + (top - bottom) * 0.003;
    const fresh = top - (top - bottom) * 0.006;
    for (let row = 0; row < ny; row += 1) {
      const [below, above] = [Math.max(0, row - 1) * nx, Math.min(ny - 1, row + 1) * nx];
      for (let column = 0; column < nx; column += 1) {
        const height = heights[row * nx + column] as number;
        const pixel = 4 * ((ny - 1 - row) * nx + column);
        if (height < through) {
          data[pixel + 3] = 0;
          continue;
        }
        const dx = ((heights[row * nx + Math.min(nx - 1, column + 1)] as number) - (heights[row * nx + Math.max(0, column - 1)] as number)) / (2 * cellMm);
        const dy = ((heights[above + column] as number) - (heights[below + column] as number)) / (2 * cellMm);
        const light = Math.max(0, (0.5 * dx - 0.5 * dy + 0.71) / Math.sqrt(dx * dx + dy * dy + 1));
        const base: Rgb = height < fresh ? palette.cut : palette.stock;
        const shade = 255 * (0.4 + 0.72 * light);
        data[pixel] = base[0] * shade;
        data[pixel + 1] = base[1] * shade;
        data[pixel + 2] = base[2] * shade;
        data[pixel + 3] = 255;
      }
    }
    plain(this.#hills)?.putImageData(this.#pixels, 0, 0);
  }

  #stock(context: CanvasRenderingContext2D, scene: Scene): void {
    const relief = this.#relief;
    const { low, high } = scene.block;
    if (relief === null) {
      const [left, top] = this.pixel([low[0], high[1], 0]);
      const [right, bottom] = this.pixel([high[0], low[1], 0]);
      context.fillStyle = css(this.#palette?.stock ?? [0.5, 0.5, 0.5]);
      context.fillRect(left, top, right - left, bottom - top);
      return;
    }
    const [left, top] = this.pixel([relief.x0, relief.y0 + relief.ny * relief.cellMm, 0]);
    const scale = relief.cellMm * this.#view.scale;
    context.imageSmoothingEnabled = scale < 6;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#hills, left, top, relief.nx * scale, relief.ny * scale);
  }

  #key(): string {
    const { scale, left, top } = this.#view;
    return `${scale} ${left} ${top}`;
  }

  /** The whole path, faintly: rapids thin, cuts as lines. */
  #plan(scene: Scene, palette: Palette): void {
    const key = this.#key();
    if (this.#aheadKey === key) return;
    this.#aheadKey = key;
    const context = plain(this.#ahead);
    if (context === null) return;
    context.clearRect(0, 0, this.#width, this.#height);
    for (const kind of [0, 1]) {
      context.strokeStyle = css(kind === 0 ? palette.ink : palette.plate, kind === 0 ? 0.35 : 0.5);
      context.lineWidth = kind === 0 ? 1 : 1.4;
      this.#stroke(context, scene, 0, scene.segments - 1, (segment) => scene.kind[segment] === kind);
    }
  }

  /** Add what was cut between the moment painted last and this one. */
  #cuts(scene: Scene, moment: Moment): void {
    const context = plain(this.#done);
    if (context === null || scene.segments === 0) return;
    const key = `${this.#key()} ${moment.colouring}`;
    const anew = key !== this.#painted.key || moment.seconds < this.#painted.seconds;
    const from = anew ? 0 : this.#painted.seconds;
    if (anew) context.clearRect(0, 0, this.#width, this.#height);
    this.#painted = { key, seconds: moment.seconds };
    if (moment.seconds <= from && !anew) return;
    if (moment.seconds <= 0) return;
    context.lineJoin = scene.segments > LIGHT ? "bevel" : "round";
    context.lineCap = scene.segments > LIGHT ? "butt" : "round";
    context.lineWidth = 2.4;
    const [first, last] = [Math.max(0, segmentAt(scene, from)), segmentAt(scene, moment.seconds)];
    const shade = (segment: number): number => Math.round(this.#share(scene, segment, moment.colouring) * (SHADES - 1));
    let begin = first;
    while (begin <= last) {
      const wanted = shade(begin);
      let end = begin;
      while (end < last && shade(end + 1) === wanted) end += 1;
      context.strokeStyle = moment.colouring === "plain" ? css(this.#palette?.path ?? ramp(0)) : css(ramp(wanted / (SHADES - 1)));
      const whole = end < last || moment.seconds >= (scene.seconds[last] as number);
      this.#stroke(context, scene, begin, whole ? end : end - 1, (segment) => scene.kind[segment] === 1);
      begin = end + 1;
    }
    if (scene.kind[last] !== 1 || moment.seconds >= (scene.seconds[last] as number)) return;
    const at = 3 * last;
    context.beginPath();
    context.moveTo(...this.pixel([scene.points[at] as number, scene.points[at + 1] as number, 0]));
    context.lineTo(...this.pixel(placeAt(scene, moment.seconds)));
    context.stroke();
    // The part of a segment that is under way is painted again with the rest of it.
    this.#painted.seconds = beginsAt(scene, last);
  }

  #share(scene: Scene, segment: number, colouring: Colouring): number {
    if (colouring === "time") return (scene.seconds[segment] as number) / Math.max(scene.totalSeconds, 1e-3);
    const [low, high] = this.#feeds;
    return high > low ? ((scene.feed[segment] as number) - low) / (high - low) : 0.75;
  }

  #stroke(
    context: CanvasRenderingContext2D,
    scene: Scene,
    first: number,
    last: number,
    wanted: (segment: number) => boolean,
  ): void {
    const { points } = scene;
    const { scale, left, top } = this.#view;
    const least = scene.segments > LIGHT ? 1 : 0.2;
    context.beginPath();
    let drawing = false;
    let [px, py] = [0, 0];
    for (let segment = first; segment <= last; segment += 1) {
      if (!wanted(segment)) {
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
      if (segment < last && Math.abs(x - px) < least && Math.abs(y - py) < least) continue;
      context.lineTo(x, y);
      [px, py] = [x, y];
    }
    context.stroke();
  }

  #tool(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, moment: Moment): void {
    if (moment.tool === null) return;
    const [x, y] = this.pixel(moment.tool);
    const radius = Math.max(7, ((scene.tools[moment.toolIndex]?.diameter ?? 0) / 2) * this.#view.scale);
    context.strokeStyle = css(palette.tool, 0.5);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(this.#width, y);
    context.moveTo(x, 0);
    context.lineTo(x, this.#height);
    context.stroke();
    context.fillStyle = css(palette.tool, 0.3);
    context.strokeStyle = css(palette.tool);
    context.lineWidth = 3;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

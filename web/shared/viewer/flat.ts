// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The picture from above on a plain canvas: the stock as a map shaded like hills, the path on it. It needs no graphics
 * card.
 */
import type { Position } from "../types";
import type { Camera } from "./camera";
import { css, type Palette, type Rgb } from "./colours";
import { FlatPath, plain, type FlatView } from "./flat-path";
import type { Moment, Picture } from "./picture";
import type { Relief, Scene } from "./scene";

const MARGIN = 1.16;

export class Flat implements Picture {
  readonly kind = "flat";
  readonly canvas = document.createElement("canvas");

  readonly #hills = document.createElement("canvas");
  readonly #path = new FlatPath();
  #palette: Palette | null = null;
  #scene: Scene | null = null;
  #relief: Relief | null = null;
  #width = 1;
  #height = 1;
  #view: FlatView = { scale: 1, left: 0, top: 0 };
  #pixels: ImageData | null = null;

  setScene(scene: Scene): void {
    if (this.#scene === scene) return;
    this.#scene = scene;
    this.#path.setScene(scene);
  }

  setRelief(relief: Relief): void {
    this.#relief = relief;
    this.#shade();
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#path.setPalette(palette);
    this.#shade();
  }

  resize(width: number, height: number): void {
    [this.#width, this.#height] = [Math.max(1, width), Math.max(1, height)];
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.#width * ratio);
    this.canvas.height = Math.round(this.#height * ratio);
    plain(this.canvas)?.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#path.resize(this.#width, this.#height, ratio);
  }

  setLevel(): boolean {
    return false;
  }

  draw(moment: Moment, camera: Camera, moved: boolean): boolean {
    const context = plain(this.canvas);
    const [scene, palette] = [this.#scene, this.#palette];
    if (context === null || palette === null) return true;
    context.clearRect(0, 0, this.#width, this.#height);
    if (scene === null) return true;
    this.#view = this.#viewOf(scene, camera);
    this.#stock(context, scene);
    const whole = this.#path.draw(context, this.#view, moment, moved);
    if (moment.tool !== null) this.#tool(context, scene, palette, moment);
    return whole;
  }

  pixel(place: Position): [number, number] {
    return [this.#view.left + place[0] * this.#view.scale, this.#view.top - place[1] * this.#view.scale];
  }

  dispose(): void {
    this.#path.dispose();
    this.#hills.width = 0;
  }

  #viewOf(scene: Scene, camera: Camera): FlatView {
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

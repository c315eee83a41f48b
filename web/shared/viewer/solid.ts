// SPDX-License-Identifier: GPL-3.0-or-later
/** The picture in space, drawn by WebGL 2. Only this file and its parts bring three.js: they are fetched when needed. */
import { Color, type Material, PerspectiveCamera, Scene as Space, SRGBColorSpace, Vector3, WebGLRenderer } from "three";
import type { Position } from "../types";
import { FIELD_OF_VIEW, type Box, type Camera } from "./camera";
import type { Palette } from "./colours";
import type { Moment, Picture } from "./picture";
import type { Relief, Scene } from "./scene";
import { PathLines, type PathLook } from "./solid-path";
import { Stock } from "./solid-stock";
import { Table, ToolShape } from "./solid-tool";

interface Level {
  /** Most pixels of the picture for one of the page's, along a side. */
  ratio: number;
  /** Cells of the sheet along the longer side, in motion and at rest. */
  cells: number;
  still: number;
  /** Up to so many segments are drawn as broad strokes, and up to so many in full. */
  broad: number;
  thin: number;
}

const POLL_MS = 3;

/** From the finest to the coarsest. */
const LEVELS: readonly Level[] = [
  { ratio: 2, cells: 384, still: 384, broad: 80_000, thin: Infinity },
  { ratio: 1.25, cells: 224, still: 256, broad: 24_000, thin: 400_000 },
  { ratio: 1, cells: 128, still: 256, broad: 4_000, thin: 80_000 },
  { ratio: 0.66, cells: 72, still: 128, broad: 0, thin: 12_000 },
];

export class Solid implements Picture {
  readonly kind = "solid";

  readonly #renderer: WebGLRenderer;
  readonly #space = new Space();
  readonly #eye = new PerspectiveCamera((FIELD_OF_VIEW * 180) / Math.PI, 1, 0.1, 10_000);
  readonly #stock: Stock;
  readonly #path = new PathLines();
  readonly #tool = new ToolShape();
  readonly #table = new Table();
  disposed = false;
  #scene: Scene | null = null;
  #box: Box = { low: [0, 0, 0], high: [1, 1, 1] };
  #level = 0;
  #ratio = 0;
  readonly #built = new Set<Material>();
  #width = 1;
  #height = 1;

  constructor(
    readonly canvas: HTMLCanvasElement,
    context: WebGL2RenderingContext,
  ) {
    this.#renderer = new WebGLRenderer({ canvas, context, antialias: true });
    this.#stock = new Stock(context.getExtension("OES_texture_float_linear") !== null);
    this.#eye.up.set(0, 0, 1);
    this.#space.add(this.#table.lines, this.#stock.mesh, this.#path.group, this.#tool.mesh);
  }

  setScene(scene: Scene): void {
    if (this.#scene === scene) return;
    this.#scene = scene;
    this.#box = scene.block;
    this.#table.setBox(this.#box);
    this.#path.setLook(this.#look(false));
    this.#path.setScene(scene);
  }

  setRelief(relief: Relief): void {
    this.#stock.setRelief(relief);
  }

  setPalette(palette: Palette): void {
    this.#renderer.setClearColor(new Color().setRGB(...palette.plate, SRGBColorSpace), 1);
    for (const part of [this.#stock, this.#path, this.#tool, this.#table]) part.setPalette(palette);
  }

  resize(width: number, height: number): void {
    [this.#width, this.#height] = [Math.max(1, width), Math.max(1, height)];
    const ratio = (this.#ratio = this.#ratioOf());
    this.#renderer.setPixelRatio(ratio);
    this.#renderer.setSize(this.#width, this.#height, false);
    this.#path.setScreen(this.#width * ratio, this.#height * ratio, ratio);
  }

  setLevel(level: number, rest: boolean): boolean {
    this.#level = Math.min(LEVELS.length - 1, level);
    const { cells, still } = LEVELS[this.#level] as Level;
    this.#stock.setCells(rest ? still : cells);
    this.#path.setLook(this.#look(false));
    if (this.#ratio !== this.#ratioOf()) this.resize(this.#width, this.#height);
    return this.#level < LEVELS.length - 1;
  }

  draw(moment: Moment, camera: Camera, moved: boolean): boolean {
    this.#path.setLook(this.#look(moved));
    const { from, at, distance, size } = camera.eye(this.#box, this.#width, this.#height);
    const free = camera.free(this.#width, this.#height);
    this.#eye.aspect = this.#width / this.#height;
    // What is looked at lies in the middle of what the page has left free.
    this.#eye.setViewOffset(this.#width, this.#height, this.#width / 2 - free.x, this.#height / 2 - free.y, this.#width, this.#height);
    this.#eye.near = Math.max(distance - 4 * size, distance / 200);
    this.#eye.far = distance + 6 * size;
    this.#eye.position.set(...from);
    this.#eye.lookAt(...at);
    this.#eye.updateProjectionMatrix();
    this.#stock.setLight(camera.azimuth);
    this.#path.set(moment);
    this.#tool.show(this.#scene?.tools[moment.toolIndex], moment.tool);
    this.#renderer.render(this.#space, this.#eye);
    return true;
  }

  pixel(place: Position): [number, number] {
    const seen = new Vector3(...place).project(this.#eye);
    return [((seen.x + 1) / 2) * this.#width, ((1 - seen.y) / 2) * this.#height];
  }

  /** Draw what has never been drawn, part by part, and let the page go on between: a shader is built where it is first used. */
  async prepare(): Promise<void> {
    const parts = this.#space.children.map((part) => ({ part, visible: part.visible }));
    for (const { part: drawn } of parts) {
      const fresh = [...this.#renderer.compile(drawn, this.#eye, this.#space)].filter((material) => !this.#built.has(material));
      if (fresh.length === 0) continue;
      while (!this.disposed && !fresh.every((material) => this.#ready(material))) await pause();
      await this.finish();
      if (this.disposed) return;
      for (const material of fresh) this.#built.add(material);
      for (const { part, visible } of parts) part.visible = visible && part === drawn;
      this.#renderer.render(this.#space, this.#eye);
      for (const { part, visible } of parts) part.visible = visible;
      await this.finish();
    }
  }

  async finish(): Promise<void> {
    const gl = this.#renderer.getContext() as WebGL2RenderingContext;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (fence !== null && !gl.isContextLost()) {
      const state = gl.clientWaitSync(fence, 0, 0);
      if (state !== gl.TIMEOUT_EXPIRED) break;
      await pause();
    }
    gl.deleteSync(fence);
  }

  dispose(): void {
    this.disposed = true;
    for (const part of [this.#stock, this.#path, this.#tool, this.#table]) part.dispose();
    this.#renderer.dispose();
    this.#renderer.forceContextLoss();
  }

  #ready(material: Material): boolean {
    const { currentProgram } = this.#renderer.properties.get(material) as { currentProgram?: { isReady(): boolean } };
    return currentProgram?.isReady() ?? true;
  }

  #ratioOf(): number {
    return Math.min(window.devicePixelRatio || 1, (LEVELS[this.#level] as Level).ratio);
  }

  /** Return how the path is drawn; only somebody who moves the picture by hand is shown less than all of it. */
  #look(moved: boolean): PathLook {
    const { broad, thin } = LEVELS[this.#level] as Level;
    const count = this.#scene?.segments ?? 0;
    return count <= broad ? "broad" : count <= thin ? "thin" : moved ? "stretches" : "thinned";
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Return a picture in space, or null where the browser has no WebGL 2. `onlost` is called if the graphics card gives up. */
export function openSolid(onlost: () => void): Solid | null {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2", { antialias: true, alpha: false, powerPreference: "low-power" });
  if (context === null) return null;
  const solid = new Solid(canvas, context);
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault();
    if (!solid.disposed) onlost();
  });
  return solid;
}

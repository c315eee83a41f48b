// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The stock at any moment of the program, for the picture only: each cell keeps the lowest place that the tool's end has
 * had over it. The exact one, with volumes, is the service's.
 *
 * The work is done in slices of a few milliseconds, so that the page answers the finger meanwhile; heights kept now and
 * then on the way make the way back short.
 */
import type { Relief, Scene, SceneTool } from "./scene";
import { beginsAt, segmentAt, shareAt } from "./timeline";

/** Where the cells lie; heights come from the work. */
export type Grid = Pick<Relief, "nx" | "ny" | "cellMm" | "x0" | "y0" | "bottom" | "top">;

const KEPT = 16;
/** Segments between two looks at the clock. */
const STRIDE = 64;

/** Return a grid of about `cells` cells along the longer side of a scene's block. */
export function gridOf(scene: Scene, cells: number): Grid {
  const { low, high } = scene.block;
  const [wide, deep] = [Math.max(high[0] - low[0], 0.1), Math.max(high[1] - low[1], 0.1)];
  const cellMm = Math.max(wide, deep) / cells;
  const count = (length: number): number => Math.max(2, Math.round(length / cellMm));
  return { nx: count(wide), ny: count(deep), cellMm, x0: low[0], y0: low[1], bottom: low[2], top: high[2] };
}

/** The lower end of a tool: how high its surface is over the tip at a distance from its axis. */
interface End {
  radius: number;
  /** 0 flat, 1 ball, 2 V. */
  shape: 0 | 1 | 2;
  /** mm of height per mm of radius of a V, and the radius of its flat point. */
  slope: number;
  point: number;
}

function endOf(tool: SceneTool): End {
  const radius = tool.diameter / 2;
  if (tool.shape === "ball") return { radius, shape: 1, slope: 0, point: 0 };
  if (tool.shape === "v") {
    const half = (Math.min(Math.max(tool.tip_angle, 1), 179) * Math.PI) / 360;
    return { radius, shape: 2, slope: 1 / Math.tan(half), point: tool.tip_diameter / 2 };
  }
  // A turning tool leaves no relief over X and Y.
  return { radius: tool.shape === "turning" ? 0 : radius, shape: 0, slope: 0, point: 0 };
}

export class Erosion {
  readonly relief: Relief;
  /** Whether the last call did all that was asked. */
  complete = true;

  readonly #ends: End[];
  #done = 0;
  /** How much of the segment behind those is cut. */
  #share = 0;
  readonly #every: number;
  readonly #kept: (Float32Array | undefined)[] = [];

  constructor(
    readonly scene: Scene,
    grid: Grid,
  ) {
    const heights = new Float32Array(grid.nx * grid.ny).fill(grid.top);
    this.relief = { ...grid, heights, removedMm3: 0, plannedMm3: null, seconds: null, job: null };
    this.#ends = scene.tools.map(endOf);
    this.#every = Math.max(STRIDE, Math.ceil(scene.segments / KEPT));
  }

  /**
   * Come nearer to the stock as it is at `seconds`, for at most `budgetMs`; return whether a height has changed.
   *
   * `complete` tells afterwards whether it is there.
   */
  cutTo(seconds: number, budgetMs: number): boolean {
    const target = seconds <= 0 ? 0 : Math.max(0, segmentAt(this.scene, seconds));
    const share = seconds <= 0 || this.scene.segments === 0 ? 0 : shareAt(this.scene, target, seconds);
    let changed = false;
    if (target < this.#done || (target === this.#done && share < this.#share)) changed = this.#back(target);
    const until = performance.now() + budgetMs;
    while (this.#done < target) {
      if (this.#done % STRIDE === 0 && performance.now() > until) {
        this.complete = false;
        return true;
      }
      this.#keep();
      this.#cut(this.#done, 1);
      this.#done += 1;
      this.#share = 0;
      changed = true;
    }
    if (share > this.#share) {
      this.#keep();
      this.#cut(target, share);
      this.#share = share;
      changed = true;
    }
    this.complete = true;
    return changed;
  }

  /** Keep the heights now and then, before anything of the next segment is cut. */
  #keep(): void {
    if (this.#share > 0 || this.#done === 0 || this.#done % this.#every !== 0) return;
    this.#kept[this.#done / this.#every] ??= this.relief.heights.slice();
  }

  /** Return to the heights kept last before `segment`. */
  #back(segment: number): boolean {
    let place = Math.floor(segment / this.#every);
    while (place > 0 && this.#kept[place] === undefined) place -= 1;
    const kept = this.#kept[place];
    if (place > 0 && kept !== undefined) this.relief.heights.set(kept);
    else this.relief.heights.fill(this.relief.top);
    this.#done = place * this.#every;
    this.#share = 0;
    return true;
  }

  /** Cut with a segment as far as `share` of it. */
  #cut(segment: number, share: number): void {
    const { points } = this.scene;
    const end = this.#ends[this.scene.tool[segment] as number];
    if (end === undefined || end.radius <= 0) return;
    const at = 3 * segment;
    const [ax, ay, az] = [points[at] as number, points[at + 1] as number, points[at + 2] as number];
    const bx = ax + ((points[at + 3] as number) - ax) * share;
    const by = ay + ((points[at + 4] as number) - ay) * share;
    const bz = az + ((points[at + 5] as number) - az) * share;
    if (Math.min(az, bz) >= this.relief.top) return;
    this.#sweep(ax, ay, az, bx, by, bz, end);
  }

  #sweep(ax: number, ay: number, az: number, bx: number, by: number, bz: number, end: End): void {
    const { nx, ny, cellMm, x0, y0, heights } = this.relief;
    const { radius, shape, slope, point } = end;
    const [dx, dy, dz] = [bx - ax, by - ay, bz - az];
    const square = dx * dx + dy * dy;
    const length = Math.sqrt(square);
    const reach = radius * radius;
    const lowest = Math.min(az, bz);
    const rowFrom = Math.max(0, Math.floor((Math.min(ay, by) - radius - y0) / cellMm));
    const rowTo = Math.min(ny - 1, Math.floor((Math.max(ay, by) + radius - y0) / cellMm));
    for (let row = rowFrom; row <= rowTo; row += 1) {
      const y = y0 + (row + 0.5) * cellMm;
      // The part of the way from which the tool reaches this row, and so how far it reaches along it.
      let [t0, t1] = [0, 1];
      if (Math.abs(dy) > 1e-9) {
        const [one, other] = [(y - radius - ay) / dy, (y + radius - ay) / dy];
        t0 = Math.max(0, Math.min(one, other));
        t1 = Math.min(1, Math.max(one, other));
        if (t0 > t1) continue;
      }
      const [xa, xb] = [ax + dx * t0, ax + dx * t1];
      const from = Math.max(0, Math.floor((Math.min(xa, xb) - radius - x0) / cellMm));
      const to = Math.min(nx - 1, Math.floor((Math.max(xa, xb) + radius - x0) / cellMm));
      for (let column = from; column <= to; column += 1) {
        const cell = row * nx + column;
        const height = heights[cell] as number;
        if (height <= lowest) continue;
        const x = x0 + (column + 0.5) * cellMm;
        let t = square > 0 ? ((x - ax) * dx + (y - ay) * dy) / square : dz < 0 ? 1 : 0;
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        const [ox, oy] = [x - ax - dx * t, y - ay - dy * t];
        const off = ox * ox + oy * oy;
        if (off > reach) continue;
        let z: number;
        if (shape === 0) {
          // A flat end leaves the lower of the two places where its rim passes over the cell.
          if (dz !== 0 && length > 0) t += (Math.sign(-dz) * Math.sqrt(reach - off)) / length;
          z = az + dz * (t < 0 ? 0 : t > 1 ? 1 : t);
        } else if (shape === 1) {
          z = az + dz * t + radius - Math.sqrt(reach - off);
        } else {
          z = az + dz * t + Math.max(0, Math.sqrt(off) - point) * slope;
        }
        if (z < height) heights[cell] = z;
      }
    }
  }

  /** Return the planned time of what is cut so far. */
  get seconds(): number {
    return beginsAt(this.scene, this.#done);
  }
}

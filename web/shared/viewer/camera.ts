// SPDX-License-Identifier: GPL-3.0-or-later
/** Where one looks from: angles around the piece, and a distance. Angles in radians, lengths mm, Z upwards. */
import type { Position } from "../types";

export interface Box {
  low: Position;
  high: Position;
}

/** What lies on the picture's edges, in CSS pixels: the piece is fitted into what they leave. */
export interface Insets {
  top: number;
  right: number;
  bottom: number;
  left: number;
}

const HOME_AZIMUTH = -0.62;
const HOME_ELEVATION = 0.72;
const LEAST_ELEVATION = 0.06;
const MOST_ELEVATION = Math.PI / 2 - 0.001;
const LEAST_ZOOM = 0.35;
const MOST_ZOOM = 14;
/** Of a picture's length at most so much is left to what lies on its edges: a piece that is half hidden is better than none. */
const MOST_COVERED = 0.5;
/** The picture over the piece. */
const MARGIN = 1.06;
/** Of the picture's height, radians. */
export const FIELD_OF_VIEW = 0.5;

export class Camera {
  azimuth = HOME_AZIMUTH;
  elevation = HOME_ELEVATION;
  /** 1 shows the whole piece. */
  zoom = 1;
  /** Shift of what is looked at, in widths of the piece: to the right and up on the screen. */
  panX = 0;
  panY = 0;
  insets: Insets = { top: 0, right: 0, bottom: 0, left: 0 };

  home(): void {
    this.azimuth = HOME_AZIMUTH;
    this.elevation = HOME_ELEVATION;
    this.zoom = 1;
    this.panX = 0;
    this.panY = 0;
  }

  turn(right: number, up: number): void {
    this.azimuth -= right;
    this.elevation = Math.min(MOST_ELEVATION, Math.max(LEAST_ELEVATION, this.elevation + up));
  }

  /** Zoom by a factor; what is under (x, y), in pictures from the middle of the free part, stays there in a picture from above. */
  zoomBy(factor: number, x = 0, y = 0): void {
    const before = this.zoom;
    this.zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, this.zoom * factor));
    const share = 1 / this.zoom - 1 / before;
    this.pan(x * share, y * share);
  }

  /** Move what is looked at, in parts of the unzoomed picture. */
  pan(right: number, up: number): void {
    this.panX = Math.min(1, Math.max(-1, this.panX + right));
    this.panY = Math.min(1, Math.max(-1, this.panY + up));
  }

  /** Return the part of a picture that nothing lies on, in CSS pixels: its middle and its size. */
  free(width: number, height: number): { x: number; y: number; wide: number; high: number } {
    const [left, right] = fitting(this.insets.left, this.insets.right, width);
    const [top, bottom] = fitting(this.insets.top, this.insets.bottom, height);
    const [wide, high] = [width - left - right, height - top - bottom];
    return { x: left + wide / 2, y: top + high / 2, wide, high };
  }

  /**
   * Return where the eye is and what it looks at, so that `box` fills the free part of a picture of this size in CSS pixels.
   *
   * `size` is what the whole picture's height is at the piece, mm, unzoomed. The eye looks at the middle of the free part.
   */
  eye(box: Box, width: number, height: number): { from: Position; at: Position; distance: number; size: number } {
    const { low, high } = box;
    const free = this.free(width, height);
    const [w, d, h] = [high[0] - low[0], high[1] - low[1], high[2] - low[2]];
    const [sin, cos] = [Math.sin(this.elevation), Math.cos(this.elevation)];
    const [sa, ca] = [Math.sin(this.azimuth), Math.cos(this.azimuth)];
    // How large the box is seen from here: the wanted picture holds its corners with a margin.
    const across = Math.abs(w * ca) + Math.abs(d * sa);
    const upright = (Math.abs(w * sa) + Math.abs(d * ca)) * sin + h * cos;
    const size = Math.max((across * height) / free.wide, (upright * height) / free.high, 1e-3) * MARGIN;
    const near = ((Math.abs(w * sa) + Math.abs(d * ca)) * cos + h * sin) / 2;
    const distance = size / this.zoom / (2 * Math.tan(FIELD_OF_VIEW / 2)) + near;
    const right: Position = [ca, sa, 0];
    const up: Position = [sa * sin * -1, ca * sin, cos];
    const at = [0, 1, 2].map((k) => {
      const middle = ((low[k] as number) + (high[k] as number)) / 2;
      return middle + size * (this.panX * (right[k] as number) + this.panY * (up[k] as number));
    }) as Position;
    const from: Position = [at[0] + distance * cos * sa, at[1] - distance * cos * ca, at[2] + distance * sin];
    return { from, at, distance, size };
  }
}

/** Return two opposite insets, made smaller where they leave too little of `length`. */
function fitting(one: number, other: number, length: number): [number, number] {
  const share = Math.min(1, (MOST_COVERED * length) / Math.max(one + other, 1e-9));
  return [one * share, other * share];
}

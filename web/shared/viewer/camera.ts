// SPDX-License-Identifier: GPL-3.0-or-later
/** Where one looks from: angles around the piece, and a distance. Angles in radians, lengths mm, Z upwards. */
import type { Position } from "../types";

export interface Box {
  low: Position;
  high: Position;
}

const HOME_AZIMUTH = -0.62;
const HOME_ELEVATION = 0.72;
const LEAST_ELEVATION = 0.06;
const MOST_ELEVATION = Math.PI / 2 - 0.001;
const LEAST_ZOOM = 0.35;
const MOST_ZOOM = 14;
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

  /** Zoom by a factor; what is under (x, y), in half pictures from the middle, stays there in a picture from above. */
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

  /** Return where the eye is and what it looks at, so that `box` fills a picture of this aspect (width over height). */
  eye(box: Box, aspect: number): { from: Position; at: Position; distance: number; size: number } {
    const { low, high } = box;
    const [w, d, h] = [high[0] - low[0], high[1] - low[1], high[2] - low[2]];
    const [sin, cos] = [Math.sin(this.elevation), Math.cos(this.elevation)];
    const [sa, ca] = [Math.sin(this.azimuth), Math.cos(this.azimuth)];
    // How large the box is seen from here: the wanted picture holds its corners with a margin.
    const across = Math.abs(w * ca) + Math.abs(d * sa);
    const upright = (Math.abs(w * sa) + Math.abs(d * ca)) * sin + h * cos;
    const size = Math.max(across / aspect, upright, 1e-3) * MARGIN;
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

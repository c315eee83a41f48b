// SPDX-License-Identifier: GPL-3.0-or-later
/** What a picture of a program is told, whichever way it is drawn. */
import type { Position } from "../types";
import type { Camera } from "./camera";
import type { Palette } from "./colours";
import type { Relief, Scene } from "./scene";

/** What a path's colour tells; plain: nothing but where it is. */
export type Colouring = "feed" | "time" | "plain" | "none";

/** One moment of the program. */
export interface Moment {
  /** Planned time up to which the path is done. */
  seconds: number;
  /** Where the tool's tip is; null draws none. */
  tool: Position | null;
  /** Index of the tool that is drawn. */
  toolIndex: number;
  colouring: Colouring;
}

export interface Picture {
  readonly kind: "solid" | "flat";
  readonly canvas: HTMLCanvasElement;
  /** The scene that it has already costs nothing. */
  setScene(scene: Scene): void;
  /** The stock as it is; the same object again where only its heights have changed. */
  setRelief(relief: Relief): void;
  setPalette(palette: Palette): void;
  resize(width: number, height: number): void;
  /** 0 is the finest; returns whether there is a coarser level than the one asked for. At rest a picture may be finer. */
  setLevel(level: number, rest: boolean): boolean;
  /** Draw; return whether all of it is there. `moved`: somebody moves the picture now, and it is drawn again when they rest. */
  draw(moment: Moment, camera: Camera, moved: boolean): boolean;
  /** Return the pixel of a place in mm as it was drawn last. */
  pixel(place: Position): [number, number];
  /** Make ready what the first frame needs, without holding up the page. */
  prepare?(): Promise<void>;
  /** Return once what was drawn is done: what a frame really costs. */
  finish?(): Promise<void>;
  dispose(): void;
}

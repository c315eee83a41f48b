// SPDX-License-Identifier: GPL-3.0-or-later
/** Which way a picture is drawn: flat at once, in space where that is wanted and fluent. Keeps the one that is in sight. */
import type { Camera } from "./camera";
import { paletteOf } from "./colours";
import { Flat } from "./flat";
import { Governor } from "./governor";
import type { Moment, Picture } from "./picture";
import type { Scene } from "./scene";

/** Why the picture is flat though nobody asked for it. */
export type Flatness = "missing" | "slow" | "lost";

/** What is drawn. */
export interface Subject {
  readonly camera: Camera;
  scene(): Scene | null;
  moment(scene: Scene): Moment;
  /** Give a picture the stock of the moment. */
  stock(scene: Scene, picture: Picture): void;
  /** Another picture is in sight, and knows no stock. */
  changed(): void;
}

const CHOICE = "infomobil.viewer";

/** Read how this screen was told to draw: a person's own choice is kept even where it is slow. */
function chosen(): "solid" | "flat" | null {
  const kept = window.localStorage.getItem(CHOICE);
  return kept === "solid" || kept === "flat" ? kept : null;
}

/** Return after the next frame is on the screen. */
function drawn(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

export class Drawing {
  /** How it is drawn now, and how it is to be. */
  kind = $state<"solid" | "flat" | null>(null);
  choice = $state<"solid" | "flat">("solid");
  flatness = $state<Flatness | null>(null);
  picture: Picture | null = null;

  readonly #governor = new Governor();
  #host: HTMLElement | null = null;
  /** A picture in space that is being made ready. */
  #candidate: Picture | null = null;
  #coarsest = false;
  /** The level that the picture has, and whether it is one for a picture at rest. */
  #level: [number, boolean] | null = null;

  constructor(private readonly subject: Subject) {}

  /** Draw into `host` from now on. */
  attach(host: HTMLElement): void {
    this.#host = host;
    void this.#open(chosen() ?? "solid");
  }

  detach(): void {
    this.#candidate?.dispose();
    this.#candidate = null;
    this.#drop();
    this.#host = null;
  }

  /** Draw this way from now on, on this screen. */
  choose(kind: "solid" | "flat"): void {
    window.localStorage.setItem(CHOICE, kind);
    this.flatness = null;
    if (kind !== this.choice) void this.#open(kind);
  }

  setScene(scene: Scene): void {
    this.picture?.setScene(scene);
    if (this.#candidate !== null) void this.#try(this.#candidate, scene);
  }

  resize(): void {
    const host = this.#host;
    if (host === null) return;
    for (const picture of [this.picture, this.#candidate]) picture?.resize(host.clientWidth, host.clientHeight);
  }

  /** The page's colours are others now. */
  repaint(): void {
    if (this.#host === null) return;
    const palette = paletteOf(this.#host);
    for (const picture of [this.picture, this.#candidate]) picture?.setPalette(palette);
  }

  /** A picture in motion may be coarser than one at rest. */
  adapt(moving: boolean): void {
    const level = moving ? this.#governor.level : this.#governor.atRest;
    if (this.picture === null || (this.#level !== null && this.#level[0] === level && this.#level[1] === !moving)) return;
    this.#level = [level, !moving];
    const more = this.picture.setLevel(level, !moving);
    if (moving) this.#coarsest = !more;
  }

  /** A frame of a picture in motion took so many milliseconds; return whether the picture is still the same one. */
  judge(took: number): boolean {
    if (this.kind !== "solid") return true;
    const verdict = this.#governor.frame(took, this.#coarsest);
    if (verdict !== "flat" || chosen() === "solid") return true;
    this.#flatten("slow");
    return false;
  }

  /** Draw flat at once; where space is wanted, make that ready beside it and change over when it can be shown. */
  async #open(kind: "solid" | "flat"): Promise<void> {
    this.choice = kind;
    this.#candidate?.dispose();
    this.#candidate = null;
    this.#flat();
    if (kind === "flat") return;
    // First a picture, then what may hold up the page for a moment: shaders are built where they are first used.
    await drawn();
    if (!this.#wanted) return;
    const part = await import("./solid").catch((error: unknown) => {
      // The part of the page that draws with WebGL could not be fetched.
      if (error instanceof TypeError) return null;
      throw error;
    });
    if (!this.#wanted || this.#candidate !== null) return;
    const solid = part?.openSolid(() => this.#flatten("lost")) ?? null;
    if (solid === null) {
      this.#flatten("missing");
      return;
    }
    this.#candidate = solid;
    const scene = this.subject.scene();
    if (scene !== null) await this.#try(solid, scene);
  }

  /** Whether a picture in space is wanted that is not there. */
  get #wanted(): boolean {
    return this.#host !== null && this.choice === "solid" && this.kind !== "solid";
  }

  /**
   * Draw out of sight and take the time of a frame, once all that it needs has been made ready.
   *
   * Then make ready what the picture at rest needs, too: the first frame in sight has no shader left to build.
   */
  async #try(picture: Picture, scene: Scene): Promise<void> {
    const here = (): boolean => this.#candidate === picture && this.subject.scene() === scene;
    this.#begin(picture, scene);
    this.subject.stock(scene, picture);
    await picture.prepare?.();
    if (!here()) return;
    const began = performance.now();
    picture.draw(this.subject.moment(scene), this.subject.camera, false);
    await picture.finish?.();
    if (!here()) return;
    this.#governor.first(performance.now() - began);
    picture.setLevel(this.#governor.atRest, true);
    await picture.prepare?.();
    if (!here()) return;
    this.#candidate = null;
    this.#use(picture);
  }

  #flatten(why: Flatness): void {
    this.flatness = why;
    this.choice = "flat";
    this.#candidate?.dispose();
    this.#candidate = null;
    this.#flat();
  }

  #flat(): void {
    if (this.kind === "flat") return;
    const flat = new Flat();
    this.#begin(flat, this.subject.scene());
    this.#use(flat);
  }

  /** Tell a new picture all that it has to know. */
  #begin(picture: Picture, scene: Scene | null): void {
    const host = this.#host;
    if (host === null) return;
    picture.setPalette(paletteOf(host));
    picture.setLevel(this.#governor.level, false);
    picture.resize(host.clientWidth, host.clientHeight);
    if (scene !== null) picture.setScene(scene);
  }

  #use(picture: Picture): void {
    const host = this.#host;
    this.#drop();
    if (host === null) return;
    picture.canvas.setAttribute("aria-hidden", "true");
    host.prepend(picture.canvas);
    this.picture = picture;
    this.#level = null;
    this.kind = picture.kind;
    this.subject.changed();
  }

  #drop(): void {
    this.picture?.canvas.remove();
    this.picture?.dispose();
    this.picture = null;
  }
}

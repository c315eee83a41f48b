// SPDX-License-Identifier: GPL-3.0-or-later
/** A picture of a program on a page: which way it is drawn, at what moment, from where. Draws when something changed. */
import type { Position } from "../types";
import { Camera, type Insets } from "./camera";
import { paletteOf } from "./colours";
import { Erosion, gridOf } from "./erosion";
import { Flat } from "./flat";
import { gestures } from "./gestures";
import { Governor } from "./governor";
import type { Colouring, Moment, Picture } from "./picture";
import type { Relief, Scene } from "./scene";
import { placeAt, segmentAt } from "./timeline";

/** Why the picture is flat though nobody asked for it. */
export type Flatness = "missing" | "slow" | "lost";

/** What a machine is doing to the piece at this moment. */
export interface LiveMoment {
  /** Planned time of the place where the tool is. */
  seconds: number;
  /** Its reported place in the program's coordinates; null where it is not known. */
  tool: Position | null;
}

export interface ViewOptions {
  /** Turn the piece while nobody touches it. */
  turning?: boolean;
  /** No motion that nobody's finger makes. */
  still?: () => boolean;
  /** Vertical strokes of a finger scroll the page. */
  scrolls?: boolean;
}

const CHOICE = "infomobil.viewer";
const ERODE_MS = 8;
const CELLS = 256;
const RADIANS_PER_PX = 0.0075;
const TURN_RADIANS_S = 0.32;
const TURN_AFTER_MS = 2500;
const TURN_FRAME_MS = 30;
const FRICTION_S = 0.18;
const REST_MS = 260;
/** How long the whole program takes when it is played. */
const PLAY_S = 24;

/** Read how this screen was told to draw: a person's own choice is kept even where it is slow. */
function chosen(): "solid" | "flat" | null {
  const kept = window.localStorage.getItem(CHOICE);
  return kept === "solid" || kept === "flat" ? kept : null;
}

/** Return after the next frame is on the screen. */
function drawn(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

export class View {
  /** How it is drawn now, and how it is to be. */
  kind = $state<"solid" | "flat" | null>(null);
  choice = $state<"solid" | "flat">("solid");
  flatness = $state<Flatness | null>(null);
  colouring = $state<Colouring>("feed");
  /** Planned time that is shown. */
  seconds = $state(0);
  playing = $state(false);
  /** Follow the machine rather than the slider. */
  following = $state(true);

  readonly camera = new Camera();
  readonly #options: ViewOptions;
  readonly #governor = new Governor();
  #host: HTMLElement | null = null;
  #picture: Picture | null = null;
  /** A picture in space that is being made ready. */
  #candidate: Picture | null = null;
  #scene: Scene | null = null;
  /** What the whole program leaves, as the service computed it. */
  #final: Relief | null = null;
  #pending = false;
  /** What the machine has left so far. */
  #twin: Relief | null = null;
  #live: LiveMoment | null = null;
  #erosion: Erosion | null = null;
  #shown: Relief | null = null;
  #frame = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #wake: ReturnType<typeof setTimeout> | undefined;
  #last = 0;
  #asked = 0;
  #touched = -TURN_AFTER_MS;
  #held = false;
  #spin = 0;
  #moved = false;
  #coarsest = false;
  #level = -1;
  #closed = false;

  constructor(options: ViewOptions = {}) {
    this.#options = options;
  }

  get total(): number {
    return this.#scene?.totalSeconds ?? 0;
  }

  /** Draw into `host`; return what ends it. */
  attach(host: HTMLElement): () => void {
    this.#host = host;
    this.#closed = false;
    const size = new ResizeObserver(() => {
      this.#picture?.resize(host.clientWidth, host.clientHeight);
      this.invalidate();
    });
    size.observe(host);
    const end = gestures(host, {
      drag: (dx, dy) => this.#drag(dx, dy),
      shift: (dx, dy) => this.#shift(dx, dy),
      zoom: (factor, x, y) => this.#zoom(factor, x, y),
      home: () => this.home(),
      held: (down) => this.#hold(down),
    });
    void this.#open(chosen() ?? "solid");
    return () => {
      this.#closed = true;
      size.disconnect();
      end();
      cancelAnimationFrame(this.#frame);
      clearTimeout(this.#rest);
      clearTimeout(this.#wake);
      this.#candidate?.dispose();
      this.#candidate = null;
      this.#drop();
      this.#host = null;
    };
  }

  /** Draw the other way from now on, on this screen. */
  choose(kind: "solid" | "flat"): void {
    window.localStorage.setItem(CHOICE, kind);
    this.flatness = null;
    void this.#open(kind);
  }

  /** `pending` tells that `final` is null only because it is still on its way. */
  setScene(scene: Scene, final: Relief | null, pending = false): void {
    const other = this.#scene !== scene;
    this.#pending = pending;
    this.#scene = scene;
    this.#final = final;
    if (other) {
      this.#twin = null;
      this.playing = false;
      this.seconds = scene.totalSeconds;
    }
    if (other || this.#erosion === null || (final !== null && this.#erosion.relief.nx !== final.nx)) this.#erosion = new Erosion(scene, final ?? gridOf(scene, CELLS));
    this.#shown = null;
    if (other) this.#picture?.setScene(scene);
    if (other && this.#candidate !== null) void this.#try(this.#candidate, scene);
    this.invalidate();
  }

  setLive(live: LiveMoment | null): void {
    this.#live = live;
    if (live !== null && this.following) this.seconds = live.seconds;
    this.invalidate();
  }

  setTwin(twin: Relief | null): void {
    this.#twin = twin;
    this.#shown = null;
    this.invalidate();
  }

  /** Show a moment of the program instead of the machine's. */
  seek(seconds: number): void {
    this.following = false;
    this.seconds = Math.min(this.total, Math.max(0, seconds));
    this.invalidate();
  }

  follow(): void {
    this.following = true;
    this.playing = false;
    if (this.#live !== null) this.seconds = this.#live.seconds;
    this.invalidate();
  }

  play(): void {
    this.playing = !this.playing;
    this.following = false;
    if (this.playing && this.seconds >= this.total) this.seconds = 0;
    this.#last = performance.now();
    this.invalidate();
  }

  colour(colouring: Colouring): void {
    this.colouring = colouring;
    this.invalidate();
  }

  home(): void {
    this.camera.home();
    this.#spin = 0;
    this.#seen();
  }

  zoomBy(factor: number): void {
    this.camera.zoomBy(factor);
    this.#seen();
  }

  /** What the page has laid on the picture's edges, in CSS pixels: the piece is fitted into what they leave. */
  insets(insets: Insets): void {
    this.camera.insets = insets;
    this.invalidate();
  }

  /** The page's colours are others now. */
  repaint(): void {
    if (this.#host === null) return;
    this.#picture?.setPalette(paletteOf(this.#host));
    this.invalidate();
  }

  /** Draw once, soon. */
  invalidate(): void {
    if (this.#frame !== 0 || this.#closed || this.#picture === null) return;
    this.#asked = performance.now();
    this.#frame = requestAnimationFrame((now) => this.#draw(now));
  }

  /** Draw flat at once; where space is wanted, make that ready beside it and change over when it can be shown. */
  async #open(kind: "solid" | "flat"): Promise<void> {
    this.choice = kind;
    this.#candidate?.dispose();
    this.#candidate = null;
    if (this.kind !== "flat") this.#use(new Flat());
    if (kind === "flat") return;
    // First a picture, then what may hold up the page for a moment: shaders are built where they are first used.
    await drawn();
    if (this.#closed || this.choice !== "solid") return;
    const part = await import("./solid").catch((error: unknown) => {
      // The part of the page that draws with WebGL could not be fetched.
      if (error instanceof TypeError) return null;
      throw error;
    });
    if (this.#closed || this.choice !== "solid" || this.#candidate !== null) return;
    const solid = part?.openSolid(() => this.#flatten("lost")) ?? null;
    if (solid === null) {
      this.#flatten("missing");
      return;
    }
    this.#candidate = solid;
    if (this.#scene !== null) await this.#try(solid, this.#scene);
  }

  /** Draw twice out of sight and take the time of the second frame: the first one also makes ready what all others need. */
  async #try(picture: Picture, scene: Scene): Promise<void> {
    this.#begin(picture, scene);
    this.#stock(scene, picture);
    // What was cut on the way is news for the picture that is shown, too.
    this.#shown = null;
    await picture.prepare?.();
    let began = 0;
    for (let frame = 0; frame < 2 && this.#candidate === picture && this.#scene === scene; frame += 1) {
      began = performance.now();
      picture.draw(this.#moment(scene), this.camera);
      await picture.finish?.();
    }
    if (this.#candidate !== picture || this.#scene !== scene) return;
    this.#governor.first(performance.now() - began);
    this.#candidate = null;
    this.#use(picture);
  }

  #flatten(why: Flatness): void {
    this.flatness = why;
    this.choice = "flat";
    this.#candidate = null;
    if (this.kind !== "flat") this.#use(new Flat());
  }

  /** Tell a picture all that it does not know yet. */
  #begin(picture: Picture, scene: Scene | null): void {
    const host = this.#host;
    if (host === null) return;
    picture.setPalette(paletteOf(host));
    picture.setLevel(this.#governor.level);
    picture.resize(host.clientWidth, host.clientHeight);
    if (scene !== null) picture.setScene(scene);
  }

  #use(picture: Picture): void {
    const host = this.#host;
    this.#drop();
    if (host === null) return;
    picture.canvas.setAttribute("aria-hidden", "true");
    this.#begin(picture, this.#scene);
    host.prepend(picture.canvas);
    this.#picture = picture;
    this.#shown = null;
    this.#level = -1;
    this.kind = picture.kind;
    this.invalidate();
  }

  #drop(): void {
    this.#picture?.canvas.remove();
    this.#picture?.dispose();
    this.#picture = null;
  }

  #draw(now: number): void {
    this.#frame = 0;
    const [picture, scene] = [this.#picture, this.#scene];
    if (picture === null || scene === null) return;
    const passed = Math.min(0.1, Math.max(0, (now - this.#last) / 1000));
    this.#last = now;
    const going = this.#advance(passed, now);
    const whole = this.#stock(scene, picture);
    const moving = going || this.#moved || (this.following && this.#live !== null);
    this.#adapt(picture, moving);
    picture.draw(this.#moment(scene), this.camera);
    if (moving && !this.#judge(performance.now() - this.#asked)) return;
    this.#moved = going;
    if (going || !whole) this.#next(now);
  }

  #moment(scene: Scene): Moment {
    const live = this.following ? this.#live : null;
    const segment = segmentAt(scene, this.seconds);
    return {
      seconds: this.seconds,
      tool: live?.tool ?? (live !== null || this.seconds < scene.totalSeconds ? placeAt(scene, this.seconds) : null),
      toolIndex: segment < 0 ? 0 : (scene.tool[segment] ?? 0),
      colouring: this.colouring,
    };
  }

  /** A picture in motion may be coarser than one at rest. */
  #adapt(picture: Picture, moving: boolean): void {
    const level = moving ? this.#governor.level : this.#governor.atRest;
    if (this.#level === level) return;
    this.#level = level;
    const more = picture.setLevel(level);
    if (moving) this.#coarsest = !more;
  }

  /** Let go on what moves by itself; return whether something does. */
  #advance(passed: number, now: number): boolean {
    const still = this.#options.still?.() ?? false;
    let going = false;
    if (this.playing) {
      this.seconds = Math.min(this.total, this.seconds + (passed * this.total) / PLAY_S);
      if (this.seconds >= this.total) this.playing = false;
      going = this.playing;
    }
    if (!this.#held && !still && Math.abs(this.#spin) > 0.02) {
      this.camera.turn(this.#spin * passed, 0);
      this.#spin *= Math.exp(-passed / FRICTION_S);
      going = true;
    }
    if (this.#options.turning && !still && !this.#held && this.kind === "solid") {
      if (now - this.#touched > TURN_AFTER_MS) {
        this.camera.turn(-TURN_RADIANS_S * passed, 0);
        going = true;
      } else {
        clearTimeout(this.#wake);
        this.#wake = setTimeout(() => this.invalidate(), TURN_AFTER_MS);
      }
    }
    return going;
  }

  /** Bring the stock of the moment into the picture; return whether it is all there. */
  #stock(scene: Scene, picture: Picture): boolean {
    const live = this.following && this.#live !== null;
    const ready = live ? this.#twin : this.seconds >= scene.totalSeconds ? this.#final : null;
    if (ready !== null) {
      this.#put(picture, ready, false);
      return true;
    }
    const erosion = this.#erosion;
    if (erosion === null) return true;
    if (!live && this.#pending && this.seconds >= scene.totalSeconds) {
      this.#put(picture, erosion.relief, false);
      return true;
    }
    const changed = erosion.cutTo(this.seconds, ERODE_MS);
    this.#put(picture, erosion.relief, changed);
    return erosion.complete;
  }

  #put(picture: Picture, relief: Relief, changed: boolean): void {
    if (picture === this.#picture && this.#shown === relief && !changed) return;
    if (picture === this.#picture) this.#shown = relief;
    picture.setRelief(relief);
  }

  #next(now: number): void {
    // A turning piece needs no more frames than an eye does.
    const alone = !this.playing && !this.#held && this.#options.turning && Math.abs(this.#spin) <= 0.02 && this.#erosion?.complete;
    if (!alone) this.invalidate();
    else {
      clearTimeout(this.#wake);
      this.#wake = setTimeout(() => this.invalidate(), Math.max(0, TURN_FRAME_MS - (performance.now() - now)));
    }
  }

  /** Return whether the picture is still the same one. */
  #judge(took: number): boolean {
    if (this.kind !== "solid") return true;
    const verdict = this.#governor.frame(took, this.#coarsest);
    if (verdict !== "flat" || chosen() === "solid") return true;
    this.#flatten("slow");
    return false;
  }

  #hold(down: boolean): void {
    this.#held = down;
    if (down) this.#spin = 0;
    this.#seen();
  }

  #drag(dx: number, dy: number): void {
    if (this.kind === "flat") {
      this.#shift(dx, dy);
      return;
    }
    this.camera.turn(dx * RADIANS_PER_PX, this.#options.scrolls ? 0 : dy * RADIANS_PER_PX);
    this.#spin = this.#held ? dx * RADIANS_PER_PX * 30 : 0;
    this.#seen();
  }

  #shift(dx: number, dy: number): void {
    const height = Math.max(1, this.#host?.clientHeight ?? 1) * this.camera.zoom;
    this.camera.pan(-dx / height, dy / height);
    this.#seen();
  }

  #zoom(factor: number, x: number, y: number): void {
    const host = this.#host;
    if (host === null) return;
    const free = this.camera.free(host.clientWidth, host.clientHeight);
    this.camera.zoomBy(factor, -(x - free.x) / host.clientHeight, (y - free.y) / host.clientHeight);
    this.#seen();
  }

  /** Somebody has touched the picture: draw, and draw finely once they have let go. */
  #seen(): void {
    this.#touched = performance.now();
    this.#moved = true;
    this.invalidate();
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.invalidate(), REST_MS);
  }
}

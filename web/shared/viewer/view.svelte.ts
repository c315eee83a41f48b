// SPDX-License-Identifier: GPL-3.0-or-later
/** A picture of a program on a page: at what moment it is shown, and from where. Draws when something changed. */
import type { Position } from "../types";
import { Camera, type Insets } from "./camera";
import { Drawing, type Flatness } from "./drawing.svelte";
import { Erosion, gridOf } from "./erosion";
import { gestures } from "./gestures";
import type { Colouring, Moment } from "./picture";
import type { Relief, Scene } from "./scene";
import { placeAt, segmentAt } from "./timeline";

/** What a machine is doing to the piece at this moment. */
export interface LiveMoment {
  /** Planned time of the place where the tool is. */
  seconds: number;
  /** Its reported place in the program's coordinates; null where it is not known: then no tool is drawn. */
  tool: Position | null;
}

/** How a job went that is no longer followed: one that was not finished leaves what was cut until then. */
export type Ended = "finished" | "stopped";

export interface ViewOptions {
  /** Turn the piece while nobody touches it. */
  turning?: boolean;
  /** No motion that nobody's finger makes. */
  still?: () => boolean;
  /** Vertical strokes of a finger, and the wheel, scroll the page. */
  scrolls?: boolean;
}

const ERODE_MS = 8;
const CELLS = 256;
const RADIANS_PER_PX = 0.0075;
const TURN_RADIANS_S = 0.32;
const TURN_AFTER_MS = 2500;
const TURN_FRAME_MS = 30;
const FRICTION_S = 0.18;
const REST_MS = 260;
/** So long after a touch the picture counts as being moved; over before the picture at rest is asked for. */
const HANDLED_MS = 240;
/** How long the whole program takes when it is played. */
const PLAY_S = 24;
/** Between two pictures on a long way through time: each of them may cost more than the cutting between them. */
const SEEK_MS = 250;

export class View {
  colouring = $state<Colouring>("feed");
  /** Planned time that is shown. */
  seconds = $state(0);
  playing = $state(false);
  /** Follow the machine rather than the slider. */
  following = $state(true);

  readonly camera = new Camera();
  readonly #options: ViewOptions;
  readonly #drawing: Drawing;
  #host: HTMLElement | null = null;
  #scene: Scene | null = null;
  /** What the whole program leaves, as the service computed it. */
  #final: Relief | null = null;
  #pending = false;
  /** What the machine has left so far. */
  #twin: Relief | null = null;
  #live: LiveMoment | null = null;
  /** The piece that a job has left which is no longer followed, and was not finished. */
  #left: { relief: Relief | null } | null = null;
  #erosion: Erosion | null = null;
  #shown: Relief | null = null;
  /** Heights have changed since the picture had them. */
  #cut = false;
  #drawn = 0;
  #frame = 0;
  #work: ReturnType<typeof setTimeout> | undefined;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #wake: ReturnType<typeof setTimeout> | undefined;
  #last = 0;
  #asked = 0;
  #touched = -TURN_AFTER_MS;
  #held = false;
  #spin = 0;
  #moved = false;
  /** Somebody has touched the picture since it was drawn. */
  #handled = false;
  #repaint = false;

  constructor(options: ViewOptions = {}) {
    this.#options = options;
    this.#drawing = new Drawing({
      camera: this.camera,
      scene: () => this.#scene,
      moment: (scene) => this.#moment(scene),
      stock: (scene, picture) => {
        const { relief } = this.#stock(scene);
        if (relief !== null) picture.setRelief(relief);
      },
      changed: () => {
        this.#shown = null;
        this.invalidate();
      },
    });
  }

  /** How it is drawn now; null before anything is. */
  get kind(): "solid" | "flat" | null {
    return this.#drawing.kind;
  }

  /** How it is to be drawn. */
  get choice(): "solid" | "flat" {
    return this.#drawing.choice;
  }

  get flatness(): Flatness | null {
    return this.#drawing.flatness;
  }

  get total(): number {
    return this.#scene?.totalSeconds ?? 0;
  }

  /** Draw into `host`; return what ends it. */
  attach(host: HTMLElement): () => void {
    this.#host = host;
    const size = new ResizeObserver(() => {
      this.#drawing.resize();
      this.invalidate();
    });
    size.observe(host);
    const moves = {
      drag: (dx: number, dy: number) => this.#drag(dx, this.#options.scrolls ? 0 : dy),
      step: (dx: number, dy: number) => this.#drag(dx, dy),
      shift: (dx: number, dy: number) => this.#shift(dx, dy),
      zoom: (factor: number, x: number, y: number) => this.#zoom(factor, x, y),
      home: () => this.home(),
      held: (down: boolean) => this.#hold(down),
    };
    const end = gestures(host, moves, this.#options.scrolls);
    this.#drawing.attach(host);
    return () => {
      this.#host = null;
      size.disconnect();
      end();
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
      for (const timer of [this.#rest, this.#wake, this.#work]) clearTimeout(timer);
      this.#drawing.detach();
    };
  }

  /** Draw this way from now on, on this screen. */
  choose(kind: "solid" | "flat"): void {
    this.#drawing.choose(kind);
  }

  /** `pending` tells that `final` is null only because it is still on its way. */
  setScene(scene: Scene, final: Relief | null, pending = false): void {
    const other = this.#scene !== scene;
    this.#pending = pending;
    this.#scene = scene;
    this.#final = final;
    if (other) {
      this.#twin = null;
      this.#left = null;
      this.playing = false;
      this.seconds = scene.totalSeconds;
    }
    if (other || this.#erosion === null || (final !== null && this.#erosion.relief.nx !== final.nx)) this.#erosion = new Erosion(scene, final ?? gridOf(scene, CELLS));
    this.#shown = null;
    if (other) this.#drawing.setScene(scene);
    this.invalidate();
  }

  /**
   * Follow the machine; null while it is not known where it is, and once it is no longer at the piece.
   *
   * `ended` tells, with null, how the job went that was followed: a finished one leaves the whole piece. After any other,
   * and where nobody says how it went, the picture stays at what the machine has left. Neither has a tool in it.
   */
  setLive(live: LiveMoment | null, ended: Ended = "stopped"): void {
    const followed = this.#live !== null || this.#left !== null;
    if (live !== null) this.#left = null;
    else if (followed) this.#left = ended === "finished" ? null : (this.#left ?? { relief: this.#twin });
    this.#live = live;
    if (this.following && live !== null) this.seconds = live.seconds;
    else if (this.following && followed && ended === "finished") this.seconds = this.total;
    this.invalidate();
  }

  setTwin(twin: Relief | null): void {
    this.#twin = twin;
    // The last cuts of a job that was stopped may be told after its end.
    if (twin !== null && this.#left !== null) this.#left = { relief: twin };
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

  /** The page's colours are others now, or will be before the next frame: they are read in it. */
  repaint(): void {
    this.#repaint = true;
    this.invalidate();
  }

  /** Draw once, soon. */
  invalidate(): void {
    if (this.#frame !== 0 || this.#drawing.picture === null) return;
    this.#asked = performance.now();
    this.#frame = requestAnimationFrame((now) => {
      this.#frame = 0;
      this.#draw(now);
    });
  }

  #draw(now: number): void {
    clearTimeout(this.#work);
    const scene = this.#scene;
    if (this.#drawing.picture === null || scene === null) return;
    if (this.#repaint) this.#drawing.repaint();
    this.#repaint = false;
    const passed = Math.min(0.1, Math.max(0, (now - this.#last) / 1000));
    this.#last = now;
    const going = this.#advance(passed, now);
    const { relief, whole } = this.#stock(scene);
    const moving = going || this.#moved || (this.following && this.#live !== null);
    const seeking = !whole && !moving;
    if (!seeking || performance.now() - this.#drawn >= SEEK_MS) {
      this.#show(relief);
      this.#drawing.adapt(moving);
      // Where a frame takes long the last touch is long ago, and the picture is under a finger all the same.
      const handled = this.#handled || performance.now() - this.#touched < HANDLED_MS;
      this.#handled = false;
      const there = this.#drawing.picture.draw(this.#moment(scene), this.camera, handled);
      this.#drawn = performance.now();
      if (moving && !this.#drawing.judge(this.#drawn - this.#asked)) return;
      this.#moved = going;
      if (!seeking && (going || !whole || !there)) this.#next(now);
    }
    // Frames wait for the graphics card; the cutting need not.
    if (seeking) this.#work = setTimeout(() => this.#draw(performance.now()));
  }

  #moment(scene: Scene): Moment {
    const live = this.following ? this.#live : null;
    const planned = this.seconds < scene.totalSeconds && !(this.following && this.#left !== null);
    const segment = segmentAt(scene, this.seconds);
    return {
      seconds: this.seconds,
      tool: live !== null ? live.tool : planned ? placeAt(scene, this.seconds) : null,
      toolIndex: segment < 0 ? 0 : (scene.tool[segment] ?? 0),
      colouring: this.colouring,
    };
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

  /** Return the stock of the moment, and whether it is all there. */
  #stock(scene: Scene): { relief: Relief | null; whole: boolean } {
    const live = this.following && this.#live !== null;
    const left = this.following ? this.#left : null;
    const atEnd = this.seconds >= scene.totalSeconds;
    const ready = live ? this.#twin : left !== null ? left.relief : atEnd ? this.#final : null;
    if (ready !== null) return { relief: ready, whole: true };
    const erosion = this.#erosion;
    if (erosion === null) return { relief: null, whole: true };
    if (!live && left === null && this.#pending && atEnd) return { relief: erosion.relief, whole: true };
    if (erosion.cutTo(this.seconds, ERODE_MS)) this.#cut = true;
    return { relief: erosion.relief, whole: erosion.complete };
  }

  #show(relief: Relief | null): void {
    if (relief === null || (this.#shown === relief && !this.#cut)) return;
    this.#shown = relief;
    this.#cut = false;
    this.#drawing.picture?.setRelief(relief);
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
    this.camera.turn(dx * RADIANS_PER_PX, dy * RADIANS_PER_PX);
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
    this.#handled = true;
    this.invalidate();
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.invalidate(), REST_MS);
  }
}

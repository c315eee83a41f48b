// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The path: broad strokes of quads while it is short, else one strip of thin lines, thinned where drawing is slow, and
 * in stretches while it moves there.
 *
 * It is drawn twice. What is still to come shines through the material; what is done lies on it, coloured.
 */
import {
  BufferAttribute,
  BufferGeometry,
  GLSL3,
  Group,
  InstancedBufferGeometry,
  InstancedInterleavedBuffer,
  InterleavedBuffer,
  InterleavedBufferAttribute,
  Line,
  Mesh,
  type Object3D,
  ShaderMaterial,
  Vector2,
  Vector3,
} from "three";
import { RAMP, type Palette } from "./colours";
import type { Colouring, Moment } from "./picture";
import type { Scene } from "./scene";
import { feedRange, type Sample, sampled, thinned } from "./timeline";

/** Pulled towards the eye, in parts of the depth: a path at the floor of its own groove is over it. */
const BIAS = "0.00012";

const STYLE = `
out float vSeconds;
flat out float vFeed;
flat out float vCut;
`;

const BROAD = `
uniform vec2 uScreen;
uniform vec2 uWidth;
in vec2 corner;
in vec3 from;
in vec3 to;
in float begin;
in float end;
in vec2 style;
${STYLE}
void main() {
  vec4 a = projectionMatrix * viewMatrix * vec4(from, 1.0);
  vec4 b = projectionMatrix * viewMatrix * vec4(to, 1.0);
  vec2 way = (b.xy / b.w - a.xy / a.w) * uScreen;
  float length2 = dot(way, way);
  way = length2 > 1e-6 ? way * inversesqrt(length2) : vec2(1.0, 0.0);
  vCut = style.y;
  vFeed = style.x;
  vSeconds = mix(begin, end, corner.x);
  float half_ = 0.5 * mix(uWidth.x, uWidth.y, step(0.5, vCut));
  vec2 out_ = vec2(-way.y, way.x) * corner.y + way * (corner.x * 2.0 - 1.0) * 0.7;
  vec4 place = mix(a, b, corner.x);
  place.xy += out_ * half_ * 2.0 / uScreen * place.w;
  place.z -= ${BIAS} * place.w;
  gl_Position = place;
}`;

const THIN = `
in float time;
in vec2 style;
${STYLE}
void main() {
  vCut = style.y;
  vFeed = style.x;
  vSeconds = time;
  gl_Position = projectionMatrix * viewMatrix * vec4(position, 1.0);
  gl_Position.z -= ${BIAS} * gl_Position.w;
}`;

const FRAGMENT = `
uniform float uSeconds;
uniform float uTotal;
uniform float uMode;
uniform float uDone;
uniform vec3 uAhead;
uniform vec3 uRapid;
uniform vec3 uPlain;
uniform vec3 uRamp[${RAMP.length}];
in float vSeconds;
flat in float vFeed;
flat in float vCut;
out vec4 colour;
vec3 ramp(float share) {
  float at = clamp(share, 0.0, 1.0) * float(${RAMP.length - 1});
  int low = min(int(at), ${RAMP.length - 2});
  return mix(uRamp[low], uRamp[low + 1], at - float(low));
}
void main() {
  bool done = vSeconds <= uSeconds;
  // Between two stretches there is nothing to be seen.
  if (vCut > 0.25 && vCut < 0.75) discard;
  if (done != (uDone > 0.5)) discard;
  bool cut = vCut > 0.5;
  vec3 made = uMode > 1.5 ? uPlain : ramp(uMode > 0.5 ? vSeconds / uTotal : vFeed);
  vec3 base = !cut ? uRapid : done ? made : uAhead;
  colour = vec4(base, cut ? (done ? 1.0 : 0.8) : 0.3);
}`;

type Uniforms = ReturnType<typeof uniformsOf>;

function uniformsOf() {
  return {
    uScreen: { value: new Vector2(1, 1) },
    uWidth: { value: new Vector2(1, 2) },
    uSeconds: { value: 0 },
    uTotal: { value: 1 },
    uMode: { value: 0 },
    uAhead: { value: new Vector3() },
    uRapid: { value: new Vector3() },
    uPlain: { value: new Vector3() },
    uRamp: { value: RAMP.map((colour) => new Vector3().fromArray(colour)) },
  };
}

/** Values for each point, so that they can be read as those of the segment that ends at it. */
interface PointValues {
  points: Float32Array;
  times: Float32Array;
  /** For each point two of 0..255: the feed among the program's feeds, and whether the segment to it is a cut, or none. */
  styles: Uint8Array;
}

const STYLE_STRIDE = 4;
const NO_SEGMENT = 128;
/** Points of a path that moves where drawing is slow. */
const MOST_MOVED = 16_384;

function valuesOf(scene: Scene, sample: Sample | null): PointValues {
  const chosen = sample?.chosen ?? null;
  const count = chosen === null ? scene.segments + 1 : chosen.length;
  const points = chosen === null ? scene.points : new Float32Array(3 * count);
  const times = new Float32Array(count);
  const styles = new Uint8Array(STYLE_STRIDE * count);
  const [low, high] = feedRange(scene) ?? [0, 1];
  const scale = high > low ? 255 / (high - low) : 0;
  for (let at = 0; at < count; at += 1) {
    const point = chosen === null ? at : (chosen[at] as number);
    if (chosen !== null) for (let k = 0; k < 3; k += 1) points[3 * at + k] = scene.points[3 * point + k] as number;
    if (point === 0) continue;
    times[at] = scene.seconds[point - 1] as number;
    // A path of one feed is light: it has nothing to compare.
    styles[STYLE_STRIDE * at] = scale === 0 ? 190 : Math.max(0, ((scene.feed[point - 1] as number) - low) * scale);
    styles[STYLE_STRIDE * at + 1] = (scene.kind[point - 1] as number) * 255;
  }
  for (const at of sample?.breaks ?? []) styles[STYLE_STRIDE * at + 1] = NO_SEGMENT;
  return { points, times, styles };
}

function broad(values: PointValues): InstancedBufferGeometry {
  const geometry = new InstancedBufferGeometry();
  geometry.setAttribute("corner", new BufferAttribute(new Float32Array([0, -1, 0, 1, 1, -1, 1, 1]), 2));
  geometry.setIndex([0, 2, 1, 1, 2, 3]);
  // Each segment reads its beginning and its end out of the same row of points.
  const points = new InstancedInterleavedBuffer(values.points, 3, 1);
  geometry.setAttribute("from", new InterleavedBufferAttribute(points, 3, 0));
  geometry.setAttribute("to", new InterleavedBufferAttribute(points, 3, 3));
  const times = new InstancedInterleavedBuffer(values.times, 1, 1);
  geometry.setAttribute("begin", new InterleavedBufferAttribute(times, 1, 0));
  geometry.setAttribute("end", new InterleavedBufferAttribute(times, 1, 1));
  const styles = new InstancedInterleavedBuffer(values.styles, STYLE_STRIDE, 1);
  geometry.setAttribute("style", new InterleavedBufferAttribute(styles, 2, STYLE_STRIDE, true));
  geometry.instanceCount = values.times.length - 1;
  return geometry;
}

/** Return two strips over the same values. */
function thin(values: PointValues): [BufferGeometry, BufferGeometry] {
  const first = new BufferGeometry();
  first.setAttribute("position", new BufferAttribute(values.points, 3));
  first.setAttribute("time", new BufferAttribute(values.times, 1));
  const styles = new InterleavedBuffer(values.styles, STYLE_STRIDE);
  first.setAttribute("style", new InterleavedBufferAttribute(styles, 2, 0, true));
  const second = new BufferGeometry();
  for (const name of ["position", "time", "style"]) second.setAttribute(name, first.getAttribute(name));
  return [first, second];
}

/** Return how many of the points have been passed at `seconds`. */
function passed(times: Float32Array, seconds: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) <= seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How a path is drawn: broad strokes, thin lines, thin lines through some of its points, or through some stretches. */
export type PathLook = "broad" | "thin" | "thinned" | "stretches";

/** One look of a path, built. */
interface Built {
  group: Group;
  times: Float32Array;
  /** The strips of what is to come and of what is done; null where strokes are drawn, which are few. */
  strips: readonly [BufferGeometry, BufferGeometry] | null;
}

export class PathLines {
  readonly group = new Group();

  readonly #uniforms: Uniforms = uniformsOf();
  readonly #looks = new Map<PathLook, Built>();
  /** What is to come, and what is done: a program of the graphics card goes with its last material, so these stay. */
  readonly #broad = [false, true].map((done) => this.#material(done, BROAD));
  readonly #thin = [false, true].map((done) => this.#material(done, THIN));
  #scene: Scene | null = null;
  #look: PathLook = "broad";

  setScene(scene: Scene): void {
    this.#forget();
    this.#scene = scene;
    this.#uniforms.uTotal.value = Math.max(scene.totalSeconds, 1e-3);
    this.#show();
  }

  setLook(look: PathLook): void {
    if (look === this.#look) return;
    this.#look = look;
    this.#show();
  }

  setPalette(palette: Palette): void {
    this.#uniforms.uAhead.value.fromArray(palette.ahead);
    this.#uniforms.uRapid.value.fromArray(palette.ink);
    this.#uniforms.uPlain.value.fromArray(palette.path);
  }

  /** Set the picture's size in its own pixels, and how many of them are one of the page's. */
  setScreen(width: number, height: number, ratio: number): void {
    this.#uniforms.uScreen.value.set(width, height);
    this.#uniforms.uWidth.value.set(1.2 * ratio, 2.4 * ratio);
  }

  set(moment: Moment): void {
    this.group.visible = moment.colouring !== "none";
    this.#uniforms.uSeconds.value = moment.seconds;
    this.#uniforms.uMode.value = MODES[moment.colouring];
    const built = this.#looks.get(this.#look);
    if (built === undefined || built.strips === null) return;
    // Each of the two strips has its part only: what the other draws costs nothing. The segment under way is in both.
    const done = passed(built.times, moment.seconds);
    const [ahead, behind] = built.strips;
    ahead.setDrawRange(Math.max(0, done - 1), Infinity);
    behind.setDrawRange(0, done + 1);
  }

  dispose(): void {
    this.#forget();
    for (const material of [...this.#broad, ...this.#thin]) material.dispose();
  }

  /** Let go of what was built for a scene. */
  #forget(): void {
    for (const { group } of this.#looks.values()) group.traverse(release);
    this.#looks.clear();
    this.group.clear();
  }

  /** Draw the path in the look of the moment; one that was built once is kept. */
  #show(): void {
    const scene = this.#scene;
    if (scene === null || scene.segments === 0) return;
    const built = this.#looks.get(this.#look) ?? this.#build(scene, this.#look);
    this.#looks.set(this.#look, built);
    this.group.clear();
    this.group.add(built.group);
  }

  #build(scene: Scene, look: PathLook): Built {
    const { low, high } = scene.block;
    const size = Math.max(high[0] - low[0], high[1] - low[1]);
    const few = look === "thinned" || look === "stretches" ? thinned(scene, size / 400) : null;
    const values = valuesOf(scene, few === null ? null : sampled(few, look === "stretches" ? MOST_MOVED : Infinity));
    const group = new Group();
    const strips = look === "broad" ? null : thin(values);
    const strokes = strips === null ? broad(values) : null;
    for (const done of [0, 1] as const) {
      const lines = strips === null ? new Mesh(strokes ?? undefined, this.#broad[done]) : new Line(strips[done], this.#thin[done]);
      lines.frustumCulled = false;
      lines.renderOrder = 2 + done;
      group.add(lines);
    }
    return { group, times: values.times, strips };
  }

  #material(done: boolean, vertexShader: string): ShaderMaterial {
    return new ShaderMaterial({
      uniforms: { ...this.#uniforms, uDone: { value: done ? 1 : 0 } },
      vertexShader,
      fragmentShader: FRAGMENT,
      glslVersion: GLSL3,
      transparent: true,
      depthTest: done,
      depthWrite: false,
    });
  }
}

const MODES = { feed: 0, time: 1, plain: 2, none: 2 } as const satisfies Record<Colouring, number>;

function release(part: Object3D): void {
  if (part instanceof Mesh || part instanceof Line) (part.geometry as BufferGeometry).dispose();
}

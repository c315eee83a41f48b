// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The stock: a sheet of cells that the vertex shader lifts to the heights of a texture, and the block's four sides.
 *
 * The sheet may be far coarser than the texture: what it looks like is computed for each pixel from the texture itself.
 */
import {
  BufferAttribute,
  BufferGeometry,
  ClampToEdgeWrapping,
  DataTexture,
  DataUtils,
  FloatType,
  GLSL3,
  HalfFloatType,
  LinearFilter,
  Mesh,
  RedFormat,
  ShaderMaterial,
  Vector2,
  Vector3,
  Vector4,
} from "three";
import type { Palette } from "./colours";
import type { Relief } from "./scene";

const VERTEX = `
uniform sampler2D uHeight;
uniform vec4 uPlace;
uniform vec2 uRange;
in vec2 side;
out vec2 vUv;
out vec2 vSide;
void main() {
  vUv = position.xy;
  vSide = side;
  float height = position.z > 0.5 ? 0.0 : textureLod(uHeight, position.xy, 0.0).r;
  vec3 place = vec3(uPlace.xy + position.xy * uPlace.zw, mix(uRange.x, uRange.y, height));
  gl_Position = projectionMatrix * viewMatrix * vec4(place, 1.0);
}`;

/** Light comes over the left shoulder and turns with the picture's edge, not with the piece: grooves keep their shade. */
const FRAGMENT = `
uniform sampler2D uHeight;
uniform vec2 uTexel;
uniform vec2 uSlope;
uniform vec3 uStock;
uniform vec3 uSide;
uniform vec3 uCut;
uniform vec3 uLight;
in vec2 vUv;
in vec2 vSide;
out vec4 colour;
float at(vec2 shift) { return textureLod(uHeight, vUv + shift * uTexel, 0.0).r; }
void main() {
  float height = at(vec2(0.0));
  if (height < 0.003) discard;
  vec3 normal = vec3(vSide, 0.0);
  vec3 base = uSide;
  float shade = 1.0;
  if (dot(vSide, vSide) < 0.5) {
    vec2 slope = vec2(at(vec2(1.0, 0.0)) - at(vec2(-1.0, 0.0)), at(vec2(0.0, 1.0)) - at(vec2(0.0, -1.0))) * uSlope;
    normal = normalize(vec3(-slope, 1.0));
    base = mix(uStock, uCut, smoothstep(0.0, 0.012, 1.0 - height));
    float around = at(vec2(5.0, 0.0)) + at(vec2(-5.0, 0.0)) + at(vec2(0.0, 5.0)) + at(vec2(0.0, -5.0));
    shade = 1.0 - clamp((around * 0.25 - height) * abs(uSlope.x) * 0.16, 0.0, 0.45);
  }
  float light = max(dot(normal, uLight), 0.0);
  colour = vec4(base * shade * (0.46 + 0.66 * light), 1.0);
}`;

/** Return a sheet of nx by ny cells over 0..1, with a wall down from each of its edges. */
function sheet(nx: number, ny: number): BufferGeometry {
  const [columns, rows] = [nx + 1, ny + 1];
  const walls = 2 * (2 * columns + 2 * rows);
  const position = new Float32Array(3 * (columns * rows + walls));
  const side = new Float32Array(2 * (columns * rows + walls));
  const index = new Uint32Array(6 * nx * ny + 6 * (2 * nx + 2 * ny));
  let [vertex, corner] = [0, 0];
  const put = (x: number, y: number, low: number, sx: number, sy: number): void => {
    position.set([x, y, low], 3 * vertex);
    side.set([sx, sy], 2 * vertex);
    vertex += 1;
  };
  const quad = (a: number, b: number, c: number, d: number): void => {
    index.set([a, b, c, c, b, d], corner);
    corner += 6;
  };
  for (let row = 0; row < rows; row += 1) for (let column = 0; column < columns; column += 1) put(column / nx, row / ny, 0, 0, 0);
  for (let row = 0; row < ny; row += 1) {
    for (let column = 0; column < nx; column += 1) {
      const at = row * columns + column;
      quad(at, at + 1, at + columns, at + columns + 1);
    }
  }
  const wall = (count: number, along: (t: number) => [number, number], sx: number, sy: number): void => {
    const first = vertex;
    for (let step = 0; step <= count; step += 1) {
      const [x, y] = along(step / count);
      put(x, y, 0, sx, sy);
      put(x, y, 1, sx, sy);
    }
    for (let step = 0; step < count; step += 1) {
      const at = first + 2 * step;
      quad(at, at + 1, at + 2, at + 3);
    }
  };
  wall(nx, (t) => [t, 0], 0, -1);
  wall(nx, (t) => [t, 1], 0, 1);
  wall(ny, (t) => [0, t], -1, 0);
  wall(ny, (t) => [1, t], 1, 0);
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(position, 3));
  geometry.setAttribute("side", new BufferAttribute(side, 2));
  geometry.setIndex(new BufferAttribute(index, 1));
  return geometry;
}

export class Stock {
  readonly mesh: Mesh<BufferGeometry, ShaderMaterial>;

  #relief: Relief | null = null;
  #texture: DataTexture | null = null;
  #cells = 0;
  /** Sheets by their cells: a picture changes between a few of them whenever it is touched and let go. */
  readonly #sheets = new Map<number, BufferGeometry>();

  /** `float` tells whether the graphics card interpolates textures of 32-bit figures; else they have 16 bits. */
  constructor(private readonly float: boolean) {
    const uniforms = {
      uHeight: { value: null as DataTexture | null },
      uPlace: { value: new Vector4() },
      uRange: { value: new Vector2() },
      uTexel: { value: new Vector2() },
      uSlope: { value: new Vector2() },
      uStock: { value: new Vector3() },
      uSide: { value: new Vector3() },
      uCut: { value: new Vector3() },
      uLight: { value: new Vector3(-0.4, -0.5, 0.77).normalize() },
    };
    const material = new ShaderMaterial({ uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT, glslVersion: GLSL3 });
    // Lines on the floor of a groove are drawn over it.
    material.polygonOffset = true;
    material.polygonOffsetFactor = 1;
    material.polygonOffsetUnits = 2;
    this.mesh = new Mesh(new BufferGeometry(), material);
    this.mesh.frustumCulled = false;
    this.mesh.visible = false;
  }

  setPalette(palette: Palette): void {
    const { uStock, uSide, uCut } = this.mesh.material.uniforms;
    (uStock?.value as Vector3).fromArray(palette.stock);
    (uSide?.value as Vector3).fromArray(palette.side);
    (uCut?.value as Vector3).fromArray(palette.cut);
  }

  /** Turn the light with the one who looks. */
  setLight(azimuth: number): void {
    const [sin, cos] = [Math.sin(azimuth), Math.cos(azimuth)];
    const [right, away] = [-0.62, -0.22];
    (this.mesh.material.uniforms["uLight"]?.value as Vector3).set(right * cos - away * sin, right * sin + away * cos, 0.74).normalize();
  }

  setRelief(relief: Relief): void {
    const changed = this.#relief === null || this.#relief.nx !== relief.nx || this.#relief.ny !== relief.ny;
    this.#relief = relief;
    if (changed) this.#newTexture(relief);
    this.#fill(relief);
    const u = this.mesh.material.uniforms;
    const [wide, deep] = [relief.nx * relief.cellMm, relief.ny * relief.cellMm];
    (u["uPlace"]?.value as Vector4).set(relief.x0, relief.y0, wide, deep);
    (u["uRange"]?.value as Vector2).set(relief.bottom, relief.top);
    (u["uTexel"]?.value as Vector2).set(1 / relief.nx, 1 / relief.ny);
    const rise = (relief.top - relief.bottom) / (2 * relief.cellMm);
    (u["uSlope"]?.value as Vector2).set(rise, rise);
    if (changed) {
      this.#forget();
      this.#mesh();
    }
    this.mesh.visible = true;
  }

  /** Set how many cells of the sheet lie along the longer side. */
  setCells(cells: number): void {
    if (this.#cells === cells) return;
    this.#cells = cells;
    this.#mesh();
  }

  dispose(): void {
    this.#texture?.dispose();
    this.#forget();
    this.mesh.material.dispose();
  }

  #mesh(): void {
    const relief = this.#relief;
    if (relief === null || this.#cells === 0) return;
    const known = this.#sheets.get(this.#cells);
    if (known !== undefined) {
      this.mesh.geometry = known;
      return;
    }
    const step = Math.max(relief.nx, relief.ny) / this.#cells;
    const count = (cells: number): number => Math.max(1, Math.min(cells, Math.round(cells / step)));
    this.mesh.geometry = sheet(count(relief.nx), count(relief.ny));
    this.#sheets.set(this.#cells, this.mesh.geometry);
  }

  #forget(): void {
    for (const geometry of this.#sheets.values()) geometry.dispose();
    this.#sheets.clear();
  }

  #newTexture(relief: Relief): void {
    this.#texture?.dispose();
    const size = relief.nx * relief.ny;
    const data = this.float ? new Float32Array(size) : new Uint16Array(size);
    const texture = new DataTexture(data, relief.nx, relief.ny, RedFormat, this.float ? FloatType : HalfFloatType);
    texture.minFilter = LinearFilter;
    texture.magFilter = LinearFilter;
    texture.wrapS = ClampToEdgeWrapping;
    texture.wrapT = ClampToEdgeWrapping;
    texture.unpackAlignment = 1;
    this.#texture = texture;
    const uniform = this.mesh.material.uniforms["uHeight"];
    if (uniform !== undefined) uniform.value = texture;
  }

  #fill(relief: Relief): void {
    const texture = this.#texture;
    if (texture === null) return;
    const data = texture.image.data as Float32Array | Uint16Array;
    const { heights, bottom } = relief;
    const scale = 1 / Math.max(relief.top - bottom, 1e-6);
    if (this.float) for (let at = 0; at < heights.length; at += 1) data[at] = Math.max(0, ((heights[at] as number) - bottom) * scale);
    else for (let at = 0; at < heights.length; at += 1) data[at] = DataUtils.toHalfFloat(Math.max(0, ((heights[at] as number) - bottom) * scale));
    texture.needsUpdate = true;
  }
}

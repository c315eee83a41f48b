// SPDX-License-Identifier: GPL-3.0-or-later
/** The tool as it stands over its tip, and the lines on the table under the block. */
import { BufferAttribute, BufferGeometry, GLSL3, LatheGeometry, LineSegments, Mesh, ShaderMaterial, Vector2, Vector3 } from "three";
import type { Box } from "./camera";
import type { Palette } from "./colours";
import type { SceneTool } from "./scene";

const SIDES = 40;
/** Small cutters have a shank of an eighth of an inch; as much of it is shown as can be seen from afar, mm. */
const SHANK_RADIUS = 1.5875;
const SHANK = 16;

const TOOL_VERTEX = `
out vec3 vNormal;
void main() {
  vNormal = normalize(normalMatrix * normal);
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const TOOL_FRAGMENT = `
uniform vec3 uColour;
in vec3 vNormal;
out vec4 colour;
void main() {
  float light = max(dot(vNormal, normalize(vec3(-0.5, 0.4, 0.76))), 0.0);
  colour = vec4(uColour * (0.45 + 0.6 * light), 0.86);
}`;

/** Return the outline of a tool from its tip upwards: radius and height, mm. */
function outline(tool: SceneTool): Vector2[] {
  const radius = Math.max(tool.diameter / 2, 0.05);
  const flute = Math.max(tool.flute_length, 2 * radius);
  const shank = Math.max(radius, SHANK_RADIUS);
  const points = [new Vector2(0, 0)];
  let top = 0;
  if (tool.shape === "ball") {
    for (let step = 1; step <= 10; step += 1) {
      const angle = (Math.PI / 2) * (step / 10);
      points.push(new Vector2(radius * Math.sin(angle), radius * (1 - Math.cos(angle))));
    }
    top = radius;
  } else if (tool.shape === "v") {
    const point = Math.min(tool.tip_diameter / 2, radius);
    top = (radius - point) / Math.tan((Math.min(Math.max(tool.tip_angle, 1), 179) * Math.PI) / 360);
    points.push(new Vector2(point, 0), new Vector2(radius, top));
  } else {
    points.push(new Vector2(radius, 0));
  }
  const neck = Math.max(top, flute);
  points.push(new Vector2(radius, neck), new Vector2(shank, neck + shank - radius));
  points.push(new Vector2(shank, neck + SHANK), new Vector2(0, neck + SHANK));
  return points;
}

export class ToolShape {
  readonly mesh: Mesh<BufferGeometry, ShaderMaterial>;
  #shown: SceneTool | null = null;

  constructor() {
    const uniforms = { uColour: { value: new Vector3() } };
    const material = new ShaderMaterial({ uniforms, vertexShader: TOOL_VERTEX, fragmentShader: TOOL_FRAGMENT, glslVersion: GLSL3, transparent: true });
    this.mesh = new Mesh(new BufferGeometry(), material);
    // The outline turns about Y; here a tool stands along Z.
    this.mesh.rotation.x = Math.PI / 2;
    this.mesh.renderOrder = 5;
    this.mesh.visible = false;
  }

  setPalette(palette: Palette): void {
    (this.mesh.material.uniforms["uColour"]?.value as Vector3).fromArray(palette.tool);
  }

  show(tool: SceneTool | undefined, place: readonly [number, number, number] | null): void {
    this.mesh.visible = tool !== undefined && place !== null;
    if (tool === undefined || place === null) return;
    if (this.#shown !== tool) {
      this.mesh.geometry.dispose();
      this.mesh.geometry = new LatheGeometry(outline(tool), SIDES);
      this.#shown = tool;
    }
    this.mesh.position.set(...place);
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}

const GRID_VERTEX = `
void main() { gl_Position = projectionMatrix * viewMatrix * vec4(position, 1.0); }`;
const GRID_FRAGMENT = `
uniform vec3 uColour;
out vec4 colour;
void main() { colour = vec4(uColour, 1.0); }`;

const STEPS_MM = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const LINES = 12;

export class Table {
  readonly lines: LineSegments<BufferGeometry, ShaderMaterial>;

  constructor() {
    const uniforms = { uColour: { value: new Vector3() } };
    const material = new ShaderMaterial({ uniforms, vertexShader: GRID_VERTEX, fragmentShader: GRID_FRAGMENT, glslVersion: GLSL3, depthWrite: false });
    this.lines = new LineSegments(new BufferGeometry(), material);
    this.lines.frustumCulled = false;
    this.lines.renderOrder = -1;
  }

  setPalette(palette: Palette): void {
    (this.lines.material.uniforms["uColour"]?.value as Vector3).fromArray(palette.grid);
  }

  /** Draw lines under `box`, in round millimetres from the zero. */
  setBox(box: Box): void {
    const { low, high } = box;
    const span = Math.max(high[0] - low[0], high[1] - low[1], 1);
    const step = STEPS_MM.find((mm) => span / mm <= LINES) ?? span / LINES;
    const [x0, x1] = [Math.floor(low[0] / step) - 1, Math.ceil(high[0] / step) + 1];
    const [y0, y1] = [Math.floor(low[1] / step) - 1, Math.ceil(high[1] / step) + 1];
    const z = low[2] - 0.01 * span;
    const places: number[] = [];
    for (let x = x0; x <= x1; x += 1) places.push(x * step, y0 * step, z, x * step, y1 * step, z);
    for (let y = y0; y <= y1; y += 1) places.push(x0 * step, y * step, z, x1 * step, y * step, z);
    this.lines.geometry.dispose();
    this.lines.geometry = new BufferGeometry();
    this.lines.geometry.setAttribute("position", new BufferAttribute(new Float32Array(places), 3));
  }

  dispose(): void {
    this.lines.geometry.dispose();
    this.lines.material.dispose();
  }
}

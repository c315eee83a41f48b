// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * A program's path and a relief of material as docs/http-api.md packs them (`Scene`, letters IMSC, and `Relief`, IMRL):
 * read in place, so that half a million segments cost one allocation. Lengths mm, feeds mm/min, times s.
 */
import type { Position } from "../types";

export interface SceneTool {
  number: number;
  name: string;
  shape: "flat" | "ball" | "v" | "turning";
  diameter: number;
  flute_length: number;
  tip_angle: number;
  tip_diameter: number;
  /** Whether the machine's table has it: one that it lacks, also number 0, is drawn as a guess. */
  known: boolean;
}

export interface Scene {
  segments: number;
  totalSeconds: number;
  distanceMm: number;
  cutMm: number;
  bounds: { x: [number, number]; y: [number, number]; z: [number, number] } | null;
  block: { low: Position; high: Position };
  /** Nobody has said what the program cuts into: the block was reckoned from it. */
  guessed: boolean;
  tools: SceneTool[];
  /** The job that goes this path; null for a program's. */
  job: string | null;
  /** False where segments were left out for their number. */
  whole: boolean;
  /** The beginning, then the end of each segment: 3 (n + 1). */
  points: Float32Array;
  /** Planned time at the end of each segment. */
  seconds: Float32Array;
  line: Uint32Array;
  /** 0 for a rapid. */
  feed: Float32Array;
  /** 0 rapid, 1 cut. */
  kind: Uint8Array;
  /** Index into `tools`. */
  tool: Uint8Array;
}

/** Heights over a grid of cells, ny rows of nx from the front left corner x0, y0. */
export interface Relief {
  nx: number;
  ny: number;
  cellMm: number;
  x0: number;
  y0: number;
  bottom: number;
  top: number;
  removedMm3: number;
  plannedMm3: number | null;
  seconds: number | null;
  /** The job that has cut it; null for what a program will leave. */
  job: string | null;
  /** mm; `bottom` is through. */
  heights: Float32Array;
}

/** What came is not the form that was agreed. */
export class MalformedPicture extends Error {
  override readonly name = "MalformedPicture";

  constructor(readonly detail: string) {
    super(`The picture's data cannot be read: ${detail}.`);
  }
}

const VERSION = 1;
const HEAD_BYTES = 8;
const FINEST = 65535;
const KINDS = { f32: Float32Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array } as const;

type ArrayKind = keyof typeof KINDS;
type Arrays = Record<string, InstanceType<(typeof KINDS)[ArrayKind]>>;

interface Header {
  version: number;
  arrays: { name: string; type: ArrayKind; length: number }[];
}

function unpack<Fields>(buffer: ArrayBuffer, letters: string): { header: Header & Fields; arrays: Arrays } {
  if (buffer.byteLength < HEAD_BYTES) throw new MalformedPicture(`${buffer.byteLength} bytes`);
  const found = String.fromCharCode(...new Uint8Array(buffer, 0, 4));
  if (found !== letters) throw new MalformedPicture(`it begins with ${JSON.stringify(found)} instead of ${letters}`);
  const length = new DataView(buffer).getUint32(4, true);
  if (HEAD_BYTES + length > buffer.byteLength) throw new MalformedPicture("its header is cut off");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, HEAD_BYTES, length))) as Header & Fields;
  if (header.version !== VERSION) throw new MalformedPicture(`it has version ${header.version}`);
  const arrays: Arrays = {};
  let at = HEAD_BYTES + length;
  for (const { name, type, length: count } of header.arrays) {
    const Kind = KINDS[type];
    if (Kind === undefined) throw new MalformedPicture(`the array ${name} is of the kind ${type}`);
    at = Math.ceil(at / 4) * 4;
    const bytes = count * Kind.BYTES_PER_ELEMENT;
    if (at + bytes > buffer.byteLength) throw new MalformedPicture(`the array ${name} is cut off`);
    arrays[name] = new Kind(buffer, at, count);
    at += bytes;
  }
  return { header, arrays };
}

function array<Kind extends Arrays[string]>(arrays: Arrays, name: string, kind: new (length: number) => Kind, length: number): Kind {
  const found = arrays[name];
  if (!(found instanceof kind)) throw new MalformedPicture(`there is no array ${name}`);
  if (found.length !== length) throw new MalformedPicture(`the array ${name} has ${found.length} values instead of ${length}`);
  return found;
}

interface SceneFields {
  segments: number;
  seconds: number;
  distance_mm: number;
  cut_mm: number;
  bounds: Scene["bounds"];
  block: Scene["block"];
  guessed: boolean;
  tools: SceneTool[];
  job: string | null;
  whole: boolean;
}

/** Read `Scene`. Throws MalformedPicture. */
export function readScene(buffer: ArrayBuffer): Scene {
  const { header, arrays } = unpack<SceneFields>(buffer, "IMSC");
  const n = header.segments;
  return {
    segments: n,
    totalSeconds: header.seconds,
    distanceMm: header.distance_mm,
    cutMm: header.cut_mm,
    bounds: header.bounds,
    block: header.block,
    guessed: header.guessed,
    tools: header.tools,
    job: header.job,
    whole: header.whole,
    points: array(arrays, "points", Float32Array, 3 * (n + 1)),
    seconds: array(arrays, "seconds", Float32Array, n),
    line: array(arrays, "line", Uint32Array, n),
    feed: array(arrays, "feed", Float32Array, n),
    kind: array(arrays, "kind", Uint8Array, n),
    tool: array(arrays, "tool", Uint8Array, n),
  };
}

interface ReliefFields {
  nx: number;
  ny: number;
  cell_mm: number;
  x0: number;
  y0: number;
  bottom: number;
  top: number;
  removed_mm3: number;
  planned_mm3: number | null;
  seconds: number | null;
  job: string | null;
}

/** Read `Relief`. Throws MalformedPicture. */
export function readRelief(buffer: ArrayBuffer): Relief {
  const { header, arrays } = unpack<ReliefFields>(buffer, "IMRL");
  const { nx, ny, bottom, top } = header;
  const packed = array(arrays, "height", Uint16Array, nx * ny);
  const step = (top - bottom) / FINEST;
  return {
    nx,
    ny,
    cellMm: header.cell_mm,
    x0: header.x0,
    y0: header.y0,
    bottom,
    top,
    removedMm3: header.removed_mm3,
    plannedMm3: header.planned_mm3,
    seconds: header.seconds,
    job: header.job,
    heights: Float32Array.from(packed, (value) => bottom + step * value),
  };
}

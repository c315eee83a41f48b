// SPDX-License-Identifier: GPL-3.0-or-later
/** Motion by hand: directions, keys of the keyboard, feeds, and the calls of the pages around it. */
import { get, post } from "../../shared/api";
import type {
  AxisName,
  ControllerSettings,
  JogEnd,
  Machine,
  OverrideKind,
  Position,
  ProbeAnswer,
  ProbePost,
  Recording,
} from "../../shared/types";
import { MOTION_TIMEOUT_MS, type Attempt } from "./attempt";
import type { Console } from "./state.svelte";
import type { Key } from "./words";

/** The keys of the pad: where each leads, and where it stands in the cross. */
export const DIRECTIONS = [
  { name: "Y+", towards: [0, 1, 0], place: "north", key: "ArrowUp" },
  { name: "X−", towards: [-1, 0, 0], place: "west", key: "ArrowLeft" },
  { name: "X+", towards: [1, 0, 0], place: "east", key: "ArrowRight" },
  { name: "Y−", towards: [0, -1, 0], place: "south", key: "ArrowDown" },
  { name: "Z+", towards: [0, 0, 1], place: "up", key: "PageUp" },
  { name: "Z−", towards: [0, 0, -1], place: "down", key: "PageDown" },
] as const satisfies readonly { name: string; towards: Position; place: string; key: string }[];

export type Direction = (typeof DIRECTIONS)[number];

/** Steps of discrete motion, mm; null: as long as the key is held. */
export const STEPS = [null, 0.1, 1, 10] as const;
export type Step = (typeof STEPS)[number];

export const AXES = ["x", "y", "z"] as const satisfies readonly AxisName[];

export type Speed = "slow" | "normal";

export const SPEED = { slow: "hand.slow", normal: "hand.normal" } as const satisfies Record<Speed, Key>;

/** One fifth of the bound is slow enough to touch off by eye. */
const SLOW_SHARE = 0.2;

/** Return the feed in mm/min, never above what the machine allows by hand. */
export function feedOf(speed: Speed, machine: Machine): number {
  const bound = machine.hand?.max_feed ?? 0;
  return speed === "normal" ? bound : Math.max(1, Math.round((bound * SLOW_SHARE) / 10) * 10);
}

export const ENDED = {
  released: "jog.ended.released",
  "not renewed": "jog.ended.silent",
  "the end of the travel": "jog.ended.travel",
  stopped: "jog.ended.stopped",
  "the connection was lost": "jog.ended.lost",
} as const satisfies Record<JogEnd, Key>;

const at = (machine: Machine, rest: string): string => `api/machines/${encodeURIComponent(machine.id)}/${rest}`;
const motion = { timeoutMs: MOTION_TIMEOUT_MS };

/** Move by one step; answered once the axes stand. */
export function step(desk: Console, machine: Machine, by: Position, feed: number): Promise<Attempt<unknown>> {
  return desk.attempt("refusal.what.jog", machine, () => post(at(machine, "jog"), { by, feed, area_clear: true }, motion));
}

/** Let the place where the machine stands read `reads` mm in work coordinates. */
export function setZero(desk: Console, machine: Machine, reads: Partial<Record<AxisName, number>>): Promise<Attempt<unknown>> {
  return desk.attempt("refusal.what.zero", machine, () => post(at(machine, "zero"), { reads }));
}

export function probe(desk: Console, machine: Machine, request: ProbePost): Promise<Attempt<ProbeAnswer>> {
  return desk.attempt("refusal.what.probe", machine, () => post<ProbeAnswer>(at(machine, "probe"), request, motion));
}

export function park(desk: Console, machine: Machine): Promise<Attempt<unknown>> {
  return desk.attempt("refusal.what.park", machine, () => post(at(machine, "park"), { area_clear: true }, motion));
}

export function override(desk: Console, machine: Machine, kind: OverrideKind, percent: number): Promise<Attempt<unknown>> {
  return desk.attempt("refusal.what.override", machine, () => post(at(machine, "overrides"), { [kind]: percent }));
}

export function settings(desk: Console, machine: Machine): Promise<Attempt<ControllerSettings>> {
  return desk.attempt("refusal.what.settings", machine, () => get<ControllerSettings>(at(machine, "settings")));
}

export function keepSettings(desk: Console, machine: Machine): Promise<Attempt<unknown>> {
  return desk.attempt("refusal.what.keep", machine, () => post(at(machine, "settings/keep")));
}

export function restoreSettings(desk: Console, machine: Machine, numbers: number[]): Promise<Attempt<ControllerSettings>> {
  const body = { numbers, confirm: true };
  return desk.attempt("refusal.what.restore", machine, () => post<ControllerSettings>(at(machine, "settings/restore"), body, motion));
}

export function recordings(desk: Console, machine: Machine): Promise<Attempt<Recording[]>> {
  return desk.attempt("refusal.what.recordings", machine, () => get<Recording[]>(at(machine, "recordings")));
}

/** Return where a recording is downloaded from. */
export function recordingAt(machine: Machine, name: string): string {
  return at(machine, `recordings/${encodeURIComponent(name)}`);
}

/** Return the name of the file that a recording becomes. */
export function recordingFile(machine: Machine, name: string): string {
  return `${machine.id}-${name}.jsonl`;
}

export function story(desk: Console, machine: Machine, name: string): Promise<Attempt<{ sentences: string[] }>> {
  return desk.attempt("refusal.what.recordings", machine, () => get<{ sentences: string[] }>(`${recordingAt(machine, name)}/story`));
}

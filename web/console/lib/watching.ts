// SPDX-License-Identifier: GPL-3.0-or-later
/** What a machine on OPC UA tells of itself: its clock, the time when nobody saw it, and why the link is lost. */
import { date } from "../../shared/format";
import type { ControllerMode, DoorState, EmergencyStop, Execution, Gap } from "../../shared/types";
import type { Figures } from "./figures";
import type { Key } from "./words";

/** Clocks that differ by less agree well enough for a person. */
const CLOCK_S = 60;
const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;
const YEAR_S = 365.25 * DAY_S;

export const MODE = {
  AUTOMATIC: "mode.automatic",
  MANUAL: "mode.manual",
  MANUAL_DATA_INPUT: "mode.mdi",
  UNAVAILABLE: "value.unknown",
} as const satisfies Record<ControllerMode, Key>;

export const CHANNEL = {
  READY: "channel.ready",
  ACTIVE: "channel.active",
  INTERRUPTED: "channel.interrupted",
  FEED_HOLD: "channel.hold",
  STOPPED: "channel.stopped",
  PROGRAM_COMPLETED: "channel.completed",
  UNAVAILABLE: "value.unknown",
} as const satisfies Record<Execution, Key>;

export const DOOR = {
  OPEN: "door.open",
  CLOSED: "door.closed",
  UNLATCHED: "door.unlatched",
  UNAVAILABLE: "value.unknown",
} as const satisfies Record<DoorState, Key>;

export const CIRCUIT = {
  ARMED: "circuit.armed",
  TRIGGERED: "circuit.triggered",
  UNAVAILABLE: "value.unknown",
} as const satisfies Record<EmergencyStop, Key>;

/** Return how far the machine's clock is off, in words; empty where it agrees or is not known. */
export function clockOff(desk: Figures, seconds: number | null, shows: string | null): string {
  if (seconds === null || Math.abs(seconds) <= CLOCK_S) return "";
  const time = span(desk, Math.abs(seconds));
  const word = desk.t(seconds > 0 ? "clock.ahead" : "clock.behind", { time });
  return shows === null ? word : `${word} ${desk.t("clock.shows", { time: moment(desk, shows) })}`;
}

/** Return a long time in its biggest unit: nobody needs the seconds of seven years. */
function span(desk: Figures, seconds: number): string {
  if (seconds >= YEAR_S) return desk.t("span.years", { n: Math.floor(seconds / YEAR_S) });
  if (seconds >= 2 * DAY_S) return desk.t("span.days", { n: Math.floor(seconds / DAY_S) });
  if (seconds >= HOUR_S) return desk.t("span.hours", { h: Math.floor(seconds / HOUR_S), m: Math.floor((seconds % HOUR_S) / MINUTE_S) });
  return desk.t("span.minutes", { n: Math.floor(seconds / MINUTE_S) });
}

function moment(desk: Figures, iso: string): string {
  return `${date(iso, desk.words.language)}, ${hour(new Date(iso), false)}`;
}

function hour(at: Date, exact: boolean): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return [at.getHours(), at.getMinutes(), ...(exact ? [at.getSeconds()] : [])].map(two).join(":");
}

export interface GapWords {
  when: string;
  parts: string;
}

/** Return when nobody saw the machine, and what its own counter says about that time. */
export function gapWords(desk: Figures, gap: Gap, now: Date = new Date()): GapWords {
  const ended = new Date(gap.ended);
  const parts = gap.parts === null ? desk.t("gap.parts.unknown") : desk.t("gap.parts", { n: gap.parts });
  if (gap.seconds === null) return { when: desk.t("gap.until", { time: moment(desk, gap.ended) }), parts };
  const began = new Date(ended.getTime() - 1000 * gap.seconds);
  // The beginning and the end of a short one would read the same.
  const exact = gap.seconds < 2 * MINUTE_S;
  const range = `${hour(began, exact)}–${hour(ended, exact)}`;
  const today = ended.toDateString() === now.toDateString() && began.toDateString() === now.toDateString();
  return { when: desk.t("gap.when", { time: today ? range : `${date(gap.ended, desk.words.language)}, ${range}` }), parts };
}

/** A part of a reason: words, or what is to be typed or compared exactly as it stands. */
export interface Piece {
  kind: "words" | "command" | "print";
  text: string;
}

// A command stands between backticks, with a blank in it, or begins with the program's name; a thumbprint is 20 bytes or more.
const EXACT = /`([^`\s]+ [^`]+)`|(infomobil-edge opcua [^;,.]+(?:[.,][^\s;,.]+)*)|\b((?:[0-9A-Fa-f]{2}[: ]?){19,31}[0-9A-Fa-f]{2})\b/g;

/** Return a reason in its pieces, so that a long thumbprint and a command can be read and copied. */
export function pieces(reason: string): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of reason.matchAll(EXACT)) {
    found.push({ kind: "words", text: reason.slice(from, match.index) });
    const [whole, quoted, named, print] = match;
    found.push(print === undefined ? { kind: "command", text: (quoted ?? named ?? "").trim() } : { kind: "print", text: print });
    from = match.index + whole.length;
  }
  found.push({ kind: "words", text: reason.slice(from) });
  // What joined the pieces in one sentence joins nothing now.
  const trimmed = found.map((piece) => ({ ...piece, text: piece.text.replace(/^[\s.,;:)]+|[\s(]+$/g, "") }));
  return trimmed.filter((piece) => /[\p{L}\p{N}]/u.test(piece.text));
}

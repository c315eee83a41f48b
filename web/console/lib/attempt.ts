// SPDX-License-Identifier: GPL-3.0-or-later
/** A call whose refusal is shown where it was made. */
import type { Lines } from "./refusals";

/** Calls that are answered once the axes stand wait this long: a long travel at a low feed takes its time. */
export const MOTION_TIMEOUT_MS = 120_000;

export type Attempt<Answer> = { answer: Answer; lines: null } | { answer: null; lines: Lines };

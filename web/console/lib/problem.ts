// SPDX-License-Identifier: GPL-3.0-or-later
/** What went wrong with a call, in the three lines that every refusal has. */
import { ApiRefusal, ApiUnreachable } from "../../shared/api";
import type { Tone } from "../../shared/tone";
import type { Check, Interlock } from "../../shared/types";
import type { Lines, Refusals } from "./refusals";

export interface Problem {
  lines: Lines;
  tone: Extract<Tone, "red" | "amber">;
  /** The check that the approval was given for does not hold any more. */
  outdated?: boolean;
}

const OUTDATED = "check-outdated";
const CHANGED = "changed-since";

/**
 * Return the three lines for `error`; anything that is not a failed call is thrown on.
 *
 * `what` is the page's own first line, used where the service sent none.
 */
export function problemOf(error: unknown, what: string, refusals: Refusals, interlock: Interlock | null): Problem {
  const { spoken } = refusals;
  const { t } = spoken;
  if (error instanceof ApiUnreachable) {
    return { tone: "red", lines: { what, reasons: [{ why: t(error.timedOut ? "call.late" : "call.away"), remedy: t("call.todo") }] } };
  }
  if (!(error instanceof ApiRefusal)) throw error;
  if (error.reasons.length > 0) {
    const outdated = error.reasons.some((reason) => reason.permissive === OUTDATED);
    const changes = error.reasons.filter((reason) => reason.permissive === CHANGED).map((reason) => reason.why);
    return { tone: "amber", lines: { what, reasons: refusals.reasons(error.reasons, interlock), changes }, outdated };
  }
  if (error.what === "" || error.code.startsWith("http-")) {
    return { tone: "red", lines: { what, reasons: [{ why: t("call.status", { status: error.status }), remedy: t("call.todo") }] } };
  }
  return { tone: error.status >= 500 ? "red" : "amber", lines: { what, reasons: [spoken.refused(error)] } };
}

/** Return the check of a program that came along with a refusal, or null. */
export function checkIn(body: unknown): Check | null {
  return typeof body === "object" && body !== null && "check" in body ? (body.check as Check | null) : null;
}

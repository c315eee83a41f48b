// SPDX-License-Identifier: GPL-3.0-or-later
/** Why a change was not made, in the page's own words: by the refusal's code where it is known, else by its status. */
import { ApiRefusal, ApiUnreachable } from "../../shared/api";
import type { Places } from "../../shared/i18n.svelte";
import type { Key } from "./words";

export interface Spoken {
  why: Key;
  todo: Key;
  places: Places;
  /** The service's own sentences, in English; empty where they say no more than ours. */
  detail: string;
}

const STATUS: Partial<Record<number, [why: Key, todo: Key]>> = {
  401: ["refused.login", "refused.login.todo"],
  403: ["refused.rights", "refused.rights.todo"],
  404: ["refused.unknown", "refused.unknown.todo"],
  409: ["refused.conflict", "refused.conflict.todo"],
  413: ["refused.large", "refused.large.todo"],
  422: ["refused.value", "refused.value.todo"],
  429: ["refused.often", "refused.often.todo"],
  503: ["refused.ledger", "refused.ledger.todo"],
};

/** Return why and what to do about a call that failed. */
export function spoken(failed: ApiRefusal | ApiUnreachable): Spoken {
  if (failed instanceof ApiUnreachable) {
    return { why: failed.timedOut ? "refused.late" : "refused.away", todo: "refused.away.todo", places: {}, detail: "" };
  }
  const [why, todo] = STATUS[failed.status] ?? (["refused.other", "refused.other.todo"] as const);
  const places = { status: failed.status, n: Math.ceil(failed.retryAfterS ?? 0) };
  return { why, todo, places, detail: [failed.why, failed.remedy].filter((part) => part !== "").join(" ") };
}

/** Hand a failed call on to where it is shown; anything else is a fault and goes on. */
export function failure(error: unknown): ApiRefusal | ApiUnreachable {
  if (error instanceof ApiRefusal || error instanceof ApiUnreachable) return error;
  throw error;
}

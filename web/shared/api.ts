// SPDX-License-Identifier: GPL-3.0-or-later
/** Calls to the page's own server, typed, each with a deadline; every failure is one of two errors. */

import type { ErrorBody, Refusal } from "./base-types";

/** The server answered and refused: three lines for a person, a code for the page. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly what: string,
    readonly why: string,
    readonly remedy: string,
    /** Seconds until it is worth trying again, or null. */
    readonly retryAfterS: number | null,
    readonly reasons: readonly Refusal[],
    /** The whole answer: some refusals carry more, such as a program's check. */
    readonly body: unknown,
  ) {
    super(what);
  }
}

/** No answer: the server is away, the network is, or the deadline has passed. The words are the page's own. */
export class ApiUnreachable extends Error {
  override readonly name = "ApiUnreachable";

  constructor(
    readonly path: string,
    readonly timedOut: boolean,
  ) {
    super(timedOut ? `No answer from ${path} in time.` : `No connection for ${path}.`);
  }
}

export interface CallOptions {
  /** Sent as JSON, or as it is when it is a Blob or bytes. */
  body?: unknown;
  /** Sent beside the kind of the body. */
  headers?: Record<string, string>;
  /** Milliseconds until the call is given up. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

export const TIMEOUT_MS = 8000;
const NOT_MODIFIED = 304;

function payload(body: unknown): { body?: BodyInit; headers: Record<string, string> } {
  if (body === undefined) return { headers: {} };
  if (body instanceof Blob || body instanceof ArrayBuffer) {
    return { body, headers: { "Content-Type": "application/octet-stream" } };
  }
  return { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
}

function isErrorBody(value: unknown): value is { error: ErrorBody } {
  return (
    typeof value === "object" &&
    value !== null &&
    "error" in value &&
    typeof value.error === "object" &&
    value.error !== null &&
    "what" in value.error
  );
}

/** Return the refusal that an answer with this status and this decoded body is. */
export function refusalOf(status: number, body: unknown): ApiRefusal {
  if (!isErrorBody(body)) return new ApiRefusal(status, `http_${status}`, "", "", "", null, [], body);
  const { code, what, why, remedy, retry_after_s, reasons } = body.error;
  return new ApiRefusal(status, code, what, why, remedy, retry_after_s ?? null, reasons ?? [], body);
}

async function refusal(response: Response): Promise<ApiRefusal> {
  let body: unknown = null;
  try {
    body = await response.json();
  } catch (error) {
    // A proxy or a crashed server answers with something that is not JSON: the status alone has to do.
    if (!(error instanceof SyntaxError)) throw error;
  }
  return refusalOf(response.status, body);
}

/**
 * Send one request and return what `read` makes of the answer.
 *
 * Paths are relative to the page, which is served at `/` of its own server. Throws ApiRefusal or ApiUnreachable, or an
 * AbortError when `signal` ends the call.
 */
async function request<Answer>(
  method: string,
  path: string,
  options: CallOptions,
  read: (response: Response) => Promise<Answer>,
): Promise<Answer> {
  const deadline = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  deadline.addEventListener("abort", abort);
  options.signal?.addEventListener("abort", abort);
  if (options.signal?.aborted) abort();
  try {
    const { headers, ...sent } = payload(options.body);
    const response = await fetch(path, {
      method,
      ...sent,
      headers: { ...headers, ...options.headers },
      cache: "no-store",
      credentials: "same-origin",
      signal: controller.signal,
    });
    if (!response.ok && response.status !== NOT_MODIFIED) throw await refusal(response);
    return await read(response);
  } catch (error) {
    if (error instanceof ApiRefusal) throw error;
    if (options.signal?.aborted) throw error;
    throw new ApiUnreachable(path, deadline.aborted);
  } finally {
    options.signal?.removeEventListener("abort", abort);
    deadline.removeEventListener("abort", abort);
  }
}

/** Send one request and return the decoded answer. */
export function call<Answer>(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  return request(method, path, options, async (response) => (response.status === 204 ? undefined : await response.json()) as Answer);
}

/** A binary answer, and the mark by which it can be asked for again. */
export interface Bytes {
  bytes: ArrayBuffer;
  etag: string | null;
}

/** Get a binary answer; null where it is still the one that `etag` marks. */
export function getBytes(path: string, options: CallOptions & { etag?: string | null } = {}): Promise<Bytes | null> {
  const { etag, ...rest } = options;
  const headers = { ...rest.headers, ...(etag ? { "If-None-Match": etag } : {}) };
  return request("GET", path, { ...rest, headers }, async (response) =>
    response.status === NOT_MODIFIED ? null : { bytes: await response.arrayBuffer(), etag: response.headers.get("ETag") },
  );
}

export const get = <Answer>(path: string, options?: CallOptions): Promise<Answer> => call<Answer>("GET", path, options);

export const post = <Answer>(path: string, body?: unknown, options?: CallOptions): Promise<Answer> =>
  call<Answer>("POST", path, body === undefined ? options : { ...options, body });

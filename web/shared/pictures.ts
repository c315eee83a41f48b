// SPDX-License-Identifier: GPL-3.0-or-later
/** Pictures that the service makes: asked for again by their marks, and what it means that none comes. */
import { ApiRefusal, ApiUnreachable, getBytes } from "./api";
import { MalformedPicture } from "./viewer/scene";

/** A picture, and the mark by which it is asked for again. */
export interface Marked<Picture> {
  picture: Picture;
  etag: string | null;
}

export type Answer<Picture> =
  | { came: "new"; marked: Marked<Picture> }
  /** It is still the one that is known. */
  | { came: "same" }
  /** The service has looked, and gives none: `code` says why. */
  | { came: "none"; code: string }
  /** It was away or busy, or what came could not be read: worth asking again. */
  | { came: "later" }
  /** `signal` has ended the call. */
  | { came: "withdrawn" };

/** A long program is planned and milled before its picture can be sent. */
const TIMEOUT_MS = 60_000;
/** After this long a picture is asked for again that could not be had. */
export const AGAIN_MS = 20_000;
const TOO_OFTEN = 429;
const SERVER = 500;

/** Ask for a picture that `read` understands, or whether it is still the `known` one. The figures beside it tell all. */
export async function ask<Picture>(
  path: string,
  read: (bytes: ArrayBuffer) => Picture,
  known: Marked<Picture> | null,
  signal?: AbortSignal,
): Promise<Answer<Picture>> {
  try {
    const answer = await getBytes(path, { timeoutMs: TIMEOUT_MS, etag: known?.etag ?? null, ...(signal ? { signal } : {}) });
    return answer === null ? { came: "same" } : { came: "new", marked: { picture: read(answer.bytes), etag: answer.etag } };
  } catch (error) {
    if (signal?.aborted) return { came: "withdrawn" };
    if (error instanceof ApiUnreachable || error instanceof MalformedPicture) return { came: "later" };
    if (!(error instanceof ApiRefusal)) throw error;
    return error.status === TOO_OFTEN || error.status >= SERVER ? { came: "later" } : { came: "none", code: error.code };
  }
}

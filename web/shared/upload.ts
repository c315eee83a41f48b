// SPDX-License-Identifier: GPL-3.0-or-later
/** Sends a file and tells how much of it has gone: `fetch` does not. Failures are those of api.ts. */
import { ApiUnreachable, refusalOf } from "./api";

/**
 * Post a file as it is and return the decoded answer; `ongone` hears the share that has left, 0..1.
 *
 * Throws ApiRefusal or ApiUnreachable.
 */
export function postFile<Answer>(path: string, file: Blob, ongone: (share: number) => void, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.timeout = timeoutMs;
    request.responseType = "text";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) ongone(event.loaded / event.total);
    };
    request.upload.onload = () => ongone(1);
    request.onerror = () => reject(new ApiUnreachable(path, false));
    request.ontimeout = () => reject(new ApiUnreachable(path, true));
    request.onload = () => {
      const body = decoded(request.responseText);
      if (request.status >= 200 && request.status < 300 && body !== undefined) resolve(body as Answer);
      else reject(refusalOf(request.status, body));
    };
    request.send(file);
  });
}

/** Return what was sent as JSON, or undefined: a proxy or a crashed server answers with something else. */
function decoded(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Continuous motion by hand as a lease: it lasts while this page renews it, and one sentence ends it.
 *
 * Nothing is ever kept for later: what cannot be sent now is not sent at all, and a lost socket means that the motion
 * has ended, because nobody renews it any more.
 */
import { socketAddress } from "../../shared/live.svelte";
import type { JogCommand, JogMessage, Position } from "../../shared/types";

/** Well inside the 250 ms after which the service ends a lease that nobody renewed. */
export const RENEW_MS = 100;
const RETRY_MS = 1000;

/** away: no socket; ready: nothing asked; asked: begun, not confirmed; live: the machine moves; ending: released, the axes slow down. */
export type JogState = "away" | "ready" | "asked" | "live" | "ending";
export type JogEnded = Extract<JogMessage, { type: "ended" }>;

export class Jog {
  state = $state<JogState>("away");
  /** How the last motion ended, until the next one begins. */
  ended = $state.raw<JogEnded | null>(null);
  readonly held = $derived(this.state === "asked" || this.state === "live");

  readonly #address: string;
  #socket: WebSocket | null = null;
  #renewal: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(machine: string) {
    this.#address = socketAddress(`api/machines/${encodeURIComponent(machine)}/jog`);
    this.#open();
  }

  /** Ask for motion; false where nothing can be asked for now. */
  begin(towards: Position, feed: number, pointer: number): boolean {
    if (this.state !== "ready" || document.visibilityState !== "visible") return false;
    this.ended = null;
    this.state = "asked";
    this.#send({ type: "begin", towards, feed, pointer });
    this.#renewal = setInterval(() => this.#send({ type: "renew" }), RENEW_MS);
    return true;
  }

  /** End the motion now. May be repeated. */
  end(): void {
    if (!this.held) return;
    clearInterval(this.#renewal);
    this.state = "ending";
    this.#send({ type: "end" });
  }

  close(): void {
    this.end();
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.close();
  }

  #open(): void {
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      if (!this.#closed) this.state = "ready";
    });
    socket.addEventListener("message", (event: MessageEvent<string>) => this.#hear(JSON.parse(event.data) as JogMessage));
    socket.addEventListener("close", () => this.#lost());
  }

  #send(command: JogCommand): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(command));
  }

  #hear(message: JogMessage): void {
    if (message.type === "jogging") {
      // A confirmation that comes after the release must not make a pad look live that nobody touches.
      if (this.state === "asked") this.state = "live";
      return;
    }
    clearInterval(this.#renewal);
    this.state = "ready";
    this.ended = message;
  }

  #lost(): void {
    clearInterval(this.#renewal);
    if (this.held) this.ended = { type: "ended", reason: "the connection was lost", error: null };
    this.state = "away";
    if (!this.#closed) this.#retry = setTimeout(() => this.#open(), RETRY_MS);
  }
}

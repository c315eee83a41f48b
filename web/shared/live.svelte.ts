// SPDX-License-Identifier: GPL-3.0-or-later
/** A WebSocket that comes back by itself and says how old its truth is. */

/**
 * connecting: never heard anything yet; live: heard within `staleAfterMs`; stale: connected, but silent for longer;
 * away: the connection is gone, the next attempt is planned.
 */
export type LiveState = "connecting" | "live" | "stale" | "away";

export interface LiveOptions<Message> {
  /** Silence in milliseconds after which the data counts as stale; null where the server sends on change only. */
  staleAfterMs?: number | null;
  /** Called for every message, after `message` was set. */
  onmessage?: (message: Message) => void;
  /** First and longest pause before a new attempt, in milliseconds. */
  backoffMs?: readonly [number, number];
}

/** Return the address of a WebSocket of the page's own server. */
export function socketAddress(path: string): string {
  const address = new URL(path, window.location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

export class Live<Message> {
  state: LiveState = $state("connecting");
  /** The newest message, or null before the first one. */
  message: Message | null = $state.raw(null);
  /** performance.now() of the newest message. */
  heardAt: number | null = $state(null);

  readonly #path: string;
  readonly #staleAfterMs: number | null;
  readonly #onmessage: ((message: Message) => void) | undefined;
  readonly #first: number;
  readonly #longest: number;
  #socket: WebSocket | null = null;
  #pause: number;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(path: string, options: LiveOptions<Message> = {}) {
    this.#path = path;
    this.#staleAfterMs = options.staleAfterMs ?? null;
    this.#onmessage = options.onmessage;
    [this.#first, this.#longest] = options.backoffMs ?? [500, 8000];
    this.#pause = this.#first;
    this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    this.#socket?.close();
    this.#socket = null;
  }

  #open(): void {
    const socket = new WebSocket(socketAddress(this.#path));
    this.#socket = socket;
    socket.addEventListener("open", () => this.#watch());
    socket.addEventListener("message", (event: MessageEvent<string>) => this.#receive(event.data));
    socket.addEventListener("close", () => this.#lost(socket));
  }

  #receive(data: string): void {
    if (this.#closed) return;
    this.#pause = this.#first;
    const message = JSON.parse(data) as Message;
    this.message = message;
    this.heardAt = performance.now();
    this.state = "live";
    this.#watch();
    this.#onmessage?.(message);
  }

  #watch(): void {
    if (this.#staleAfterMs === null) return;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (this.state === "live" || this.state === "connecting") this.state = "stale";
    }, this.#staleAfterMs);
  }

  #lost(socket: WebSocket): void {
    if (this.#closed || socket !== this.#socket) return;
    clearTimeout(this.#silence);
    this.state = "away";
    // Half of the pause is chance, so that three kiosks do not knock at the same moment after a restart.
    const wait = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(this.#pause * 2, this.#longest);
    this.#retry = setTimeout(() => this.#open(), wait);
  }
}

// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * The wire between client and server, with the faults that wires have.
 *
 * Clients connect here, the OPC UA server listens behind. A silent wire keeps connections open and lets nothing
 * through, as a pulled cable or a frozen control does; a cut wire resets its connections.
 */

import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export class Wire {
  #listener;
  #pairs = new Set();
  #open = Promise.resolve();
  #talk = null;

  constructor(host, port) {
    this.host = host;
    this.port = port;
    /** Milliseconds by which answers come late. */
    this.delayMs = 0;
    /** The loopback port that the server listens on. */
    this.serverPort = 0;
  }

  async start() {
    this.#listener = net.createServer({ noDelay: true }, (client) => this.#serve(client));
    this.#listener.listen(this.port, this.host);
    await once(this.#listener, "listening");
  }

  stop() {
    this.#listener?.close();
    this.cut();
  }

  /** Let nothing through, or everything again. */
  silence(silent) {
    if (silent && this.#talk === null) {
      this.#open = new Promise((resolve) => {
        this.#talk = resolve;
      });
    } else if (!silent && this.#talk !== null) {
      this.#talk();
      this.#talk = null;
    }
  }

  /** Reset every connection. */
  cut() {
    for (const socket of this.#pairs) socket.resetAndDestroy();
  }

  async #serve(client) {
    const both = [client];
    try {
      this.#keep(client);
      await this.#open;
      const server = net.connect({ port: this.serverPort, host: "127.0.0.1", noDelay: true });
      both.push(server);
      this.#keep(server);
      await once(server, "connect");
      await Promise.race([this.#pump(client, server, false), this.#pump(server, client, true)]);
    } catch {
      // The server behind is away or the connection was reset: the other side sees it closed.
    } finally {
      for (const socket of both) socket.destroy();
    }
  }

  #keep(socket) {
    this.#pairs.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#pairs.delete(socket));
  }

  async #pump(from, to, late) {
    for await (const data of from) {
      if (late && this.delayMs > 0) await sleep(this.delayMs);
      await this.#open;
      if (!to.write(data)) await once(to, "drain");
    }
  }
}

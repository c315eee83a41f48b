// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Run the lathe on node-opcua: `node server.mjs --endpoint opc.tcp://127.0.0.1:4840/lathe`.
 *
 * Speaks as `tests.hardware_sim.opcua_lathe` does, which describes the control lines: one JSON line when ready and one
 * for each control line. Control lines come on stdin, one per line; its end ends the server.
 */

import "./quiet.mjs";

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { ChannelMode } from "./lathe.mjs";
import { Machine } from "./machine.mjs";
import { UaServer } from "./ua.mjs";
import { Wire } from "./wire.mjs";

const TICK_MS = 50;

const ON_OFF = { on: true, off: false };

const { values: options } = parseArgs({
  options: {
    endpoint: { type: "string", default: "opc.tcp://127.0.0.1:4840/lathe" },
    // How many times faster than real time.
    speed: { type: "string", default: "1" },
    name: { type: "string", default: "Lathe" },
    // Wait for `start`.
    idle: { type: "boolean", default: false },
    // files, move, jobs: leave out the file system, its MoveOrCopy, or job control.
    without: { type: "string", multiple: true, default: [] },
    user: { type: "string" },
    "password-file": { type: "string" },
    // Basic256Sha256 and Aes128_Sha256_RsaOaep, Sign and SignAndEncrypt, and nothing else.
    security: { type: "boolean", default: false },
    // Take no client's certificate that is not in the folder's trust list.
    strict: { type: "boolean", default: false },
    // Certificate and key (PEM) in place of the server's own.
    certificate: { type: "string" },
    key: { type: "string" },
    // Folder of keys and certificates; a temporary one when missing.
    pki: { type: "string" },
  },
});

function oneOf(argument, words) {
  if (!Object.hasOwn(words, argument)) throw new RangeError(`not one of ${Object.keys(words).join(", ")}`);
  return words[argument];
}

function numberOf(argument) {
  const value = Number(argument);
  if (argument === "" || !Number.isFinite(value)) throw new RangeError("not a number");
  return value;
}

class Simulator {
  #restarts = 0;
  #clock;

  constructor() {
    const endpoint = new URL(options.endpoint.replace("opc.tcp:", "http:"));
    if (options["password-file"]) options.password = readFileSync(options["password-file"], "utf-8").trim();
    this.path = endpoint.pathname;
    this.pki = options.pki ?? mkdtempSync(join(tmpdir(), "node-opcua-lathe-"));
    this.wire = new Wire(endpoint.hostname, Number(endpoint.port));
    this.machine = new Machine(!options.idle, () => this.wire.cut());
    this.ua = new UaServer(this.machine, options, this.pki);
  }

  /** Run until standard input ends. */
  async run() {
    this.wire.serverPort = await this.ua.start(this.path, false);
    await this.wire.start();
    let before = performance.now();
    this.#clock = setInterval(() => {
      const now = performance.now();
      this.machine.lathe.advance(((now - before) / 1000) * Number(options.speed));
      before = now;
      this.ua.write();
    }, TICK_MS);
    this.#say({ ready: options.endpoint });
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.trim() !== "") await this.#obey(line.trim());
    }
    await this.stop();
  }

  async stop() {
    clearInterval(this.#clock);
    this.wire.stop();
    await this.ua.stop();
    if (options.pki === undefined) rmSync(this.pki, { recursive: true, force: true });
    process.exit(0);
  }

  async #obey(line) {
    const [command, ...rest] = line.split(" ");
    try {
      await this.#command(command, rest.join(" ").trim());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#say({ error: `'${line}': ${error.message}` });
      return;
    }
    this.ua.write();
    this.#say({ done: line, ...this.machine.facts(), ...this.ua.counts() });
  }

  async #command(command, argument) {
    const { lathe, faults } = this.machine;
    const [first, second = ""] = argument.split(" ");
    const commands = {
      start: () => lathe.start(),
      stop: () => lathe.stop(),
      mode: () => {
        lathe.mode = oneOf(argument, { automatic: ChannelMode.AUTOMATIC, manual: ChannelMode.JOG_MANUAL });
      },
      door: () => lathe.setDoor(oneOf(argument, { open: false, closed: true })),
      circuit: () => lathe.setCircuit(oneOf(argument, { open: false, closed: true })),
      override: () => {
        lathe.override = numberOf(argument);
      },
      alarm: () => this.#alarm(argument),
      silence: () => this.wire.silence(true),
      talk: () => this.wire.silence(false),
      cut: () => this.wire.cut(),
      slow: () => {
        this.wire.delayMs = numberOf(argument);
      },
      "drop-session": () => this.ua.dropSessions(),
      restart: () => this.#restart(),
      "subscription-delete": () => this.ua.deleteSubscriptions(),
      "max-sessions": () => {
        this.machine.maxSessions = argument === "off" ? null : numberOf(argument);
        this.ua.limitSessions();
      },
      clock: () => {
        this.machine.clockS = numberOf(argument);
      },
      badquality: () => {
        this.machine.badQuality = oneOf(argument, ON_OFF);
      },
      file: () => this.ua.putFile(first, Buffer.alloc(numberOf(second))),
      corrupt: () => {
        faults.corrupt = oneOf(argument, ON_OFF);
      },
      "cut-upload": () => {
        faults.cutAfter = numberOf(argument);
      },
      refuse: () => faults.refuse(first, second),
      delay: () => {
        faults.delays[first] = numberOf(second);
      },
      reset: () => this.#reset(),
      state: () => {},
    };
    await oneOf(command, commands)();
  }

  #alarm(text) {
    const { alarms } = this.machine.lathe;
    if (text !== "") {
      const code = String(700000 + alarms.size);
      alarms.set(code, text);
      this.ua.alarm(code, text, true);
      return;
    }
    for (const [code, old] of alarms) this.ua.alarm(code, old, false);
    alarms.clear();
  }

  #reset() {
    this.#alarm("");
    this.wire.silence(false);
    this.wire.delayMs = 0;
    this.machine.reset();
    this.machine.lathe.reset(false);
    this.machine.orders.clear();
    this.ua.eraseFiles();
    this.ua.limitSessions();
  }

  async #restart() {
    this.wire.cut();
    await this.ua.stop();
    this.#restarts += 1;
    this.ua = new UaServer(this.machine, options, this.pki);
    this.wire.serverPort = await this.ua.start(this.path, this.#restarts % 2 === 1);
  }

  #say(facts) {
    process.stdout.write(`${JSON.stringify(facts)}\n`);
  }
}

const simulator = new Simulator();
for (const name of ["SIGTERM", "SIGINT"]) process.once(name, () => simulator.stop());
await simulator.run();

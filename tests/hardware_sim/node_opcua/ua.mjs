// SPDX-License-Identifier: GPL-3.0-or-later
/** One life of the lathe's OPC UA server on the published nodesets; a restart makes another. */

import { MessageSecurityMode, OPCUACertificateManager, OPCUAServer, SecurityPolicy, nodesets } from "node-opcua";

import { FileSystem } from "./files.mjs";
import { JOB_NODES, JobReceiver } from "./jobs.mjs";
import { Model } from "./model.mjs";

const MODELS = ["di", "ia", "machinery", "isa95JobControl", "machineryJobs", "machineTool"];
const MANY_SESSIONS = 100;

export class UaServer {
  #server;
  #model;
  #files = null;
  #jobs = null;
  #live = false;

  /** @param {object} options of the command line  @param {string} pki folder of keys and certificates */
  constructor(machine, options, pki) {
    this.machine = machine;
    this.options = options;
    this.pki = pki;
  }

  /**
   * Listen on a free loopback port and return it.
   *
   * `updated` as after an update of the control: other namespace indexes, and the lathe of the maker's own type.
   */
  async start(path, updated) {
    const { options, machine } = this;
    const certificates = new OPCUACertificateManager({
      rootFolder: this.pki,
      automaticallyAcceptUnknownCertificate: !options.strict,
    });
    await certificates.initialize();
    this.#server = new OPCUAServer({
      host: "127.0.0.1",
      hostname: "127.0.0.1",
      port: 0,
      resourcePath: path,
      nodeset_filename: ["standard", ...(updated ? ["cnc"] : []), ...MODELS].map((name) => nodesets[name]),
      serverCertificateManager: certificates,
      userCertificateManager: certificates,
      certificateFile: options.certificate,
      privateKeyFile: options.key,
      securityModes: options.security
        ? [MessageSecurityMode.SignAndEncrypt, MessageSecurityMode.Sign]
        : [MessageSecurityMode.None],
      securityPolicies: options.security
        ? [SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes128_Sha256_RsaOaep]
        : [SecurityPolicy.None],
      allowAnonymous: options.user === undefined,
      userManager: {
        isValidUser: (user, password) => user === options.user && password === options.password,
      },
      serverCapabilities: { maxSessions: MANY_SESSIONS },
      serverInfo: {
        applicationName: { text: "InfoMobil training lathe" },
        applicationUri: "urn:infomobil:simulator:node-lathe",
      },
      skipOwnNamespace: true,
    });
    await this.#server.initialize();
    this.#build(updated);
    this.limitSessions();
    await this.#server.start();
    this.#live = true;
    for (const [code, text] of machine.lathe.alarms) this.#model.alarm(code, text, true);
    return this.#server.endpoints[0].port;
  }

  /** Stop listening and forget every session. */
  async stop() {
    this.#live = false;
    await this.#server?.shutdown(0);
  }

  /** Bring the nodes up to what the lathe does; a server that is away has none. */
  write() {
    if (!this.#live) return;
    this.#jobs?.advance();
    this.#model.write();
  }

  alarm(code, text, active) {
    this.#model.alarm(code, text, active);
  }

  /** Put a file into the program memory. */
  putFile(path, bytes) {
    this.#files?.put(path, bytes);
  }

  /** Empty the program memory. */
  eraseFiles() {
    this.#files?.erase();
  }

  /** Forget every session and its subscriptions; connections stay open. */
  dropSessions() {
    for (const session of this.#sessions()) {
      this.#server.engine.closeSession(session.authenticationToken, true, "Terminated");
    }
  }

  /** Delete every subscription, as a server does that is short of memory; sessions stay. */
  deleteSubscriptions() {
    for (const session of this.#sessions()) {
      for (const subscription of [...session.publishEngine.subscriptions]) session.deleteSubscription(subscription.id);
    }
  }

  /** Let in as many sessions as the machine says; those that are there stay. */
  limitSessions() {
    this.#server.engine.serverCapabilities.maxSessions = this.machine.maxSessions ?? MANY_SESSIONS;
  }

  /** Connections, sessions, subscriptions and files of clients. */
  counts() {
    const { engine } = this.#server;
    const sessions = this.#sessions();
    const owned = sessions.reduce((sum, session) => sum + session.currentSubscriptionCount, 0);
    return {
      connections: this.#server.endpoints.reduce((sum, endpoint) => sum + endpoint.currentChannelCount, 0),
      sessions: sessions.length,
      activated: sessions.filter((session) => session.status === "active").length,
      subscriptions: engine.currentSubscriptionCount,
      orphaned_subscriptions: engine.currentSubscriptionCount - owned,
      open_handles: this.#files?.openHandles ?? 0,
    };
  }

  #build(updated) {
    const { without } = this.options;
    const optionals = [
      ...(without.includes("files") ? [] : ["FileSystem"]),
      ...(without.includes("jobs") ? [] : JOB_NODES),
    ];
    const { addressSpace } = this.#server.engine;
    addressSpace.installAlarmsAndConditionsService();
    this.#model = new Model(addressSpace, this.machine, this.options.name, updated, optionals);
    if (!without.includes("files")) {
      this.#files = new FileSystem(this.#model, this.machine, !without.includes("move"));
      this.#server.on("session_closed", (session) => this.#files.sessionEnded(session));
    }
    if (!without.includes("jobs")) this.#jobs = new JobReceiver(this.#model, this.machine);
  }

  #sessions() {
    return this.#server.engine.getSessions();
  }
}

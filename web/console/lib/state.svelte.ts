// SPDX-License-Identifier: GPL-3.0-or-later
/** The console's state: the service's snapshot kept fresh by its deltas, and what this screen has chosen to look at. */
import { ApiRefusal, ApiUnreachable, get, post } from "../../shared/api";
import { Live } from "../../shared/live.svelte";
import type {
  ConsoleMessage,
  HeadcountPost,
  Job,
  Machine,
  Opening,
  Program,
  Snapshot,
  Visit,
  VisitPost,
} from "../../shared/types";
import { MOTION_TIMEOUT_MS } from "./attempt";
import { Calls } from "./calls.svelte";
import { CHECK_TIMEOUT_MS, Checks } from "./checks.svelte";
import { DELIVERY, NOT_DONE } from "./keys";
import { cutFor } from "./looked";
import { barMachine } from "./machine";
import { Notices } from "./notices.svelte";
import { Paths } from "./paths.svelte";
import { Pictures } from "./pictures.svelte";
import { problemOf } from "./problem";
import { Refusals, type Lines } from "./refusals";
import type { Asked, Delivery, Sheet, Tab } from "./screen";
import { Spoken } from "./spoken";
import { keepTheme, startTheme, type Theme } from "./theme";
import { keepLanguage } from "./words";

const SILENCE_MS = 3000;
/** A stop that takes longer than this has to be called undelivered: somebody is waiting with a hand on the machine. */
const STOP_TIMEOUT_MS = 2000;
const TICK_MS = 250;
const DELIVERY_MS = 6000;

export class Console extends Calls {
  snapshot = $state.raw<Snapshot | null>(null);
  tab = $state<Tab>("machine");
  side = $state<Exclude<Tab, "machine">>("queue");
  sheet = $state<Sheet | null>(null);
  /** The machine that is moved by hand, instead of the day. */
  hand = $state<string | null>(null);
  /** The operator has put the opening checklist aside; the bar above the day still says that it is not done. */
  openingAside = $state(false);
  theme = $state<Theme>(startTheme());
  /** performance.now(), four times a second: every countdown and age follows it. */
  now = $state(performance.now());
  delivery = $state.raw<Delivery | null>(null);
  readonly notices = new Notices();
  readonly paths = new Paths();
  readonly pictures = new Pictures((id) => this.#workOf(id));
  readonly checks = new Checks();
  live = $state.raw(this.#listen());

  #chosen = $state<string | null>(null);
  #visitAt = $state(performance.now());
  #syncAt = $state(performance.now());

  readonly machines = $derived(this.snapshot?.machines ?? []);
  readonly jobs = $derived(this.snapshot?.jobs ?? []);
  readonly visit = $derived(this.snapshot?.visit ?? null);
  readonly sync = $derived(this.snapshot?.sync ?? null);
  readonly programs = $derived(this.snapshot?.programs ?? []);
  readonly leftOut = $derived(this.snapshot?.left_out ?? []);
  readonly opening = $derived(this.snapshot?.opening?.needed ? this.snapshot.opening : null);
  readonly operator = $derived(this.snapshot?.operator ?? false);
  readonly chosen = $derived(this.machines.find((m) => m.id === this.#chosen) ?? this.machines[0] ?? null);
  readonly barMachine = $derived(barMachine(this.machines, this.chosen?.id ?? null));
  readonly stale = $derived(this.live.state === "stale" || this.live.state === "away");
  readonly silentS = $derived.by(() => (this.live.heardAt === null ? null : Math.max(0, (this.now - this.live.heardAt) / 1000)));
  readonly bellS = $derived.by(() => {
    const left = this.visit?.open ? this.visit.bell_in_s : null;
    return left === null || left === undefined ? null : left - (this.now - this.#visitAt) / 1000;
  });
  readonly sinceSync = $derived(Math.max(0, (this.now - this.#syncAt) / 1000));
  readonly nextJob = $derived(
    this.jobs.find((job) => job.state === "APPROVED" && job.machine === this.chosen?.id) ??
      this.jobs.find((job) => job.state === "REQUESTED" && job.machine === this.chosen?.id) ??
      null,
  );
  readonly spoken = $derived.by(() => new Spoken(this.t, this.words.language));
  readonly refusals = $derived.by(() => new Refusals(this.spoken, (ms) => this.age(ms)));

  constructor() {
    super();
    setInterval(() => this.touchClock(), TICK_MS);
  }

  #workOf(id: string): { job: string; program: string } | null {
    const machine = this.machines.find((candidate) => candidate.id === id);
    return machine?.job && machine.program ? { job: machine.job, program: machine.program } : null;
  }

  #listen(): Live<ConsoleMessage> {
    return new Live<ConsoleMessage>("api/live", { staleAfterMs: SILENCE_MS, onmessage: (message) => this.#apply(message) });
  }

  touchClock(): void {
    this.now = performance.now();
    if (this.delivery?.outcome === "delivered" && this.now - this.delivery.at > DELIVERY_MS) this.delivery = null;
  }

  choose(machine: string): void {
    this.#chosen = machine;
    this.tab = "machine";
    this.hand = null;
  }

  /** Show the page on which a machine is moved by hand. */
  takeInHand(machine: string): void {
    this.choose(machine);
    this.hand = machine;
  }

  show(side: Exclude<Tab, "machine">): void {
    this.side = side;
    this.tab = side;
    this.hand = null;
  }

  setLanguage(language: "lt" | "en"): void {
    this.words.language = language;
    document.documentElement.lang = language;
    keepLanguage(language);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    keepTheme(theme);
  }

  titleOf(item: Job | Program): string {
    return this.words.of(item.title);
  }

  jobOf(machine: Machine): Job | null {
    return machine.job === null ? null : (this.jobs.find((job) => job.id === machine.job) ?? null);
  }

  // Stop and hold: at once, without a login, never kept for later.

  async stopCommand(command: "hold" | "stop"): Promise<void> {
    const machine = this.barMachine;
    if (machine === null) return;
    const sent: Delivery = { command, machine: machine.name, outcome: "sending", at: performance.now(), problem: null };
    this.delivery = sent;
    try {
      await post(`api/machines/${encodeURIComponent(machine.id)}/${command}`, undefined, { timeoutMs: STOP_TIMEOUT_MS });
      this.#settle(sent, { outcome: "delivered", problem: null });
    } catch (error) {
      const what = this.t(DELIVERY[command].failed, { machine: machine.name });
      const problem = problemOf(error, what, this.refusals, machine.interlock);
      const reasons = problem.lines.reasons.map((reason) => ({ ...reason, remedy: this.t("bar.failed.todo") }));
      this.#settle(sent, { outcome: "failed", problem: { tone: "red", lines: { what, reasons } } });
    }
  }

  #settle(sent: Delivery, change: Pick<Delivery, "outcome" | "problem">): void {
    // A newer press has its own outcome; an undelivered one must not be painted over by an older answer.
    if (this.delivery === sent) this.delivery = { ...sent, ...change, at: performance.now() };
  }

  // Commands of an operator.

  ask(command: Exclude<Asked, "start">, machine = command === "resume" ? this.barMachine : this.chosen): void {
    if (machine !== null) this.sheet = { kind: "ask", command, machine: machine.id, job: null };
  }

  askStart(job: Job): void {
    this.sheet = { kind: "ask", command: "start", machine: job.machine, job: job.id };
  }

  /** Send what the operator confirmed in the sheet. */
  async confirm(asked: Extract<Sheet, { kind: "ask" }>): Promise<void> {
    this.sheet = null;
    if (asked.command === "start" && asked.job !== null) {
      await this.act(asked.job, "refusal.what.job", async () => {
        this.putJob(await post<Job>(`api/jobs/${encodeURIComponent(asked.job ?? "")}/start`, { area_clear: true }));
        this.choose(asked.machine);
      });
    } else if (asked.command !== "start") {
      await this.command(asked.command, asked.machine);
    }
  }

  async command(command: "resume" | "home" | "park" | "reset" | "unlock", id: string | undefined = this.chosen?.id): Promise<void> {
    const machine = this.machines.find((candidate) => candidate.id === id);
    if (machine === undefined) return;
    const body = command === "reset" || command === "unlock" ? undefined : { area_clear: true };
    const options = command === "home" || command === "park" ? { timeoutMs: MOTION_TIMEOUT_MS } : undefined;
    await this.act(
      machine.id,
      command === "park" ? "refusal.what.park" : NOT_DONE[command],
      async () => void (await post(`api/machines/${encodeURIComponent(machine.id)}/${command}`, body, options)),
      machine,
    );
  }

  /** Show what is cut for a job; where a machine is at it, as it is cut. */
  look(job: Job): void {
    const live = this.machines.some((machine) => machine.job === job.id);
    this.sheet = { kind: "program", ...cutFor(job), live };
  }

  approve(job: Job): Promise<void> {
    return this.act(job.id, "refusal.what.approve", () => this.#approve(job, this.checks.seen(job)));
  }

  /** Approve a job for the check with that digest, or for the one that the service makes now. */
  async #approve(job: Job, digest: string | null): Promise<void> {
    const body = digest === null ? undefined : { check_digest: digest };
    this.putJob(await post<Job>(`api/jobs/${encodeURIComponent(job.id)}/approve`, body, { timeoutMs: CHECK_TIMEOUT_MS }));
  }

  /** Check a job's program again for the machine as it stands now, and approve it. */
  recheck(job: Job): Promise<void> {
    return this.act(job.id, "refusal.what.approve", async () => {
      const again = await post<Job>(`api/jobs/${encodeURIComponent(job.id)}/recheck`, undefined, { timeoutMs: CHECK_TIMEOUT_MS });
      this.putJob(again);
      if (again.check_digest !== null) this.checks.saw(cutFor(again), again.check_digest);
      await this.#approve(again, again.check_digest);
    });
  }

  decline(job: string, reason: string): Promise<void> {
    this.sheet = null;
    return this.act(job, "refusal.what.decline", async () => {
      this.putJob(await post<Job>(`api/jobs/${encodeURIComponent(job)}/decline`, { reason }));
    });
  }

  /** Put a program into the queue; null when it is there, else the three lines. */
  addJob(program: string, machine: string): Promise<Lines | null> {
    return this.lines("refusal.what.add", async () => {
      this.putJob(await post<Job>("api/jobs", { program, machine }));
    });
  }

  putProgram(program: Program): void {
    this.#put({ programs: [...this.programs.filter((known) => known.id !== program.id), program] });
  }

  openVisit(request: VisitPost): Promise<Lines | null> {
    return this.lines("refusal.what.open", async () => this.#putVisit(await post<Visit>("api/visits", request)));
  }

  /** Write a headcount; null once the service has it on disk, else the three lines. */
  headcount(visit: string, entry: HeadcountPost): Promise<Lines | null> {
    return this.lines("refusal.what.headcount", async () => {
      this.#putVisit(await post<Visit>(`api/visits/${encodeURIComponent(visit)}/headcounts`, entry));
    });
  }

  setBell(visit: string, minutes: number | null): Promise<void> {
    this.sheet = null;
    return this.act(visit, "refusal.what.bell", async () => {
      this.#putVisit(await post<Visit>(`api/visits/${encodeURIComponent(visit)}/bell`, { in_minutes: minutes }));
    });
  }

  closeVisit(visit: string): Promise<void> {
    this.sheet = null;
    return this.act(visit, "refusal.what.close", async () => {
      this.#putVisit(await post<Visit>(`api/visits/${encodeURIComponent(visit)}/close`));
    });
  }

  // Who is at the console.

  /** Try a PIN. A wrong one answers with the seconds to wait. */
  async login(pin: string): Promise<"in" | "unreachable" | { retry_after_s: number }> {
    try {
      await post("api/login", { pin });
    } catch (error) {
      if (error instanceof ApiUnreachable) return "unreachable";
      if (error instanceof ApiRefusal) return error.status === 401 || error.status === 429 ? { retry_after_s: error.retryAfterS ?? 0 } : "unreachable";
      throw error;
    }
    await this.#again();
    return "in";
  }

  async lock(): Promise<void> {
    try {
      await post("api/logout");
    } catch (error) {
      if (!(error instanceof ApiRefusal || error instanceof ApiUnreachable)) throw error;
      this.notices.add({ level: "attention", text: this.t("lock.failed"), code: "", facts: {} });
      return;
    }
    this.sheet = null;
    this.hand = null;
    this.forgetProblems();
    this.notices.clear();
    if (this.snapshot !== null) this.snapshot = { ...this.snapshot, operator: false, jobs: [], visit: null, programs: [], left_out: [], opening: null };
    await this.#again();
  }

  /** Ask for everything anew, and for a socket that knows who is asking. */
  async #again(): Promise<void> {
    this.live.close();
    this.live = this.#listen();
    try {
      this.#apply({ type: "snapshot", snapshot: await get<Snapshot>("api/snapshot") });
    } catch (error) {
      // The socket's own first message brings the same snapshot; its silence shows as STALE.
      if (!(error instanceof ApiRefusal || error instanceof ApiUnreachable)) throw error;
    }
  }

  #apply(message: ConsoleMessage): void {
    switch (message.type) {
      case "snapshot":
        this.snapshot = message.snapshot;
        this.paths.retry();
        this.pictures.retry();
        this.#visitAt = this.#syncAt = performance.now();
        break;
      case "machine":
        this.putMachine(message.machine);
        break;
      case "jobs":
        this.#put({ jobs: message.jobs });
        break;
      case "visit":
        this.#putVisit(message.visit);
        break;
      case "sync":
        this.#put({ sync: message.sync });
        this.#syncAt = performance.now();
        break;
      case "notice":
        this.notices.add(message.notice);
        break;
      case "programs":
        this.#put({ programs: message.programs, left_out: message.left_out });
        break;
      case "opening":
        this.putOpening(message.opening);
        break;
      case "check":
        this.checks.hear(message);
        break;
      case "twin":
        this.pictures.hear(message);
        break;
    }
    this.touchClock();
  }

  #put(change: Partial<Snapshot>): void {
    if (this.snapshot !== null) this.snapshot = { ...this.snapshot, ...change };
  }

  putOpening(opening: Opening): void {
    if (!opening.needed) this.openingAside = false;
    this.#put({ opening });
  }

  putMachine(machine: Machine): void {
    this.#put({ machines: this.machines.map((known) => (known.id === machine.id ? machine : known)) });
  }

  putJob(job: Job): void {
    const known = this.jobs.some((candidate) => candidate.id === job.id);
    this.#put({ jobs: known ? this.jobs.map((candidate) => (candidate.id === job.id ? job : candidate)) : [...this.jobs, job] });
  }

  #putVisit(visit: Visit | null): void {
    this.#put({ visit });
    this.#visitAt = performance.now();
  }

  protected override lockedOut(): void {
    this.#put({ operator: false });
  }

  protected override interlockOf(job: string): Machine["interlock"] {
    const machine = this.jobs.find((candidate) => candidate.id === job)?.machine;
    return this.machines.find((candidate) => candidate.id === machine)?.interlock ?? null;
  }
}

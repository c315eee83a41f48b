// SPDX-License-Identifier: GPL-3.0-or-later
/** One visitor's way through the kiosk, and what the kiosk knows of the lab. */

import { ApiRefusal, ApiUnreachable, get, post } from "../../shared/api";
import type { Language } from "../../shared/i18n.svelte";
import { Live } from "../../shared/live.svelte";
import type {
  Depth,
  JobState,
  KioskJob,
  KioskLive,
  KioskState,
  Now,
  Path,
  Piece,
  RequestAnswer,
  RequestPost,
  SessionPost,
} from "../../shared/types";
import { uuid } from "../../shared/uuid";
import { Attempt } from "./attempt.svelte";
import { Claims } from "./claims.svelte";
import { display } from "./display.svelte";
import { Idle } from "./idle.svelte";
import { spread } from "./path";
import { Pictures } from "./pictures.svelte";
import { Survey } from "./survey.svelte";
import { words } from "./words";

export type Screen =
  | "attract"
  | "language"
  | "checkin"
  | "survey"
  | "choose"
  | "name"
  | "depth"
  | "guess"
  | "job"
  | "thanks";

/** The stops of the line that the visitor travels. */
export const STOPS = ["checkin", "piece", "guess", "work", "compare"] as const;
export type Stop = (typeof STOPS)[number];

const ENDED: readonly JobState[] = ["DECLINED", "FINISHED", "ABORTED", "FAILED"];

const POLL_MS = 4000;
const THANKS_MS = 9000;
/** After the waking tap no button answers for this long, so that a double tap chooses nothing. */
const WAKE_MS = 500;
const STALE_MS = 6000;

export function kioskId(search: string): string {
  const wanted = new URLSearchParams(search).get("kiosk") ?? "";
  return /^[a-z0-9-]{1,32}$/.test(wanted) ? wanted : "k1";
}

export class Kiosk {
  readonly id: string;
  readonly claims: Claims;
  readonly idle: Idle;
  readonly checkIn = new Attempt();
  readonly asking = new Attempt();
  readonly survey = new Survey();
  readonly pictures = new Pictures();

  screen: Screen = $state("attract");
  /** True for a moment after waking. */
  waking = $state(false);
  /** The server's state; null before the first answer. */
  state: KioskState | null = $state.raw(null);
  /** Whether the last call was answered. */
  reachable = $state(true);
  pieces: Piece[] | null = $state.raw(null);
  paths: Record<string, Path> = $state.raw({});

  /* The visitor's turn; wiped with it. */
  session: string | null = $state(null);
  piece: Piece | null = $state.raw(null);
  text = $state("");
  depth: Depth = $state("normal");
  guess: number | null = $state(null);
  jobId: string | null = $state(null);
  claim: number | null = $state(null);
  job: KioskJob | null = $state.raw(null);
  waitS: number | null = $state(null);

  live: Live<KioskLive> | null = $state.raw(null);
  #liveNow: Now | null = $state.raw(null);
  #poll: ReturnType<typeof setInterval> | undefined;
  #thanks: ReturnType<typeof setTimeout> | undefined;

  constructor(id: string) {
    this.id = id;
    this.claims = new Claims(id);
    this.idle = new Idle(() => this.wipe());
  }

  /** What the lab makes at this moment, or null while unknown. */
  get now(): Now | null {
    return this.reachable ? (this.#liveNow ?? this.state?.now ?? null) : null;
  }

  /** Whether the machine has been silent for too long, so that what is shown may be old. */
  get stale(): boolean {
    return !this.reachable || this.live?.state === "stale" || this.live?.state === "away";
  }

  get closed(): boolean {
    return this.state !== null && !this.state.visit.open;
  }

  get stop(): Stop | null {
    switch (this.screen) {
      case "checkin":
        return "checkin";
      case "survey":
        return this.survey.moment === "before" ? "checkin" : "compare";
      case "choose":
      case "name":
      case "depth":
        return "piece";
      case "guess":
        return "guess";
      case "job":
        return this.job?.state === "FINISHED" ? "compare" : "work";
      default:
        return null;
    }
  }

  start(): () => void {
    void this.refresh();
    this.#poll = setInterval(() => void this.refresh(), POLL_MS);
    this.#listen(null);
    return () => {
      clearInterval(this.#poll);
      clearTimeout(this.#thanks);
      this.idle.watch(false);
      this.live?.close();
    };
  }

  async refresh(): Promise<void> {
    try {
      const state = await get<KioskState>(`api/kiosk/state?kiosk=${this.id}`);
      const first = this.state === null;
      this.state = state;
      this.reachable = true;
      this.idle.warnAfterS = state.idle.warn_after_s;
      this.idle.countdownS = state.idle.countdown_s;
      if (first || this.screen === "attract") words.language = state.visit.language;
      if (this.pieces === null || this.pieces.length === 0) await this.#fetchPieces();
    } catch (error) {
      if (!(error instanceof ApiUnreachable) && !(error instanceof ApiRefusal)) throw error;
      this.reachable = false;
    }
  }

  async #fetchPieces(): Promise<void> {
    const pieces = await get<Piece[]>("api/kiosk/pieces");
    this.pieces = pieces;
    for (const piece of pieces) {
      const path = await get<Path>(`api/kiosk/pieces/${encodeURIComponent(piece.id)}/path`);
      if (path.points.length > 1) this.paths = { ...this.paths, [piece.id]: spread(path) };
    }
  }

  #listen(job: string | null): void {
    this.live?.close();
    const query = job === null ? "" : `?job=${encodeURIComponent(job)}`;
    this.live = new Live<KioskLive>(`api/kiosk/live${query}`, {
      staleAfterMs: STALE_MS,
      onmessage: ({ now, job: mine }) => {
        this.#liveNow = now;
        if (mine !== null && mine.job === this.jobId) this.#hear(mine);
      },
    });
  }

  #hear(job: KioskJob): void {
    this.job = job;
    const working = ["RUNNING", "HELD", "INTERRUPTED"].includes(job.state);
    // Watching one's own piece is being there: nobody is asked while it is cut.
    if (this.screen === "job") this.idle.watch(!working);
  }

  /** The first tap: wakes, and chooses nothing. */
  wake(): void {
    this.screen = "language";
    this.waking = true;
    setTimeout(() => (this.waking = false), WAKE_MS);
    this.idle.watch(true);
    void this.#sift();
  }

  /** Look how the numbers given out here stand, so that only those are offered that lead somewhere. */
  async #sift(): Promise<void> {
    for (const { job } of this.claims.shown) {
      try {
        const { state } = await get<KioskJob>(`api/kiosk/jobs/${encodeURIComponent(job)}`);
        if (ENDED.includes(state)) this.claims.end(job);
      } catch (error) {
        if (error instanceof ApiUnreachable) return;
        if (!(error instanceof ApiRefusal)) throw error;
        if (error.status === 404) this.claims.drop(job);
      }
    }
  }

  choose(language: Language): void {
    words.language = language;
    this.screen = "checkin";
  }

  async arrive(): Promise<void> {
    // The same number for every try, so that a repeated tap counts once.
    this.session ??= uuid();
    const body: SessionPost = { kiosk: this.id, session: this.session, language: words.language };
    const answer = await this.checkIn.run(() => post<{ session: string }>("api/kiosk/sessions", body));
    if (answer !== null && this.screen === "checkin") {
      this.survey.begin("before");
      this.screen = "survey";
    }
    else if (this.checkIn.trouble === "refused") await this.refresh();
  }

  /** A score of the survey; after the last one the answers are sent. */
  async score(value: number): Promise<void> {
    if (this.survey.score(value)) await this.sendSurvey();
  }

  async sendSurvey(): Promise<void> {
    const { sending, moment } = this.survey;
    await this.survey.send(this.id, words.language);
    // The card has to be seen before; after, there is nothing left to see.
    if (sending !== this.survey.sending || this.screen !== "survey" || moment === "before") return;
    if (this.survey.written) this.#thank();
  }

  /** Out of the survey, answered or not: on to what the visitor came for. */
  leaveSurvey(): void {
    if (this.survey.moment === "after") this.#thank();
    else {
      // Whoever leaves the questions out before is not asked after.
      if (!this.survey.written) this.survey.card = null;
      this.screen = this.session === null ? "language" : "choose";
    }
  }

  /** Somebody comes back with a card. */
  answerAfter(): void {
    this.survey.begin("after");
    this.screen = "survey";
  }

  pick(piece: Piece): void {
    this.piece = piece;
    this.guess = null;
    this.text = "";
    this.depth = piece.depths.includes("normal") ? "normal" : (piece.depths[0] ?? "normal");
    this.asking.clear();
    if (piece.fields.length > 0) this.screen = "name";
    else this.screen = piece.depths.length > 0 ? "depth" : "guess";
  }

  /** The step before the present one, or null where there is no way back. */
  get before(): Screen | null {
    const { piece } = this;
    switch (this.screen) {
      case "checkin":
        return "language";
      case "name":
        return "choose";
      case "depth":
        return piece && piece.fields.length > 0 ? "name" : "choose";
      case "guess":
        if (piece && piece.depths.length > 0) return "depth";
        return piece && piece.fields.length > 0 ? "name" : "choose";
      default:
        return null;
    }
  }

  back(): void {
    this.asking.clear();
    this.screen = this.before ?? this.screen;
  }

  named(): void {
    this.screen = this.piece && this.piece.depths.length > 0 ? "depth" : "guess";
  }

  #asked = { wish: "", request: "" };

  async ask(): Promise<void> {
    const { piece, session, guess } = this;
    if (piece === null || session === null || guess === null) return;
    const body: RequestPost = { kiosk: this.id, session, piece: piece.id, guess_s: guess };
    if (piece.fields.length > 0) body.text = this.text.trim();
    if (piece.depths.length > 0) body.depth = this.depth;
    // The same wish keeps its number through every try: an answer that was lost on the way queues no second piece.
    const wish = JSON.stringify(body);
    if (this.#asked.wish !== wish) this.#asked = { wish, request: uuid() };
    body.request = this.#asked.request;
    const answer = await this.asking.run(() => post<RequestAnswer>("api/kiosk/requests", body));
    if (answer === null) return;
    // The claim is the visitor's even if the screen has been given up meanwhile.
    this.#asked = { wish: "", request: "" };
    this.claims.add(answer.job, answer.claim);
    if (this.session !== session) return;
    this.text = "";
    this.waitS = answer.wait_s;
    await this.watch(answer.job, answer.claim);
  }

  /** Show how a wish stands: one's own, or one found again by its number. */
  async watch(jobId: string, claim: number): Promise<void> {
    this.jobId = jobId;
    this.claim = claim;
    this.job = null;
    this.screen = "job";
    this.idle.watch(true);
    this.#listen(jobId);
    try {
      const job = await get<KioskJob>(`api/kiosk/jobs/${encodeURIComponent(jobId)}`);
      if (this.jobId === jobId && this.job === null) this.#hear(job);
    } catch (error) {
      if (error instanceof ApiRefusal && error.status === 404) {
        this.claims.drop(jobId);
        this.wipe();
      } else if (!(error instanceof ApiUnreachable) && !(error instanceof ApiRefusal)) {
        throw error;
      }
    }
  }

  /** After a declined wish: the visitor is still checked in, unless the number was found again by somebody else. */
  chooseAgain(): void {
    if (this.jobId !== null) this.claims.drop(this.jobId);
    this.jobId = null;
    this.job = null;
    this.claim = null;
    this.idle.watch(true);
    this.#listen(null);
    this.screen = this.session === null ? "checkin" : "choose";
  }

  /** The visitor gives the screen up. A wish that has not ended keeps its number. */
  leave(): void {
    if (this.jobId !== null && this.ended) this.claims.drop(this.jobId);
    // Asked after: who has a card, and who came back by a number and may have one.
    const finished = this.screen === "job" && this.job?.state === "FINISHED";
    if (finished && (this.survey.card !== null || this.session === null)) {
      this.answerAfter();
      return;
    }
    this.#thank();
  }

  #thank(): void {
    this.screen = "thanks";
    this.idle.watch(false);
    clearTimeout(this.#thanks);
    this.#thanks = setTimeout(() => this.wipe(), THANKS_MS);
  }

  get ended(): boolean {
    return this.job !== null && ENDED.includes(this.job.state);
  }

  /** Forget the visitor: back to the start, in the visit's language. */
  wipe(): void {
    clearTimeout(this.#thanks);
    this.idle.watch(false);
    this.session = null;
    this.piece = null;
    this.text = "";
    this.depth = "normal";
    this.guess = null;
    this.job = null;
    this.claim = null;
    this.waitS = null;
    this.checkIn.clear();
    this.asking.clear();
    this.survey.wipe();
    this.pictures.forget();
    display.reset();
    if (this.jobId !== null) {
      this.jobId = null;
      this.#listen(null);
    }
    words.language = this.state?.visit.language ?? "lt";
    this.screen = "attract";
  }
}

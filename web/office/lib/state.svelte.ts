// SPDX-License-Identifier: GPL-3.0-or-later
/** What all parts of the office share: who is looking, the language, the period, and how old the answers are. */
import { untrack } from "svelte";
import { ApiRefusal, ApiUnreachable, call, get } from "../../shared/api";
import { date, dateTime, number } from "../../shared/format";
import type { Lab, Me, OfficeVisit, Page, Progress } from "../../shared/types";
import { Resource } from "./resource.svelte";
import { Route } from "./route.svelte";
import { keepLanguage, officeWords, type Translate } from "./words";

export type Theme = "light" | "dark" | "contrast";
/** An answer that is asked for again and again, whatever it is. */
type Asked = Pick<Resource<unknown>, "refresh" | "heardAt">;

export const ROWS = 10;
const REFRESH_MS = 15_000;
/** Three missed answers: the figures are then told as old. */
const STALE_MS = 50_000;
const WHOLE_PAGE = 200;
const STORED_THEME = "infomobil.office.theme";
export const THEMES: readonly Theme[] = ["light", "dark", "contrast"];

export class Office {
  readonly words = officeWords();
  readonly route = new Route();
  readonly me = new Resource<Me>("api/me");
  readonly progress = this.resource<Progress>("api/progress");
  readonly labs = this.resource<Lab[]>("api/labs");
  now = $state(performance.now());
  /** This computer's wall clock, ms, once a second. */
  wall = $state(Date.now());
  theme = $state<Theme>("light");
  /** The school days and the van that figures are asked for; empty is all. */
  from = $state("");
  to = $state("");
  lab = $state("");

  readonly heardAt = $derived(this.progress.heardAt);
  readonly stale = $derived(this.heardAt !== null && this.now - this.heardAt > STALE_MS);
  readonly locked = $derived(this.me.value !== null && this.me.value.login_needed && this.me.value.role === null);
  readonly mayChange = $derived(this.me.value?.role === "office" || this.me.value?.role === "admin");
  readonly admin = $derived(this.me.value?.role === "admin");
  /** The period and the van as a query, with its question mark; empty for all. */
  readonly query = $derived.by(() => {
    const query = new URLSearchParams();
    if (this.from !== "") query.set("from", this.from);
    if (this.to !== "") query.set("to", this.to);
    if (this.lab !== "") query.set("lab", this.lab);
    return query.size === 0 ? "" : `?${query}`;
  });

  readonly t: Translate = (key, places) => this.words.t(key, places);
  readonly #polled = new Set<Asked>();

  constructor() {
    const kept = window.localStorage.getItem(STORED_THEME);
    this.setTheme(THEMES.find((theme) => theme === kept) ?? "light");
    void this.me.refresh();
    setInterval(() => this.refresh(), REFRESH_MS);
    setInterval(() => {
      this.now = performance.now();
      this.wall = Date.now();
    }, 1000);
  }

  /** Return an answer that, refused for want of a login, brings the login. */
  resource<Value>(path: string): Resource<Value> {
    return new Resource<Value>(path, (refusal) => this.#refused(refusal));
  }

  /** Ask for these now, and again and again until the function that is returned is called. */
  poll(...asked: Asked[]): () => void {
    untrack(() => {
      for (const one of asked) {
        this.#polled.add(one);
        void one.refresh();
      }
    });
    return () => asked.forEach((one) => this.#polled.delete(one));
  }

  refresh(): void {
    if (this.me.value === null) void this.me.refresh();
    for (const one of this.#polled) void one.refresh();
  }

  /** Change something. The header is one that no form of another page can send. */
  async change<Answer>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown, timeoutMs?: number): Promise<Answer> {
    try {
      return await call<Answer>(method, path, {
        headers: { "X-InfoMobil": "1" },
        ...(body === undefined ? {} : { body }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
    } catch (error) {
      if (error instanceof ApiRefusal && path !== "api/login") this.#refused(error);
      throw error;
    }
  }

  async login(name: string, password: string): Promise<void> {
    this.me.put(await this.change<Me>("POST", "api/login", { name, password }));
  }

  /** Leave. Returns whether the office heard it: a cookie that is still good must not look gone. */
  async logout(): Promise<boolean> {
    try {
      await this.change("POST", "api/logout");
    } catch (error) {
      if (!(error instanceof ApiRefusal || error instanceof ApiUnreachable)) throw error;
      return false;
    }
    await this.me.refresh();
    return true;
  }

  /** Return every visit: a search that looked at one page only would not be true. */
  async allVisits(): Promise<OfficeVisit[]> {
    const rows: OfficeVisit[] = [];
    for (;;) {
      const page = await get<Page<OfficeVisit>>(pagePath("visits", rows.length, this.lab, WHOLE_PAGE));
      rows.push(...page.rows);
      if (page.rows.length === 0 || rows.length >= page.total) return rows;
    }
  }

  setLanguage(language: "lt" | "en"): void {
    this.words.language = language;
    keepLanguage(language);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    window.localStorage.setItem(STORED_THEME, theme);
    const { dataset } = document.documentElement;
    dataset["theme"] = theme === "dark" ? "dark" : "light";
    if (theme === "contrast") dataset["contrast"] = "high";
    else delete dataset["contrast"];
  }

  whole(value: number): string {
    return number(value, this.words.language);
  }

  decimal(value: number, digits = 1): string {
    return number(value, this.words.language, digits).replace("-", "−");
  }

  /** The text of a table that the service sends per language. */
  of(label: { lt: string; en: string }): string {
    return this.words.of(label);
  }

  date(iso: string): string {
    return date(iso, this.words.language);
  }

  dateTime(iso: string): string {
    return dateTime(iso, this.words.language);
  }

  /** Minutes and seconds of a machine's time. */
  duration(seconds: number | null): string {
    if (seconds === null) return "–";
    const whole = Math.round(seconds);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }

  /** How long ago an instant was, by this computer's clock, in the biggest unit that fits. */
  since(iso: string): string {
    const seconds = Math.max(0, (this.wall - Date.parse(iso)) / 1000);
    if (seconds < 90) return this.t("age.s", { n: Math.floor(seconds) });
    if (seconds < 5400) return this.t("age.min", { n: Math.round(seconds / 60) });
    if (seconds < 129_600) return this.t("age.h", { n: Math.round(seconds / 3600) });
    return this.t("age.d", { n: Math.round(seconds / 86_400) });
  }

  #refused(refusal: ApiRefusal): void {
    if (refusal.status === 401) this.me.put({ name: null, role: null, login_needed: true });
  }
}

/** Return the address of one page of a table. */
export function pagePath(table: string, from: number, lab: string, limit: number = ROWS): string {
  const query = new URLSearchParams({ limit: String(limit), offset: String(from) });
  if (lab !== "") query.set("lab", lab);
  return `api/${table}?${query}`;
}

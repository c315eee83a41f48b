// SPDX-License-Identifier: GPL-3.0-or-later
/** The dashboard's state: five answers of the office's service, and how old they are. */
import { get } from "../../shared/api";
import { date, dateTime, number } from "../../shared/format";
import type { Lab, OfficeJob, OfficeVisit, Page, Progress, Quality } from "../../shared/types";
import { Resource } from "./resource.svelte";
import { keepLanguage, officeWords, type Translate } from "./words";

export type Theme = "light" | "dark" | "contrast";

export const ROWS = 10;
const REFRESH_MS = 15_000;
/** Three missed answers: the figures are then told as old. */
const STALE_MS = 50_000;
const WHOLE_PAGE = 200;
const STORED_THEME = "infomobil.office.theme";
export const THEMES: readonly Theme[] = ["light", "dark", "contrast"];

export class Office {
  readonly words = officeWords();
  readonly progress = new Resource<Progress>("api/progress");
  readonly labs = new Resource<Lab[]>("api/labs");
  readonly quality = new Resource<Quality>("api/quality");
  readonly visits = new Resource<Page<OfficeVisit>>(pagePath("visits", 0, ""));
  readonly jobs = new Resource<Page<OfficeJob>>(pagePath("jobs", 0, ""));
  now = $state(performance.now());
  /** This computer's wall clock, ms, once a second. */
  wall = $state(Date.now());
  theme = $state<Theme>("light");
  lab = $state("");
  visitsFrom = $state(0);
  jobsFrom = $state(0);

  readonly heardAt = $derived(this.progress.heardAt);
  readonly stale = $derived(this.heardAt !== null && this.now - this.heardAt > STALE_MS);

  readonly t: Translate = (key, places) => this.words.t(key, places);

  constructor() {
    const kept = window.localStorage.getItem(STORED_THEME);
    this.setTheme(THEMES.find((theme) => theme === kept) ?? "light");
    this.refresh();
    setInterval(() => this.refresh(), REFRESH_MS);
    setInterval(() => {
      this.now = performance.now();
      this.wall = Date.now();
    }, 1000);
  }

  refresh(): void {
    for (const resource of [this.progress, this.labs, this.quality, this.visits, this.jobs]) void resource.refresh();
  }

  pageVisits(from: number): void {
    this.visitsFrom = from;
    void this.visits.move(pagePath("visits", from, this.lab));
  }

  pageJobs(from: number): void {
    this.jobsFrom = from;
    void this.jobs.move(pagePath("jobs", from, ""));
  }

  setLab(lab: string): void {
    this.lab = lab;
    this.pageVisits(0);
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
}

function pagePath(table: "visits" | "jobs", from: number, lab: string, limit: number = ROWS): string {
  const query = new URLSearchParams({ limit: String(limit), offset: String(from) });
  if (lab !== "") query.set("lab", lab);
  return `api/${table}?${query}`;
}

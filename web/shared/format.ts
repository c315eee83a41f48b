// SPDX-License-Identifier: GPL-3.0-or-later
/** Numbers as people read them. Times come in seconds, lengths in millimetres. */

import type { Language } from "./i18n.svelte";

/** 95 -> "1:35"; 3725 -> "1:02:05". Rounded to the nearest second. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** Whole minutes, rounded up: nobody is told a shorter wait than it will be. */
export function minutesUp(seconds: number): number {
  return Math.max(1, Math.ceil(seconds / 60));
}

/** A number in the language's own writing, with exactly `digits` decimals. */
export function number(value: number, language: Language, digits = 0): string {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** A date in the language's own writing; `iso` is an ISO 8601 date or instant. */
export function date(iso: string, language: Language): string {
  return new Intl.DateTimeFormat(language, { year: "numeric", month: "long", day: "numeric" }).format(new Date(iso));
}

/** An instant's local date and time; `iso` is an ISO 8601 instant. */
export function dateTime(iso: string, language: Language): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

/** The time of day in the language's own writing; `at` in ms since 1970. */
export function time(at: number, language: Language): string {
  return new Intl.DateTimeFormat(language, { timeStyle: "short" }).format(at);
}

/** A machine coordinate: always a sign and `digits` decimals, so that the figures stay in their columns. */
export function coordinate(value: number, digits = 1): string {
  const rounded = value.toFixed(digits);
  const negative = rounded.startsWith("-") && Number(rounded) !== 0;
  return `${negative ? "−" : "+"}${rounded.replace("-", "")}`;
}

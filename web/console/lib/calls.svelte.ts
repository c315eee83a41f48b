// SPDX-License-Identifier: GPL-3.0-or-later
/** Calls to the service for a part of the page, and what is shown there of those that failed. */
import { SvelteMap, SvelteSet } from "svelte/reactivity";
import { ApiRefusal } from "../../shared/api";
import type { Interlock, Machine } from "../../shared/types";
import type { Attempt } from "./attempt";
import { Figures } from "./figures";
import { problemOf, type Problem } from "./problem";
import type { Lines, Refusals } from "./refusals";
import type { Key } from "./words";

export abstract class Calls extends Figures {
  /** What is being worked on, by the id of a job, a machine or a visit. */
  readonly busy = new SvelteSet<string>();
  readonly #problems = new SvelteMap<string, Problem>();

  abstract readonly refusals: Refusals;
  /** Return the interlock of the machine of a job, or null for anything else. */
  protected abstract interlockOf(subject: string): Interlock | null;
  /** The login is not known to the service any more. */
  protected abstract lockedOut(): void;

  problemOf(subject: string): Problem | null {
    return this.#problems.get(subject) ?? null;
  }

  dismiss(subject: string): void {
    this.#problems.delete(subject);
  }

  protected forgetProblems(): void {
    this.#problems.clear();
  }

  /** Do `work`; a refusal is shown beside its subject. */
  protected async act(subject: string, what: Key, work: () => Promise<void>, machine: Machine | null = null): Promise<void> {
    this.#problems.delete(subject);
    this.busy.add(subject);
    try {
      await work();
    } catch (error) {
      const sentence = this.t(what, { machine: machine?.name ?? "" });
      this.#problems.set(subject, problemOf(error, sentence, this.refusals, machine?.interlock ?? this.interlockOf(subject)));
      this.#heard(error);
    } finally {
      this.busy.delete(subject);
    }
  }

  protected async lines(what: Key, work: () => Promise<void>): Promise<Lines | null> {
    return (await this.attempt(what, null, work)).lines;
  }

  /** Make a call for a part of the page that shows its refusal itself: the answer, or the three lines. */
  async attempt<Answer>(what: Key, machine: Machine | null, work: () => Promise<Answer>): Promise<Attempt<Answer>> {
    try {
      return { answer: await work(), lines: null };
    } catch (error) {
      this.#heard(error);
      const sentence = this.t(what, { machine: machine?.name ?? "" });
      return { answer: null, lines: problemOf(error, sentence, this.refusals, machine?.interlock ?? null).lines };
    }
  }

  /** A login that ran out on the server shows as a locked screen, not as a refusal of every command. */
  #heard(error: unknown): void {
    if (error instanceof ApiRefusal && error.status === 401) this.lockedOut();
  }
}

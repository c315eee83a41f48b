// SPDX-License-Identifier: GPL-3.0-or-later
/** What this screen is showing, apart from what the service says. */
import type { AxisName, Notice } from "../../shared/types";
import type { Problem } from "./problem";

export type Tab = "machine" | "queue" | "visit" | "sync";
export type Asked = "start" | "resume" | "home" | "park";
export type Sheet =
  | { kind: "ask"; command: Asked; machine: string; job: string | null }
  | { kind: "decline" | "recovery" | "continue"; job: string }
  | { kind: "zero"; machine: string; axis: AxisName }
  | { kind: "load"; machine: string; view: "files" | "way" }
  /** What is looked at (looked.ts); live: followed as the machine cuts it. */
  | { kind: "program"; program: string; machine: string; job: string | null; live: boolean }
  | { kind: "menu" | "probe" | "overrides" | "settings" | "recordings"; machine: string }
  | { kind: "programs" | "headcount" | "bell" | "close" | "pack" | "recent" };

/** What became of the newest hold or stop. */
export interface Delivery {
  command: "hold" | "stop";
  machine: string;
  outcome: "sending" | "delivered" | "failed";
  at: number;
  problem: Problem | null;
}

export interface ShownNotice extends Notice {
  id: number;
}

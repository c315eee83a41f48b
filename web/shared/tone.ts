// SPDX-License-Identifier: GPL-3.0-or-later
/** IEC 60073: red fault, amber attention, green normal, blue a person has to act, grey neutral. */
export type Tone = "red" | "amber" | "green" | "blue" | "grey";

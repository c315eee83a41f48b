// SPDX-License-Identifier: GPL-3.0-or-later
/** The kiosk's words in its five languages. */

import de from "../../../content/i18n/kiosk/de.json";
import en from "../../../content/i18n/kiosk/en.json";
import et from "../../../content/i18n/kiosk/et.json";
import lt from "../../../content/i18n/kiosk/lt.json";
import lv from "../../../content/i18n/kiosk/lv.json";
import { Words } from "../../shared/i18n.svelte";

export type Key = keyof typeof lt;

export const words = new Words<Key>({ lt, en, lv, et, de }, "lt");
export const t = words.t;

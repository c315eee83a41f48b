// SPDX-License-Identifier: GPL-3.0-or-later
// Copies the pages' typeface in fixed weights to dist/fonts, for the office's reports on paper, with its licence, which
// asks to go with every copy. It comes in two parts: letters of western Europe, and the others of Latin script.
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const NAME = "atkinson-hyperlegible-next";

const from = dirname(createRequire(import.meta.url).resolve(`@fontsource/${NAME}/package.json`));
const to = join(import.meta.dirname, "dist", "fonts");
if (!readFileSync(join(from, "LICENSE"), "utf8").includes("SIL Open Font License")) {
  throw new Error(`${NAME} comes without the licence that lets it be copied.`);
}
rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
copyFileSync(join(from, "LICENSE"), join(to, "LICENSE"));
for (const part of ["latin", "latin-ext"]) {
  for (const weight of [400, 700]) {
    copyFileSync(join(from, "files", `${NAME}-${part}-${weight}-normal.woff`), join(to, `${part}-${weight}.woff`));
  }
}

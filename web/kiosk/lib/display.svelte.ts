// SPDX-License-Identifier: GPL-3.0-or-later
/** How the visitor sees best: text size, contrast, movement. Written to <html>, forgotten with the visitor. */

const SCALES = [1, 1.15, 1.3] as const;
export type Scale = (typeof SCALES)[number];

class Display {
  scale: Scale = $state(1);
  highContrast = $state(false);
  lessMotion = $state(false);

  reset(): void {
    this.scale = 1;
    this.highContrast = false;
    this.lessMotion = false;
  }

  /** Whether nothing should move: by the visitor's wish or the system's. */
  get still(): boolean {
    return this.lessMotion || window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  write(root: HTMLElement): void {
    root.style.setProperty("--text-scale", String(this.scale));
    root.toggleAttribute("data-large-text", this.scale > 1);
    if (this.highContrast) root.dataset["contrast"] = "high";
    else delete root.dataset["contrast"];
    if (this.lessMotion) root.dataset["motion"] = "reduced";
    else delete root.dataset["motion"];
  }
}

export const display = new Display();

// SPDX-License-Identifier: GPL-3.0-or-later
/** The picture's colours: those of the plate out of the tokens, and one ramp for figures along a path. */

/** Red, green, blue, 0..1. */
export type Rgb = [number, number, number];

/** From low to high: it grows lighter all the way, so that it is read without the colours, and takes none of a signal. */
export const RAMP: readonly Rgb[] = [
  [0.29, 0.27, 0.9],
  [0.56, 0.45, 1],
  [0.84, 0.55, 0.98],
  [0.98, 0.76, 0.95],
  [1, 0.95, 0.97],
];

export interface Palette {
  plate: Rgb;
  grid: Rgb;
  ink: Rgb;
  /** A path that is still to come, on the material. */
  ahead: Rgb;
  tool: Rgb;
  path: Rgb;
  /** The face of the material that nobody has cut, its sides, and what was cut. */
  stock: Rgb;
  side: Rgb;
  cut: Rgb;
}

/** Two colours that a canvas has before it is told another: it keeps the one it has where it cannot read the other. */
const BEFORE = ["#010203", "#030201"] as const;

/** Return a token's colour. A build writes colours as short as it can ("#fff", "tan"): the browser reads them itself. */
function rgb(canvas: CanvasRenderingContext2D, style: CSSStyleDeclaration, token: string): Rgb {
  const value = style.getPropertyValue(token).trim();
  const read = BEFORE.map((before) => {
    canvas.fillStyle = before;
    canvas.fillStyle = value;
    return String(canvas.fillStyle);
  });
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/.exec(read[0] ?? "");
  if (found === null || read[0] !== read[1]) throw new Error(`The token ${token} is "${value}" and not a full colour.`);
  return [1, 2, 3].map((at) => parseInt(found[at] ?? "0", 16) / 255) as Rgb;
}

/** Read the picture's colours as they are on `element` now. */
export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const canvas = document.createElement("canvas").getContext("2d");
  if (canvas === null) throw new Error("The browser gives no canvas to draw on.");
  const colour = (token: string): Rgb => rgb(canvas, style, token);
  return {
    plate: colour("--plate"),
    grid: colour("--plate-grid"),
    ink: colour("--plate-ink-2"),
    ahead: colour("--plate-ahead"),
    tool: colour("--plate-tool"),
    path: colour("--plate-path"),
    stock: colour("--stock"),
    side: colour("--stock-side"),
    cut: colour("--stock-cut"),
  };
}

/** Return the ramp's colour at `share`, 0..1. */
export function ramp(share: number): Rgb {
  const at = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(at));
  const [a, b] = [RAMP[low] as Rgb, RAMP[low + 1] as Rgb];
  return [0, 1, 2].map((k) => (a[k] as number) + ((b[k] as number) - (a[k] as number)) * (at - low)) as Rgb;
}

/** Return a colour as CSS writes it. */
export function css([r, g, b]: Rgb, alpha = 1): string {
  return `rgb(${Math.round(r * 255)} ${Math.round(g * 255)} ${Math.round(b * 255)} / ${alpha})`;
}

/** The ramp as a CSS gradient, left low, right high. */
export const GRADIENT = `linear-gradient(90deg, ${RAMP.map((colour) => css(colour)).join(", ")})`;

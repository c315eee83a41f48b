// SPDX-License-Identifier: GPL-3.0-or-later
/** Fingers, mouse, wheel and keys on a picture: one finger turns, two zoom and shift, a double tap comes home. */

export interface Moves {
  /** Pixels that one finger went. */
  drag(dx: number, dy: number): void;
  /** The same by an arrow key. */
  step(dx: number, dy: number): void;
  /** Pixels that two fingers, or a mouse with another key, went together. */
  shift(dx: number, dy: number): void;
  /** Zoom about a place in pixels of the element. */
  zoom(factor: number, x: number, y: number): void;
  home(): void;
  /** A finger came down, or the last one left. */
  held(down: boolean): void;
}

const DOUBLE_MS = 320;
const DOUBLE_PX = 24;
const KEY_STEP_PX = 24;
const KEY_ZOOM = 1.2;

/** Listen on `element`; return what ends it. With `scrolls` the wheel is the page's. */
export function gestures(element: HTMLElement, moves: Moves, scrolls = false): () => void {
  const fingers = new Map<number, { x: number; y: number }>();
  let tapped = { at: -DOUBLE_MS, x: 0, y: 0 };
  let shifting = false;

  const place = (event: PointerEvent | WheelEvent): { x: number; y: number } => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  function down(event: PointerEvent): void {
    if (event.isPrimary || fingers.size > 0) capture(element, event.pointerId);
    const at = place(event);
    shifting = event.button > 0 || event.shiftKey;
    fingers.set(event.pointerId, at);
    if (fingers.size > 1) return;
    moves.held(true);
    const again = event.timeStamp - tapped.at < DOUBLE_MS && Math.hypot(at.x - tapped.x, at.y - tapped.y) < DOUBLE_PX;
    if (again) moves.home();
    tapped = { at: again ? -DOUBLE_MS : event.timeStamp, ...at };
  }

  function move(event: PointerEvent): void {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const at = place(event);
    const [dx, dy] = [at.x - before.x, at.y - before.y];
    fingers.set(event.pointerId, at);
    if (fingers.size === 1) {
      if (shifting) moves.shift(dx, dy);
      else moves.drag(dx, dy);
      return;
    }
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other === undefined) return;
    const [was, is] = [Math.hypot(before.x - other.x, before.y - other.y), Math.hypot(at.x - other.x, at.y - other.y)];
    if (was > 8 && is > 8) moves.zoom(is / was, (at.x + other.x) / 2, (at.y + other.y) / 2);
    moves.shift(dx / 2, dy / 2);
  }

  function up(event: PointerEvent): void {
    if (fingers.delete(event.pointerId) && fingers.size === 0) moves.held(false);
  }

  function wheel(event: WheelEvent): void {
    event.preventDefault();
    const at = place(event);
    moves.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015)), at.x, at.y);
  }

  function key(event: KeyboardEvent): void {
    const steps: Partial<Record<string, [number, number]>> = {
      ArrowLeft: [-KEY_STEP_PX, 0],
      ArrowRight: [KEY_STEP_PX, 0],
      ArrowUp: [0, -KEY_STEP_PX],
      ArrowDown: [0, KEY_STEP_PX],
    };
    const step = steps[event.key];
    const middle = [element.clientWidth / 2, element.clientHeight / 2] as const;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (step !== undefined) {
      if (event.shiftKey) moves.shift(...step);
      else moves.step(...step);
    } else if (event.key === "+" || event.key === "=") moves.zoom(KEY_ZOOM, ...middle);
    else if (event.key === "-") moves.zoom(1 / KEY_ZOOM, ...middle);
    else if (event.key === "Home" || event.key === "0") moves.home();
    else return;
    event.preventDefault();
  }

  const menu = (event: Event): void => event.preventDefault();
  const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, lostpointercapture: up, keydown: key, contextmenu: menu };
  for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener as EventListener);
  if (!scrolls) element.addEventListener("wheel", wheel, { passive: false });
  return () => {
    for (const [name, listener] of Object.entries(listeners)) element.removeEventListener(name, listener as EventListener);
    element.removeEventListener("wheel", wheel);
  };
}

/** Hear the finger outside of the element, too. Where it is gone again, only that is lost. */
function capture(element: HTMLElement, pointer: number): void {
  try {
    element.setPointerCapture(pointer);
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "NotFoundError")) throw error;
  }
}

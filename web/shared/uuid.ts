// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * Return a random UUID, version 4 (RFC 9562, 5.4).
 *
 * `crypto.randomUUID` exists in secure contexts only; a kiosk that is opened over plain HTTP from another computer in the
 * van is not one.
 */
export function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Machines that keep programs in their own memory and tell of themselves over OPC UA, as docs/http-api.md has them. */

/** A program's file that the lab keeps for one machine. */
export interface ProgramFile {
  name: string;
  /** Bytes. */
  size: number;
  /** Hexadecimal. */
  sha256: string;
  /** ISO 8601. */
  kept: string;
}

export type TransferStep = "UPLOADING" | "VERIFYING" | "SELECTING" | "LOADED" | "FAILED";

/** The newest way of a file into a machine. */
export interface Transfer {
  file: string;
  size: number;
  sha256: string;
  step: TransferStep;
  /** Bytes of the present step. */
  done: number;
  /** False with LOADED: it has to be selected at the machine's panel. */
  selected: boolean;
  /** Whether the machine's own job control begins it on a person's word. */
  startable: boolean;
  reason: string;
}

/** The last time during which nobody saw the machine. */
export interface Gap {
  /** ISO 8601. */
  ended: string;
  /** Null where nobody knows when it began. */
  seconds: number | null;
  /** How far the machine's own counter rose meanwhile. */
  parts: number | null;
  reason: string;
}

/** The lab's own OPC UA server, through which others watch its machines. */
export interface OpcUaServer {
  endpoint: string;
  listening: boolean;
  clients: number;
  error: string | null;
}

// SPDX-License-Identifier: GPL-3.0-or-later
/** Sentences of the service about a piece that is not what the office approved; tests/unit/test_web_library.py finds them. */
import type { Key } from "./words";

export const SAID_LIBRARY = {
  "The library {folder} cannot be read: {reason}.": "library.folder",
  "The folder cannot be read: it is a link to another place.": "library.link",
  "The folder cannot be read: {reason}.": "library.unreadable",
  "The folder holds {n} files, more than the {most} of a piece.": "library.many",
  "No file of a piece has the name {file}.": "library.name",
  "The office has not signed it: there is no piece.sig.": "library.unsigned",
  "It is signed with the key {key}, which is none of the office's.": "library.untrusted",
  "The signature in piece.sig does not hold.": "library.forged",
  "The office has approved another version since the service started.": "library.newer",
  "{file} was changed after the piece was approved.": "library.changed",
  "{file} was added after the piece was approved.": "library.added",
  "{file} is missing.": "library.missing",
  "{file} is no plain file.": "library.plain",
  "{file} is over {n} MB.": "library.large",
  "{file} cannot be read: {reason}.": "library.file",
  "piece.sig is that of the piece {piece}.": "library.other",
  "piece.sig {rest}.": "library.malformed",
} as const satisfies Record<string, Key>;

// SPDX-License-Identifier: GPL-3.0-or-later
/** Standard output is for the simulator's JSON lines alone: imported before the library, whose remarks go elsewhere. */

console.log = console.error;

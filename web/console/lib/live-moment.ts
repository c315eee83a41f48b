// SPDX-License-Identifier: GPL-3.0-or-later
/** Where a machine is on the path that the viewer shows. */
import type { Machine } from "../../shared/types";
import type { Relief, Scene } from "../../shared/viewer/scene";
import { secondsOf } from "../../shared/viewer/timeline";
import type { LiveMoment } from "../../shared/viewer/view.svelte";

/**
 * Return the moment of a machine's program by what it reports: the acknowledged line and the work position.
 *
 * Without a line it is where the service found the machine when it made `cut`; without that nobody knows it: null.
 */
export function liveMoment(scene: Scene, machine: Machine, cut: Relief | null = null): LiveMoment | null {
  const tool = machine.work_position;
  if (machine.line !== null) return { seconds: secondsOf(scene, machine.line, tool), tool };
  return cut === null || cut.seconds === null ? null : { seconds: cut.seconds, tool };
}

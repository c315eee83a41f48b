// SPDX-License-Identifier: GPL-3.0-or-later
/** Where a machine is on the path that the viewer shows. */
import type { Machine } from "../../shared/types";
import type { Scene } from "../../shared/viewer/scene";
import { secondsOf } from "../../shared/viewer/timeline";
import type { LiveMoment } from "../../shared/viewer/view.svelte";

/** Return the moment of a machine's program by what it reports: the acknowledged line and the work position. */
export function liveMoment(scene: Scene, machine: Machine): LiveMoment {
  const seconds = machine.line === null ? 0 : secondsOf(scene, machine.line, machine.work_position);
  return { seconds, tool: machine.work_position };
}

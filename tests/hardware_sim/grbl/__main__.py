# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the simulated controller: ``python -m tests.hardware_sim.grbl --link PATH``."""

import argparse
import contextlib
import gc
import json
import signal
import sys
from pathlib import Path

from .builds import BUILDS
from .control import ControlPipe
from .firmware import PARSE_S
from .runner import Runner
from .settings import prepare
from .world import parse_bore, parse_box

# A school machine: 300 x 200 x 80 mm, 3000 and 1500 mm/min, 200 mm/s^2. The recorded traces use the same.
MACHINE = {
    "$24": "100",
    "$25": "1500",
    "$27": "2",
    **{"$110": "3000", "$111": "3000", "$112": "1500"},
    **{"$120": "200", "$121": "200", "$122": "200"},
    **{"$130": "300", "$131": "200", "$132": "80"},
}


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="grbl-simulator", description="A GRBL 1.1h controller behind a pty.")
    parser.add_argument("--link", type=Path, required=True, help="symbolic link to the port, removed at exit")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds for each real second")
    parser.add_argument("--ctl", type=Path, help="FIFO of control lines, created if missing")
    parser.add_argument("--build", choices=sorted(BUILDS), default="stock")
    parser.add_argument("--settings", type=Path, help='JSON file with settings, {"$110": "3000", ...}')
    parser.add_argument("--set", action="append", default=[], metavar="$N=V", help="one setting, may be repeated")
    parser.add_argument("--empty-eeprom", action="store_true", help="first start of a new controller")
    parser.add_argument("--boot-delay", type=float, default=0.1, help="boot loader, real seconds")
    parser.add_argument("--line-cost", type=float, default=PARSE_S * 1000, help="parse time of a line, ms")
    parser.add_argument("--wirelog", type=Path, help="JSON lines of all bytes on the wire")
    parser.add_argument("--physical", default="-150,-100,-40", help="where the axes stand; 0 is the limit switch")
    parser.add_argument("--probe-plate", type=float, metavar="Z", help="physical Z at which the probe makes contact")
    parser.add_argument("--probe-box", type=_numbers, metavar="X0,Y0,X1,Y1,Z", help="a conductive block, physical mm")
    parser.add_argument("--probe-bore", type=_numbers, metavar="X,Y,R,ZTOP", help="a conductive ring, physical mm")
    parser.add_argument("--tool-length", type=float, default=0.0, help="mm, of the first tool; see control line `tool`")
    parser.add_argument("--tool-diameter", type=float, default=0.0, help="mm, of the tool in the probe circuit")
    parser.add_argument("--lockstep", action="store_true", help="time goes on only by `advance` control lines")
    parser.add_argument("--seed", type=int, default=1, help="of noise and drop")
    return parser.parse_args()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    arguments = _arguments()
    speed = arguments.speed
    runner = Runner(
        arguments.link,
        BUILDS[arguments.build],
        speed=speed,
        boot_delay=arguments.boot_delay,
        line_cost=arguments.line_cost / 1000,
        wirelog=arguments.wirelog,
        lockstep=arguments.lockstep,
    )
    board = runner.board
    board.interference.seed(arguments.seed)
    world = board.world
    world.physical = _numbers(arguments.physical)
    world.probe_plate_z = arguments.probe_plate
    world.probe_box = parse_box(arguments.probe_box) if arguments.probe_box else None
    world.probe_bore = parse_bore(arguments.probe_bore) if arguments.probe_bore else None
    world.tool_length, world.tool_diameter = arguments.tool_length, arguments.tool_diameter
    if not arguments.empty_eeprom:
        settings = dict(MACHINE)
        if arguments.settings is not None:
            settings.update(json.loads(arguments.settings.read_text(encoding="utf-8")))
        settings.update(assignment.split("=", 1) for assignment in arguments.set)
        prepare(board.eeprom, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: runner.stop())
    if arguments.ctl is not None:
        runner.control = ControlPipe(arguments.ctl)
    runner.plug(None)
    gc.freeze()
    sys.stdout.write(f"{arguments.link}\n")
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    try:
        runner.run()
    finally:
        runner.close()


if __name__ == "__main__":
    main()

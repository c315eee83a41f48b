# SPDX-License-Identifier: GPL-3.0-or-later
"""A lathe on OPC UA as the console is told of it: watched, not trusted, given a program, ready to begin one."""

from __future__ import annotations

from typing import Any

from tests.e2e import console_world as world
from tests.e2e.console_world import Json

FILES = "/api/machines/lathe/files"
SHA = "7c1f09ab" + "5e" * 28
LONG = "FLANSAS_DN150_OP20_GALUTINIS_APDIRBIMAS_2026-11-23_V17.MPF"
GROUPED = "A94F 0C2E 71B8 5D33 06EE C491 2BD7 F86A 15C0 937D"
THUMBPRINT = "A94F0C2E71B85D3306EEC4912BD7F86A15C0937D"
COMMAND = f"infomobil-edge opcua trust {THUMBPRINT} --store /var/lib/infomobil/opcua"
UNTRUSTED = (
    "the certificate of the server 10.20.0.7:4840 is refused: nobody has trusted it yet. Compare its thumbprint "
    f"{GROUPED} with what the other side shows, then run: {COMMAND}"
)


def lathe(**changes: Any) -> Json:
    """A lathe in the middle of a run, which takes programs and starts none."""
    return world.lathe(
        **{
            "capabilities": ["load_program"],
            "mode": "AUTOMATIC",
            "interlock": {"state": "UNKNOWN", "cause": None, "inputs": []},
            **changes,
        }
    )


def resting(**changes: Any) -> Json:
    """The lathe between two programs."""
    return lathe(**{"execution": "READY", "program": None, **changes})


def transfer(step: str, **changes: Any) -> Json:
    """The newest transfer to the lathe."""
    value: Json = {
        "file": "FLANSAS_20.MPF",
        "size": 3_412_870,
        "sha256": SHA,
        "step": step,
        "done": 0,
        "selected": False,
        "startable": False,
        "reason": "",
    }
    return {**value, **changes}


def loaded(**changes: Any) -> Json:
    """The lathe with a program in it that somebody at its panel has to begin."""
    return resting(transfer=transfer("LOADED", done=3_412_870, selected=True), **changes)


def startable(**changes: Any) -> Json:
    """The lathe whose own job control would begin the program."""
    told = transfer("LOADED", done=3_412_870, selected=True, startable=True)
    return resting(**{"transfer": told, "capabilities": ["load_program", "job_control"], **changes})


def untrusted() -> Json:
    """The lathe whose server showed a certificate that nobody has trusted yet."""
    return world.lathe(
        controller="",
        availability="UNAVAILABLE",
        execution="UNAVAILABLE",
        mode="UNAVAILABLE",
        emergency_stop="UNAVAILABLE",
        door="UNAVAILABLE",
        overrides=None,
        program=None,
        part_count=None,
        age_ms=None,
        fault_reason=UNTRUSTED,
        refusals={command: [AWAY] for command in world.router()["refusals"]},
    )


AWAY: Json = {
    "permissive": "available",
    "what": "The lathe does not start.",
    "why": "The controller does not answer: no answer within 4 s.",
    "source": "controller",
    "age_ms": 61_000,
    "remedy": "Check that the machine is switched on and its cable is plugged in.",
}


def troubled() -> Json:
    """The lathe with alarms of its own, a wrong clock, and a minute that nobody saw."""
    return lathe(
        execution="STOPPED",
        mode="MANUAL_DATA_INPUT",
        emergency_stop="ARMED",
        door="OPEN",
        program=LONG,
        part_count=1042,
        overrides={"feed": 65, "rapid": 25, "spindle": 110},
        feed=0.0,
        spindle="CLOCKWISE",
        spindle_speed=1250.0,
        fault="FAULT",
        fault_reason="Coolant level too low",
        alarms=[
            {"code": "700016", "text": "Coolant level too low", "position_kept": True},
            {
                "code": "LubricationPressureMonitoring",
                "text": "Lubrication pressure below its limit",
                "position_kept": True,
            },
            {"code": "14080", "text": "Channel 1 block N240 jump destination not found", "position_kept": True},
        ],
        lacks=[
            "input door: the server has no node 4:Door/Closed",
            "part_count is not reported on change (BadNotSupported)",
        ],
        source_time="2019-03-01T07:12:09Z",
        clock_off_s=-243_734_400.0,
        last_gap={"ended": "2026-11-23T12:03:20Z", "seconds": 58.4, "parts": 3, "reason": "the server fell silent"},
    )


def file(name: str, **changes: Any) -> Json:
    """A file that the lab keeps for the lathe."""
    return {"name": name, "size": 48_211, "sha256": "1f" * 32, "kept": "2026-11-23T08:41:00Z", **changes}


def files() -> list[Json]:
    """Return what the lab keeps for the lathe, newest first."""
    return [
        file("FLANSAS_20.MPF", size=3_412_870, sha256=SHA),
        file(LONG, size=15_998_211),
        file("IVORE_D40.MPF", size=812, kept="2026-11-20T13:05:00Z"),
    ]


def many_files() -> list[Json]:
    """Return more files than fit."""
    return [*files(), *(file(f"DETALE_{number:02d}.MPF") for number in range(12))]


def server(**changes: Any) -> Json:
    """The lab's own OPC UA server, with somebody who watches."""
    value: Json = {"endpoint": "opc.tcp://im-01.local:4840/infomobil", "listening": True, "clients": 3, "error": None}
    return {**value, **changes}


def snapshot(machine: Json, **changes: Any) -> Json:
    """A snapshot with the lathe alone, so that it is the one that is looked at."""
    return world.snapshot(machines=[machine], jobs=[], **changes)

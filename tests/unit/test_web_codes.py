# SPDX-License-Identifier: GPL-3.0-or-later
"""Every code and every known sentence of the service has words on the console: found in the sources, not by hand."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.domain import errors
from edge.drivers.grbl.codes import Firmware, alarm_code
from edge.gcode.diagnostics import GRBL_ERRORS
from edge.services.jobs import RESTARTED, WISH_LOST

ROOT = Path(__file__).parents[2]
LIB = ROOT / "web" / "console" / "lib"
LANGUAGES = ("lt", "en")
UNKNOWN_ALARM = 999
OWN_ALARMS = {Firmware.GRBL: "ALARM_GRBL", Firmware.GRBL_HAL: "ALARM_HAL"}
BARE = re.compile(r"\{\w*\}")


def words(language: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "content/i18n/console" / f"{language}.json").read_text("utf-8"))
    return loaded


def table(file: str, name: str) -> dict[str, list[str]]:
    """Return the keys of an object literal of the page, each with the keys of words that stand in its row."""
    source = (LIB / file).read_text(encoding="utf-8")
    found = re.search(rf"export const {name} = \{{\n(.*?)\n\}} as const", source, re.DOTALL)
    assert found is not None, f"{file} has no table {name}"
    rows = {}
    for line in found[1].splitlines():
        row = re.fullmatch(r'  (?:"(?P<quoted>[^"]+)"|(?P<name>\w+)): (?P<words>.+),', line)
        assert row is not None, line
        rows[row["quoted"] or row["name"]] = re.findall(r'"([^"]+)"', row["words"])
    return rows


def calls(*files: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of the service's sources with the name of what is called."""
    for pattern in files:
        for file in sorted((ROOT / "edge").glob(pattern)):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    yield name, node


def sentence(node: ast.expr) -> str | None:
    """Return a string of the sources, its places as ``{}``; None where it is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def argument(call: ast.Call, position: int, name: str) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return sentence(keyword.value)
    return sentence(call.args[position]) if 0 <= position < len(call.args) else None


def alike(sentences: Iterator[str] | set[str]) -> set[str]:
    return {BARE.sub("{}", text) for text in sentences}


def diagnostics() -> set[str]:
    place = {"Diagnostic": 3, "_refuse": 0, "_note": 1, "at_word": 2, "per_line": 4, "first_of": 3}
    found = {
        argument(call, place[name], "code") for name, call in calls("gcode/*.py", "services/*.py") if name in place
    }
    return {code for code in found if code is not None} | {meaning.code for meaning in GRBL_ERRORS.values()}


def error_codes() -> set[str]:
    found = {argument(call, 0, "code") for name, call in calls("http/*.py", "api/*.py", "kiosk/*.py") if name == "body"}
    kinds = {"Refused", "NoResult", "TookTooLong"}
    found |= {argument(call, -1, "code") for name, call in calls("services/*.py", "kiosk/*.py") if name in kinds}
    source = (ROOT / "edge/http/errors.py").read_text(encoding="utf-8")
    found |= set(re.findall(r'errors\.\w+: \(\s*\d{3},\s*"([\w-]+)"', source))
    found |= set(re.findall(r'code = "(\w+)" if malformed else "(\w+)"', source)[0])
    return {code for code in found if code is not None and "{" not in code}


def refused() -> set[str]:
    kinds = {"Refused", "TookTooLong"}
    found = {argument(call, -1, "why") for name, call in calls("services/*.py", "api/*.py") if name in kinds}
    found |= {argument(call, -1, "reasons") for name, call in calls("services/*.py") if name == "MotionRefused"}
    # The queue's has a code of its own.
    return {why for why in found if why is not None} - {"The queue is full."}


def said() -> set[str]:
    kept = {"_stop_now", "_set_fault", "require_person", "_fail_job", "fail"}
    drivers = ("drivers/grbl/controller.py", "drivers/grbl/driver.py", "drivers/grbl/*.py")
    files = ("services/supervisor.py", "services/watched_machine.py", *drivers)
    found = {argument(call, 0, "reason") for name, call in calls(*files) if name in kept}
    told = ("StopNotDelivered", "DriverUnavailable", "ProgramRejected", "ProgramFailed", "ProgramAborted")
    found |= {argument(call, -1, "reason") for name, call in calls(*files, "services/*.py") if name in told}
    found |= {argument(call, 1, "reason") for name, call in calls("drivers/grbl/*.py") if name == "_refused"}
    supervisor = (ROOT / "edge/services/supervisor.py").read_text(encoding="utf-8")
    found |= set(re.findall(r'_stop_reason or "([^"]+)"', supervisor))
    # What is put together of other sentences only, such as an alarm and its code, has no words of its own.
    return {reason for reason in found if reason is not None and re.search(r"\w", BARE.sub("", reason))}


def known_said() -> set[str]:
    """Return what the page knows, with the places of one sentence empty."""
    return alike(iter(table("sentences.ts", "SAID"))) | alike(iter(table("opcua-sentences.ts", "SAID_OPCUA")))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("codes.ts", "ALARM"),
        ("codes.ts", "ALARM_GRBL"),
        ("codes.ts", "ALARM_HAL"),
        ("codes.ts", "DIAGNOSTIC"),
        ("codes.ts", "ERROR"),
        ("sentences.ts", "REFUSED"),
        ("sentences.ts", "SAID"),
        ("opcua-sentences.ts", "SAID_OPCUA"),
    ],
)
def test_tables_have_words_in_both_languages(file: str, name: str) -> None:
    named = {key for row in table(file, name).values() for key in row if "." in key}
    assert named != set()
    for language in LANGUAGES:
        assert named - set(words(language)) == set(), language


def test_every_diagnostic_has_words() -> None:
    known = set(table("codes.ts", "DIAGNOSTIC"))
    assert len(diagnostics()) > len(GRBL_ERRORS)
    assert {"missing": diagnostics() - known, "left over": known - diagnostics()} == {
        "missing": set(),
        "left over": set(),
    }


def test_every_error_code_has_words() -> None:
    known = set(table("codes.ts", "ERROR"))
    assert {"disk", "queue-full", "no-session", "too-large", "busy", "login", "pin", "malformed"} <= error_codes()
    # "refused" is what a refusal without a code of its own is given.
    assert {"missing": error_codes() - known, "left over": known - error_codes()} == {
        "missing": set(),
        "left over": set(),
    }


@pytest.mark.parametrize("firmware", Firmware)
def test_every_alarm_has_words_for_its_firmware(firmware: Firmware) -> None:
    own = set(table("codes.ts", OWN_ALARMS[firmware]))
    shared = set(table("codes.ts", "ALARM"))
    for number in range(UNKNOWN_ALARM):
        if alarm_code(firmware, number).text != f"The controller raised alarm {number}: home again.":
            assert f"ALARM:{number}" in shared or f"ALARM:{number}" in own, number
    assert "LOCKED" in shared


def test_every_refusal_without_a_code_is_known_by_its_sentence() -> None:
    known = alike(iter(table("sentences.ts", "REFUSED")))
    assert len(refused()) > 1
    assert alike(refused()) - known == set()


def test_every_reason_of_an_end_a_stop_and_a_fault_is_known() -> None:
    assert {RESTARTED, WISH_LOST} <= known_said()
    assert alike(said()) - known_said() == set()


# Each whole that they make has a form of its own.
LINK_COMPOSED = {"the link was lost ({}); {}", "the server has no {} {}"}
LINK = {
    "LinkLost",
    "LinkError",
    "ServerBusy",
    "NeedsPerson",
    "CertificateRefused",
    "CredentialsRefused",
    "NotDone",
    "Differs",
    "TransferFailed",
    "FileRefused",
}


def test_every_reason_of_a_lost_link_and_of_a_failed_load_is_known() -> None:
    rooms = ("drivers/opcua/*.py", "drivers/opcua/models/*.py", "services/*.py", "store/*.py")
    found = {argument(call, -1, "reason") for name, call in calls(*rooms) if name in LINK}
    found |= {argument(call, 1, "reason") for name, call in calls(rooms[0]) if name in ("_failed", "_refuse")}
    texts = {text for text in found if text is not None and re.search(r"\w", BARE.sub("", text))}
    assert len(texts) > len(LINK)
    forms = [re.escape(form).replace(r"\{\}", ".+") for form in known_said()]
    assert {text for text in texts if not re.fullmatch("|".join(forms), BARE.sub("1", text))} - LINK_COMPOSED == set()


@pytest.mark.parametrize(
    "kind",
    [
        errors.ProgramAborted,
        errors.ProgramFailed,
        errors.ProgramRejected,
        errors.ProgramInterrupted,
        errors.DriverUnavailable,
        errors.DriverRefused,
        errors.FileRefused,
        errors.StopNotDelivered,
        errors.StoreUnavailable,
        errors.TransferFailed,
    ],
)
def test_every_error_that_carries_a_reason_is_known(kind: type[errors.InfoMobilError]) -> None:
    assert BARE.sub("{}", " ".join((kind.__doc__ or "").split())) in known_said()


def test_places_of_a_sentence_are_those_of_its_words() -> None:
    for file, name in (("sentences.ts", "SAID"), ("sentences.ts", "REFUSED"), ("opcua-sentences.ts", "SAID_OPCUA")):
        for text, keys in table(file, name).items():
            given = set(re.findall(r"\{(\w+)\}", text))
            for language in LANGUAGES:
                for key in keys:
                    if "." in key:
                        assert set(re.findall(r"\{(\w+)\}", words(language)[key])) <= given, (language, key)


SENTENCES = {
    "services/recovery.py": "sentences",
    "services/restart.py": "choices",
    "services/opening.py": "SEEN_OPEN",
    "drivers/grbl/doctor.py": "cause",
}
# Put together of parts; each whole that they make has a form of its own.
COMPOSED = {
    "{}.",
    "after {} in line {}",
    "It waited in line {} {}: be sure that this is done, the length measured.",
}


def told(tree: ast.AST, name: str) -> Iterator[ast.expr]:
    """Yield what is added to, stands in, or is returned by what has this name."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="append" | "setdefault")) if owner == name:
                yield from node.args
            case ast.Assign(targets=[ast.Name(id=owner)], value=ast.Dict(values=values)) if owner == name:
                yield from values
            case ast.FunctionDef(name=owner) if owner == name:
                yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value)


@pytest.mark.parametrize("file", SENTENCES)
def test_every_sentence_for_a_person_who_decides_is_known(file: str) -> None:
    tree = ast.parse((ROOT / "edge" / file).read_text(encoding="utf-8"))
    texts = alike({text for text in map(sentence, told(tree, SENTENCES[file])) if text})
    assert len(texts) > 1
    assert texts - known_said() - COMPOSED == set()

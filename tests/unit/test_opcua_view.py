# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine on OPC UA is seen to be when its values come late, in disorder, or as nobody expects them."""

from __future__ import annotations

import pytest

from edge.domain.inputs import InputSample
from edge.drivers.opcua.settings import OpcUaSettings
from edge.drivers.opcua.values import Value
from edge.drivers.opcua.view import View
from tests.support.fakes import FakeClock
from tests.support.opcua import settings

DOOR = {"name": "door", "node": "Interlock/DoorClosed", "shows": "door"}


def door_settings() -> OpcUaSettings:
    return settings("opc.tcp://127.0.0.1:4840", inputs=(DOOR,))


@pytest.mark.parametrize(("value", "healthy"), [(False, False), (None, None), (3, None)])
def test_a_door_that_opens_after_the_clock_was_set_back_is_open_at_once(value: object, healthy: bool | None) -> None:
    clock = FakeClock()
    view = View("Lathe", door_settings(), clock)
    samples: list[InputSample] = []
    view.subscribe_inputs(samples.append)
    view.read({"input:door": Value(True, source_ns=900)}, clock.boot_ns())
    clock.pass_s(0.1)
    view.report({"input:door": Value(value, source_ns=100)}, ())
    assert [one.healthy for one in samples] == [True, healthy]
    assert samples[-1].taken_ns == clock.boot_ns()


def test_a_door_is_not_closed_again_by_a_report_that_a_reading_overtook() -> None:
    clock = FakeClock()
    view = View("Lathe", door_settings(), clock)
    samples: list[InputSample] = []
    view.subscribe_inputs(samples.append)
    view.read({"input:door": Value(False, server_ns=900)}, clock.boot_ns())
    view.report({"input:door": Value(True, server_ns=800)}, ())
    assert [one.healthy for one in samples] == [False]

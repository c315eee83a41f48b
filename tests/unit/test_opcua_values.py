# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two values of a node is the newer one, when reports and readings overtake each other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asyncua import ua

from edge.drivers.opcua.translate import reading_of
from edge.drivers.opcua.values import Value, Values


def test_a_report_that_a_reading_overtook_changes_nothing() -> None:
    values = Values()
    values.read({"parts": Value(7, source_ns=200)}, asked_ns=10, now_ns=20)
    assert values.report({"parts": Value(6, source_ns=100)}, now_ns=30) == set()
    assert values.known == {"parts": 7}
    assert values.report({"parts": Value(8, source_ns=300)}, now_ns=40) == {"parts"}
    assert values.known == {"parts": 8}
    assert values.newest_ns == 300


def test_without_source_timestamps_the_servers_time_tells_that_a_reading_overtook_a_report() -> None:
    values = Values()
    values.report({"parts": Value(10, server_ns=100)}, now_ns=1)
    values.read({"parts": Value(11, server_ns=200)}, asked_ns=2, now_ns=3)
    assert values.report({"parts": Value(10, server_ns=150)}, now_ns=4) == set()
    assert values.known == {"parts": 11}
    assert values.report({"parts": Value(12, server_ns=300)}, now_ns=6) == {"parts"}
    assert values.newest_ns is None


def test_the_servers_time_is_not_asked_where_the_source_gives_one() -> None:
    values = Values()
    values.read({"parts": Value(7, source_ns=100, server_ns=900)}, asked_ns=10, now_ns=20)
    assert values.report({"parts": Value(8, source_ns=200, server_ns=300)}, now_ns=30) == {"parts"}
    assert values.report({"parts": Value(9, server_ns=200)}, now_ns=40) == set()


def test_what_is_always_taken_is_taken_with_any_time() -> None:
    values = Values()
    values.read({"door": Value(True, source_ns=900)}, asked_ns=10, now_ns=20)
    assert values.report({"door": Value(False, source_ns=100)}, now_ns=30, always={"door"}) == {"door"}
    values.report({"door": Value(True, source_ns=110)}, now_ns=45)
    assert values.read({"door": Value(False, source_ns=90)}, 40, 50, always={"door"}) == {"door"}
    assert values.known == {"door": False}


def test_a_reading_that_a_report_overtook_changes_nothing() -> None:
    values = Values()
    values.report({"parts": Value(8, source_ns=300)}, now_ns=15)
    assert values.read({"parts": Value(7, source_ns=200)}, asked_ns=10, now_ns=20) == set()
    assert values.known == {"parts": 8}


def test_without_source_timestamps_what_was_reported_while_a_reading_was_on_its_way_stays() -> None:
    values = Values()
    values.report({"parts": Value(8)}, now_ns=15)
    assert values.read({"parts": Value(7)}, asked_ns=10, now_ns=20) == set()
    assert values.read({"parts": Value(9)}, asked_ns=30, now_ns=40) == {"parts"}
    assert values.report({"parts": Value(10)}, now_ns=50) == {"parts"}
    assert values.newest_ns is None


def test_what_became_unknown_meanwhile_is_read() -> None:
    values = Values()
    values.report({"parts": Value(None)}, now_ns=15)
    assert values.read({"parts": Value(7)}, asked_ns=10, now_ns=20) == {"parts"}


def test_a_clock_that_is_set_back_is_followed_from_the_next_reading_on() -> None:
    values = Values()
    values.read({"parts": Value(7, source_ns=900)}, asked_ns=10, now_ns=20)
    assert values.report({"parts": Value(8, source_ns=100)}, now_ns=30) == set()
    assert values.read({"parts": Value(8, source_ns=100)}, asked_ns=40, now_ns=50) == {"parts"}
    assert values.report({"parts": Value(9, source_ns=110)}, now_ns=60) == {"parts"}
    assert (values.known["parts"], values.newest_ns) == (9, 110)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, Value(None)),
        (ua.DataValue(None), Value(None)),
        (ua.DataValue(ua.Variant(5)), Value(5)),
        (ua.DataValue(ua.Variant(5), ua.StatusCode(ua.StatusCodes.BadCommunicationError)), Value(None)),
        (ua.DataValue(ua.Variant(5), ua.StatusCode(ua.StatusCodes.UncertainInitialValue)), Value(None)),
        (ua.DataValue(ua.Variant(5), ua.StatusCode(0x480)), Value(5, overflowed=True)),
        (
            ua.DataValue(ua.Variant(5), SourceTimestamp=datetime(2026, 1, 1, tzinfo=UTC)),
            Value(5, source_ns=1_767_225_600_000_000_000),
        ),
        (
            ua.DataValue(ua.Variant(5), SourceTimestamp=datetime(1601, 1, 1)),  # noqa: DTZ001 - as older servers give it
            Value(5, source_ns=-11_644_473_600_000_000_000),
        ),
        (
            ua.DataValue(ua.Variant(5), ServerTimestamp=datetime(2026, 1, 1, tzinfo=UTC)),
            Value(5, server_ns=1_767_225_600_000_000_000),
        ),
    ],
)
def test_a_data_value_is_known_only_with_good_quality(data: ua.DataValue | None, expected: Value) -> None:
    assert reading_of(data) == expected

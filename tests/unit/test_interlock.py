# SPDX-License-Identifier: GPL-3.0-or-later
"""The latch, over every sequence of inputs that hypothesis can think of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.domain.inputs import InputRule, InputSample
from edge.safety.interlock import InputStatus, Interlock, LatchState, Reading, first_bad, read, reset, step

RULE = InputRule("door", "Door", "controller", 500_000_000, "Close the door.")
NAMES = ("door", "stop-circuit", "cover")

statuses = st.sampled_from(InputStatus)
readings = st.lists(statuses, max_size=3).map(
    lambda items: tuple(
        Reading(InputRule(name, name, "controller", 1, "look"), status, 0)
        for name, status in zip(NAMES, items, strict=False)
    )
)
actions = st.lists(st.tuples(st.booleans(), readings), max_size=30)


def walk(steps: list[tuple[bool, tuple[Reading, ...]]]) -> list[tuple[Interlock, bool, tuple[Reading, ...], Interlock]]:
    state, out = Interlock(), []
    for is_reset, seen in steps:
        after = reset(state, seen) if is_reset else step(state, seen)
        out.append((state, is_reset, seen, after))
        state = after
    return out


@given(actions)
def test_only_a_reset_with_every_input_healthy_permits(steps: list[tuple[bool, tuple[Reading, ...]]]) -> None:
    for before, is_reset, seen, after in walk(steps):
        if after.state is LatchState.PERMITTED and before.state is not LatchState.PERMITTED:
            assert is_reset
            assert seen
            assert all(item.status is InputStatus.HEALTHY for item in seen)


@given(actions)
def test_anything_but_healthy_ends_the_permission_at_once(steps: list[tuple[bool, tuple[Reading, ...]]]) -> None:
    for before, _, seen, after in walk(steps):
        if before.state is LatchState.PERMITTED and (not seen or first_bad(seen) is not None):
            assert after.state is LatchState.TRIPPED
            assert after.cause == first_bad(seen)


@given(actions)
def test_a_trip_latches_until_a_reset(steps: list[tuple[bool, tuple[Reading, ...]]]) -> None:
    for before, is_reset, _, after in walk(steps):
        if before.state is LatchState.TRIPPED and not is_reset:
            assert after is before


@given(actions)
def test_the_latch_starts_unknown_and_never_becomes_unknown_again(
    steps: list[tuple[bool, tuple[Reading, ...]]],
) -> None:
    assert Interlock().state is LatchState.UNKNOWN
    for before, _, _, after in walk(steps):
        if before.state is not LatchState.UNKNOWN:
            assert after.state is not LatchState.UNKNOWN


@given(st.none() | st.booleans(), st.integers(-(10**10), 10**10))
def test_a_sample_is_healthy_only_while_it_is_fresh(healthy: bool | None, age: int) -> None:
    status = read(RULE, InputSample("door", healthy, 0, "controller"), age).status
    fresh = 0 <= age <= RULE.max_age_ns
    if not fresh or healthy is None:
        assert status is InputStatus.UNKNOWN
    else:
        assert status is (InputStatus.HEALTHY if healthy else InputStatus.OPEN)


def test_a_missing_sample_is_unknown() -> None:
    assert read(RULE, None, 0) == Reading(RULE, InputStatus.UNKNOWN, None)


def test_an_open_input_is_named_before_an_unknown_one() -> None:
    unknown = Reading(RULE, InputStatus.UNKNOWN, None)
    opened = Reading(RULE, InputStatus.OPEN, 3)
    assert first_bad([unknown, opened]) is opened
    assert first_bad([]) is None


def test_an_interlock_that_watches_nothing_never_permits() -> None:
    assert reset(Interlock(), ()).state is LatchState.UNKNOWN

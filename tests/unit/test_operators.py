# SPDX-License-Identifier: GPL-3.0-or-later
"""The PIN: slow hash, growing delay, sessions that end."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.services.operators import LockedOut, OperatorDesk, WrongPin
from edge.store.pin import PinUnusable, StoredPin, write_pin
from tests.support.fakes import FakeClock


@pytest.fixture
def pin_file(tmp_path: Path) -> Path:
    path = tmp_path / "pin"
    write_pin(path, "482915")
    return path


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def desk(pin_file: Path, clock: FakeClock) -> OperatorDesk:
    return OperatorDesk(StoredPin(pin_file), clock)


async def test_the_right_pin_opens_a_session_that_ends(desk: OperatorDesk, clock: FakeClock) -> None:
    token = await desk.login("482915")
    assert desk.knows(token)
    assert not desk.knows("another")
    assert not desk.knows(None)
    clock.pass_s(13 * 3600)
    assert not desk.knows(token)


async def test_logout_ends_the_session(desk: OperatorDesk) -> None:
    token = await desk.login("482915")
    desk.logout(token)
    desk.logout(None)
    assert not desk.knows(token)


async def test_the_delay_grows_with_each_wrong_pin_and_holds_for_the_right_one(
    desk: OperatorDesk, clock: FakeClock
) -> None:
    for _ in range(2):
        with pytest.raises(WrongPin):
            await desk.login("000000")
        assert desk.retry_after_s() == 0
    delays = []
    for _ in range(8):
        with pytest.raises(WrongPin):
            await desk.login("000000")
        delays.append(desk.retry_after_s())
        with pytest.raises(LockedOut):
            await desk.login("482915")
        clock.pass_s(desk.retry_after_s())
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300]
    assert desk.knows(await desk.login("482915"))


async def test_sessions_are_bounded(desk: OperatorDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.services.operators.MAX_SESSIONS", 3)
    tokens = [await desk.login("482915") for _ in range(5)]
    assert sum(desk.knows(token) for token in tokens) == 3
    assert desk.knows(tokens[-1])


def test_the_file_holds_no_pin(pin_file: Path) -> None:
    text = pin_file.read_text()
    assert text.startswith("$argon2id$")
    assert "482915" not in text


@pytest.mark.parametrize("pin", ["", "123", "12a4", "１２３４５x"])
def test_a_weak_pin_is_refused(tmp_path: Path, pin: str) -> None:
    with pytest.raises(PinUnusable, match="at least 4 digits"):
        write_pin(tmp_path / "pin", pin)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PinUnusable, match="set-pin"):
        StoredPin(tmp_path / "none")
    broken = tmp_path / "broken"
    broken.write_text("hello")
    with pytest.raises(PinUnusable, match="no argon2 hash"):
        StoredPin(broken).matches("1234")

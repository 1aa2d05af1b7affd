"""Packets are due one after the other, by a clock that nobody sets, and no stall is made up for."""

import asyncio

import pytest

from sonora_app.runtime.pace import LATE_SECS, Pace

pytestmark = pytest.mark.unit

PACKET_SECS = 0.02


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which goes on only where somebody sleeps or a test says so."""
    now = [100.0]

    async def sleep(secs: float) -> None:
        now[0] += secs

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return now


async def test_packets_come_at_their_pace_however_long_each_takes(now: list[float]) -> None:
    pace = Pace(lambda: now[0])
    sent: list[float] = []
    for work_secs in (0.0, 0.015, 0.005, 0.05, 0.0, 0.0, 0.0):
        await pace.wait(PACKET_SECS)
        sent.append(round(now[0] - 100.0, 3))
        now[0] += work_secs
    assert sent == [0.0, 0.02, 0.04, 0.06, 0.11, 0.11, 0.12]


async def test_a_stall_is_not_made_up_for(now: list[float]) -> None:
    pace = Pace(lambda: now[0])
    await pace.wait(PACKET_SECS)
    now[0] += 10 * LATE_SECS
    resumed_at = now[0]
    for number in range(5):
        await pace.wait(PACKET_SECS)
        assert now[0] - resumed_at == pytest.approx(number * PACKET_SECS)

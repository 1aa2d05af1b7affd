"""Old sound is dropped where it stays old, and no sound that only came late once."""

from collections.abc import Iterable

import pytest

from sonora_app.runtime.backlog import OLD_SECS, PATIENCE_SECS, TOO_OLD_SECS, Backlog

pytestmark = pytest.mark.unit

PIECE_SECS = 0.02
PIECES = 2_000


def heard(read_at: Iterable[float]) -> tuple[list[int], float]:
    """Which pieces of a stream, of which one comes each 20 ms, are listened to when they are read
    at these times; and how many seconds are told as dropped."""
    now = [0.0]
    backlog = Backlog(lambda: now[0])
    listened: list[int] = []
    told = 0.0
    for number, now[0] in enumerate(read_at):
        dropped_secs = backlog.read(7.0 + number * PIECE_SECS)
        if dropped_secs is not None:
            listened.append(number)
            told += dropped_secs
    return listened, told


def read_by(busy: float, stalls: dict[int, float]) -> list[float]:
    """When a process reads the pieces, each of which takes `busy` seconds; stalls before some."""
    times: list[float] = []
    free = 0.0
    for number in range(PIECES):
        free = max(free, number * PIECE_SECS) + stalls.get(number, 0.0)
        times.append(free)
        free += busy
    return times


@pytest.mark.parametrize("stall_secs", [0.5, OLD_SECS + 0.5, TOO_OLD_SECS - 0.1])
def test_a_process_that_stalls_shortly_hears_everything(stall_secs: float) -> None:
    listened, told = heard(read_by(0.001, {100: stall_secs, 900: stall_secs}))
    assert len(listened) == PIECES
    assert told == 0.0


def test_after_a_long_stall_the_newest_is_heard() -> None:
    listened, told = heard(read_by(0.001, {100: 6.0}))
    left_out = sorted({*range(PIECES)} - {*listened})
    assert left_out[0] == 100
    assert len(left_out) * PIECE_SECS == pytest.approx(6.0, abs=0.5)
    assert told == pytest.approx(len(left_out) * PIECE_SECS, abs=0.05)
    assert listened[-500:] == [*range(PIECES - 500, PIECES)]


def test_what_a_process_cannot_keep_up_with_is_dropped_again_and_again() -> None:
    """Each piece takes 5 ms too long, until the backlog is dropped, which takes 1 ms a piece."""
    now = [0.0]
    backlog = Backlog(lambda: now[0])
    ages: list[float] = []
    dropped = 0.0
    for number in range(PIECES):
        now[0] = max(now[0], number * PIECE_SECS)
        secs = backlog.read(number * PIECE_SECS)
        if secs is not None:
            ages.append(now[0] - number * PIECE_SECS)
            dropped += secs
        now[0] += 0.001 if secs is None else 0.025
    assert dropped > 3.0
    assert max(ages) < OLD_SECS + PATIENCE_SECS


def test_a_stream_whose_own_time_stood_still_is_heard_again_soon() -> None:
    """As of a client that sent nothing for a minute, and did not count it."""
    times = [number * PIECE_SECS + (60.0 if number >= 500 else 0.0) for number in range(PIECES)]
    listened, _ = heard(times)
    assert PIECES - len(listened) <= (PATIENCE_SECS + 0.1) / PIECE_SECS
    assert listened[-1000:] == [*range(PIECES - 1000, PIECES)]


@pytest.mark.parametrize(("stalls", "told"), [(True, 4.0), (False, 0.0)])
def test_sound_that_pipecat_threw_away_in_a_stall_is_told(stalls: bool, told: float) -> None:
    now = [0.0]
    backlog = Backlog(lambda: now[0])
    for number in range(100):
        now[0] = number * PIECE_SECS
        backlog.tick()
        assert backlog.read(now[0]) == 0.0
    for _ in range(200):
        now[0] += PIECE_SECS
        if not stalls:
            backlog.tick()
    assert backlog.read(now[0]) == pytest.approx(told)
    now[0] += PIECE_SECS
    backlog.tick()
    assert backlog.read(now[0]) == 0.0


def test_another_stream_begins_anew() -> None:
    now = [0.0]
    backlog = Backlog(lambda: now[0])
    assert backlog.read(100.0) == 0.0
    backlog.restart()
    now[0] = 50.0
    assert backlog.read(0.0) == 0.0

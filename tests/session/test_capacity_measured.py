"""The measurement behind `sonora doctor --calls`, as small as it gets."""

import pytest

from benchmarks import capacity

pytestmark = [pytest.mark.session, pytest.mark.slow]


async def test_answers_are_timed_with_one_call_and_with_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Beside other tests answers may be slow.
    monkeypatch.setattr(capacity, "_ANSWERED_SECS", 20.0)
    steps = [step async for step in capacity.measure((1, 2), waits=2)]
    assert steps[0].calls == 1
    assert steps[0].ratio == 1.0
    assert 100 < steps[0].p95_ms < 20_000
    assert not any(step.unanswered for step in steps)

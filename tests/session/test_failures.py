"""Each way in which a vendor, the page or the disk may fail, at each moment at which it may: see
`failure_cases.py`.
"""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.session.failure_calls import SILENCE_SECS, failing_bots, started
from tests.session.failure_cases import CASES, Case, Outcome
from tests.session.failure_table import TABLE, cells, read

# The calls that are held at a time, each judged by how long it is silent, take two processors.
pytestmark = [pytest.mark.session, pytest.mark.slow, pytest.mark.alone]

Calls = dict[str, "asyncio.Task[Outcome]"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Calls]:
    """The calls of the cases that are to be run, held beside each other."""
    asked = {item.callspec.id for item in request.session.items if hasattr(item, "callspec")}
    with failing_bots(tmp_path_factory.mktemp("failing")) as bots:
        tasks = started([case for case in CASES if case.name in asked], bots)
        yield {case.name: task for case, task in tasks.items()}
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_nobody_is_left_in_silence(case: Case, calls: Calls) -> None:
    outcome = await calls[case.name]
    assert outcome.is_as_in(case), outcome
    assert outcome.silence_secs < SILENCE_SECS


def test_the_table_has_these_cases_and_outcomes() -> None:
    assert read(TABLE.read_text(encoding="utf-8")) == [cells(case) for case in CASES]

"""A small storm of tools, as `python -m benchmarks.tool_storm` runs a large one."""

from pathlib import Path

import pytest

from benchmarks.tool_storm import Options, Storm

pytestmark = [pytest.mark.session, pytest.mark.slow]


async def test_under_faults_each_is_done_at_most_once_and_none_is_lost(tmp_path: Path) -> None:
    report = await Storm(Options(calls=20, seed=7, people=3, folder=tmp_path)).run()
    assert report.wrong == []
    assert report.asked >= 20
    assert report.done.total() >= 15
    assert report.cut_in["cut in"] > 0

"""The soak, short: it calls, finds what is kept, and reports."""

import json
from pathlib import Path

import pytest

from benchmarks.soak.run import Options, soak

pytestmark = [pytest.mark.session, pytest.mark.slow]


async def test_a_short_soak(tmp_path: Path) -> None:
    report = await soak(
        Options(
            seed=13722,
            sessions=1,
            minutes=0.2,
            round_minutes=0.2,
            first_round=0,
            supabase=False,
            stt="nova-3",
            output=tmp_path,
        )
    )
    assert report.violations == []
    assert report.calls >= 1
    assert report.turns >= 1
    assert report.messages > report.turns
    assert sum(report.end_reasons.values()) == report.calls
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["calls"] == report.calls
    assert "0 violations" in (tmp_path / "report.md").read_text(encoding="utf-8")

"""Many calls together: the figures, and the conversations behind each of them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simulators.clients.many_calls import begun, write_calls
from sonora_app.cli import app
from sonora_app.storage.figures import BUCKET_MS, FiguresWanted, GroupedBy
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import EndReason
from sonora_app.storage.wanted import Wanted, WantedCall

pytestmark = pytest.mark.unit


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "data" / "journal.db")
    await journal.write(write_calls())
    yield journal
    await journal.aclose()


async def users(journal: Journal, **call: Any) -> list[str | None]:
    listings = await journal.conversations(Wanted(call=WantedCall(**call)))
    return [each.conversation.user_id for each in listings]


async def test_calls_are_added_up_by_day_version_and_flow(journal: Journal) -> None:
    by_day = await journal.figures(FiguresWanted())
    first, second = by_day.groups

    assert (first.key, second.key) == ("2026-03-01", "2026-03-02")
    assert (first.calls, second.calls, by_day.total.calls) == (3, 2, 5)
    assert first.ended == {"goodbye": 2, "error": 1}
    assert second.ended == {"user_idle": 1, "not_ended": 1}
    assert by_day.total.failures == {"model_unavailable": 2, "voice_unavailable": 1, "tool": 1}
    assert (first.turns_cut, second.turns_cut) == (1, 0)
    assert (first.early_answers, first.early_answers_withdrawn) == (9, 3)
    assert (first.prompt_tokens, first.completion_tokens) == (3_300, 330)
    assert first.cost == {"USD": pytest.approx(0.03)}
    assert (first.cost_unknown, second.cost_unknown) == (1, 1)
    assert first.answers == 8
    # Of 100, 300, 300, 500, 500, 700, 900, 2500.
    assert first.wait_ms is not None
    assert first.wait_ms[0] == pytest.approx(500, abs=BUCKET_MS)
    assert first.wait_ms[1] == pytest.approx(2_500, abs=BUCKET_MS)
    assert second.wait_ms is None

    versions = (await journal.figures(FiguresWanted(GroupedBy.VERSION))).groups
    assert {each.key: each.calls for each in versions} == {"1": 3, "2": 2}
    flows = (await journal.figures(FiguresWanted(GroupedBy.FLOW))).groups
    assert {each.key: each.calls for each in flows} == {"": 1, "f1": 3, "f2": 1}


async def test_days_are_those_of_the_clock_of_who_asks(journal: Journal) -> None:
    west = await journal.figures(FiguresWanted(zone=timedelta(hours=-13)))
    assert [(each.key[5:], each.calls) for each in west.groups] == [
        ("02-28", 1),
        ("03-01", 2),
        ("03-02", 2),
    ]


async def test_only_those_of_a_time_are_added_up(journal: Journal) -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert (await journal.figures(FiguresWanted(since=noon))).total.calls == 2
    assert (await journal.figures(FiguresWanted(until=noon))).total.calls == 3
    assert (await journal.figures(FiguresWanted(until=begun(0)))).groups == ()


async def test_behind_each_figure_stand_its_conversations(journal: Journal) -> None:
    assert await users(journal, ended=EndReason.ERROR) == ["broken"]
    assert await users(journal, cut=True) == ["cut"]
    assert await users(journal, failure="model_unavailable") == ["broken"]
    assert await users(journal, failure="tool") == ["cut"]
    assert await users(journal, version="2") == ["going", "idle"]
    assert await users(journal, flow="f2") == ["idle"]
    assert await users(journal, since=datetime(2026, 3, 2, tzinfo=UTC)) == ["going", "idle"]
    assert await users(journal, until=begun(1)) == ["calm"]
    assert await users(journal, cut=True, ended=EndReason.ERROR) == [], "of one and the same call"
    resolved = await journal.conversations(Wanted(outcome="resolved"))
    assert [each.conversation.user_id for each in resolved] == ["calm"]


async def test_what_is_deleted_counts_no_more(journal: Journal) -> None:
    (broken,) = await journal.conversations(Wanted(user_id="broken"))
    await journal.erasure.erase([broken.conversation.id], since=None)
    total = (await journal.figures(FiguresWanted())).total
    assert (total.calls, total.ended.get("error"), total.failures) == (4, None, {"tool": 1})


async def test_the_command_tells_them(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))

    async def ran(*arguments: str) -> str:
        # In a thread, since the command has an event loop of its own.
        result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    async def run(*arguments: str) -> str:
        return await ran("calls", "figures", *arguments)

    data = json.loads(await run("--by", "version", "--json"))
    assert [each["key"] for each in data["groups"]] == ["1", "2"]
    assert data["total"]["calls"] == 5
    assert data["total"]["wait_ms"]["median"] > 0
    lines = (await run("--by", "version")).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "all"]
    assert "≥ 0.03 USD" in lines[1]
    assert (await run("--since", "2030-01-01")).strip() == "No calls."
    outcomes = ((("--outcome", each), "calm") for each in ("resolved", "Resuelto"))
    for wanted, user in ((("--cut",), "cut"), *outcomes):
        listed = json.loads(await ran("conversations", "list", *wanted, "--json"))
        assert [each["user_id"] for each in listed] == [user]

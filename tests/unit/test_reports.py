"""Reports of calls: what they cost, the document, and that each is sent once, signed."""

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from simulators.clients.kept_journal import HOSTILE, START, add_cut_turn, write_journal
from simulators.clients.report_hook import SECRET, Hook, report_hook
from sonora_app.cli import app
from sonora_app.errors import SettingsError
from sonora_app.reports.cost import Cost, cost_of
from sonora_app.reports.prices import PriceList, load_prices
from sonora_app.reports.report import schema_text
from sonora_app.reports.sender import ReportSender
from sonora_app.reports.usage import Used
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import (
    Conversation,
    EndReason,
    Session,
    SessionUpdate,
    utc_now,
    uuid7,
)

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
LLM = Used(part="llm", provider="openai", model="gpt-4.1-2025-04-14", prompt_tokens=10_000,
           cached_tokens=4_000, completion_tokens=500, answers=3)  # fmt: skip


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)  # pyright: ignore[reportCallIssue]


# --- What it costs


def test_a_call_costs_what_was_counted_times_the_prices() -> None:
    prices = PriceList.model_validate(
        {
            "date": "2026-11-29",
            "currency": "USD",
            "prices": [
                {"provider": "openai", "model": "gpt-4.1", "per_million_tokens": {"input": 2,
                 "cached_input": 0.5, "output": 8}},
                {"provider": "deepgram", "model": "nova-3", "per_audio_minute": 0.006},
                {"provider": "cartesia", "model": "sonic", "per_million_characters": 40},
            ],
        }
    )  # fmt: skip
    heard = Used(part="stt", provider="deepgram", model="nova-3", audio_secs=90)
    spoken = Used(part="tts", provider="cartesia", model="sonic", characters=1_000)

    cost = cost_of([LLM, heard, spoken], prices)

    # 6,000 at 2, 4,000 at 0.5 and 500 at 8 for a million; a minute and a half; 1,000 at 40.
    assert cost.known == cost.total == pytest.approx(0.012 + 0.002 + 0.004 + 0.009 + 0.04)
    assert cost.prices_of == date(2026, 11, 29)


@pytest.mark.parametrize(
    ("used", "reason"),
    [
        (Used(part="tts", provider="cartesia", model="sonic-3.6", characters=9), "no_price"),
        (Used(part="llm", provider="gateway.example", model="gpt-4.1", answers=1), "no_price"),
        (LLM.model_copy(update={"uncounted": 1}), "not_counted"),
    ],
)
def test_what_is_not_known_is_no_nothing(used: Used, reason: str) -> None:
    cost = cost_of([used], load_prices(None))

    assert cost.total is None
    assert [each.reason for each in cost.not_known] == [reason]


def test_cached_tokens_without_a_price_of_their_own_are_not_known() -> None:
    tokens = {
        "provider": "openai",
        "model": "gpt-4.1",
        "per_million_tokens": {"input": 2, "output": 8},
    }
    prices = PriceList.model_validate({"date": "2026-01-01", "currency": "USD", "prices": [tokens]})

    assert cost_of([LLM], prices).total is None
    assert cost_of([LLM.model_copy(update={"cached_tokens": 0})], prices).total is not None


def test_stand_ins_and_local_models_are_paid_to_nobody() -> None:
    used = [
        Used(part="stt", provider="local", model="whisper", audio_secs=9),
        Used(part="llm", provider="stand_in", uncounted=3),
    ]
    assert cost_of(used, load_prices(None)).total == 0


def test_a_list_of_ones_own_counts_first(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(
        "date: 2026-10-01\ncurrency: USD\nprices:\n"
        "- {provider: openai, model: gpt-4.1, per_million_tokens: {input: 1, output: 1}}\n"
    )
    prices = load_prices(own)

    assert prices.date == date(2026, 10, 1)
    mine, theirs = prices.of("openai", "gpt-4.1"), prices.of("deepgram", "nova-3")
    assert mine is not None
    assert mine.per_million_tokens is not None
    assert mine.per_million_tokens.input == 1
    assert theirs == load_prices(None).of("deepgram", "nova-3")


@pytest.mark.parametrize("written", ["prices: [", "date: 2026-01-01", "currency: USD\ndate: x\n"])
def test_a_list_with_a_mistake_is_told(tmp_path: Path, written: str) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(written)
    with pytest.raises(SettingsError, match="cannot be used"):
        load_prices(own)
    with pytest.raises(SettingsError, match="cannot be used"):
        load_prices(tmp_path / "missing.yaml")


# --- The document


def test_the_published_form_is_the_one_of_the_code() -> None:
    assert (PROJECT / "docs" / "call-report.schema.json").read_text("utf-8") == schema_text()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "journal.db"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["calls", *arguments])


def test_the_command_writes_a_report_of_that_form(machine: Path) -> None:
    kept = write_journal(machine)
    by_conversation = json.loads(run("report", str(kept.talk)[-8:]).stdout)
    last = json.loads(run("report", "last").stdout)
    assert by_conversation == last
    assert last["call"]["transport"] == "daily"
    assert last["call"]["ended_at"] is None
    assert last["cost"] is None

    journal = asyncio.run(_calls(machine))
    first = json.loads(run("report", str(journal[-1].id)[-12:]).stdout)
    assert first == json.loads(run("report", str(journal[-1].id)).stdout)
    jsonschema.validate(first, json.loads(schema_text()))
    assert first["call"]["duration_secs"] == 75
    assert [turn["words"] for turn in first["turns"]] == [
        "Hola, Ana.",
        "Quiero ir a Oaxaca",
        HOSTILE,
    ]
    assert [step["to_node"] for step in first["steps"]] == ["greeting", "conversation"]
    assert [tool["status"] for tool in first["tools"]] == ["done", "started"]
    assert first["conversation"]["topics"] == ["viajes", "Oaxaca"]

    plain = run("report", str(journal[-1].id), "--without-words").stdout
    jsonschema.validate(json.loads(plain), json.loads(schema_text()))
    assert "Oaxaca" not in plain
    assert len(json.loads(plain)["turns"]) == 3


def test_the_parts_of_a_turn_that_was_cut_in_two_can_be_put_together(machine: Path) -> None:
    kept = write_journal(machine)
    call = asyncio.run(_calls(machine))[-1].id
    parts = add_cut_turn(machine, kept.talk, call, START + timedelta(seconds=30))

    report = json.loads(run("report", str(call), "--without-words").stdout)

    jsonschema.validate(report, json.loads(schema_text()))
    told = [(turn["message_id"], turn["continues"]) for turn in report["turns"][-4:]]
    continued = [None, None, str(parts[0]), None]
    assert told == list(zip(map(str, parts), continued, strict=True))


async def _calls(path: Path) -> Any:
    journal = await Journal.connect(path, read_only=True)
    try:
        return await journal.reports.calls(10)
    finally:
        await journal.aclose()


def test_a_call_that_is_not_there_is_2(machine: Path) -> None:
    write_journal(machine)
    result = run("report", "ffff")
    assert result.exit_code == 2
    assert "There is no call ffff." in result.output


# --- Sending it


@asynccontextmanager
async def sending(journal: Journal, hook: Hook, **more: Any) -> AsyncGenerator[ReportSender]:
    given = settings(report_url=hook.url, report_secret=SecretStr(SECRET))
    assert given.sends_reports
    within = {"with_words": False, "within_secs": 60.0, "pause_secs": 0.02, **more}
    sender = ReportSender(journal, given.report_url, given.report_key, **within)
    running = journal.side.start(sender.run())
    try:
        yield sender
    finally:
        running.cancel()


async def ended_call(journal: Journal) -> Session:
    now = utc_now()
    conversation = Conversation(
        id=uuid7(), user_id="ana", summary="De Oaxaca.", created_at=now, updated_at=now
    )
    session = Session(
        id=uuid7(), conversation_id=conversation.id, transport="w", started_at=now, app_version="1"
    )
    end = SessionUpdate(
        id=session.id, ended_at=now + timedelta(seconds=9), end_reason=EndReason.GOODBYE
    )
    await journal.write([conversation, session, end])
    await journal.write([end.model_copy(update={"metrics": {"turns_answered": 2}})])
    return session


def documented_check() -> Any:
    """What docs/operations.md shows."""
    page = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    code = next(
        each for each in re.findall(r"```python\n(.*?)```", page, re.S) if "is_ours" in each
    )
    scope: dict[str, Any] = {}
    imports = "import base64, hashlib, hmac, time\nfrom collections.abc import Mapping\n"
    exec(imports + code, scope)
    return scope["is_ours"]


async def test_a_report_is_sent_until_it_is_taken_and_then_no_more(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    async with report_hook() as hook:
        hook.statuses = [500, 302]
        await journal.reports.follow(60)
        session = await ended_call(journal)
        async with sending(journal, hook) as sender:
            async with asyncio.timeout(30):
                await journal.side.run(sender.send_soon(session.id))
                await hook.taken.wait()
                await journal.side.run(sender.send_soon(session.id))
    ids = [headers["webhook-id"] for headers, _ in hook.came]
    assert ids == [str(session.id)] * 3
    headers, body = hook.came[-1]
    report = json.loads(body)
    jsonschema.validate(report, json.loads(schema_text()))
    assert report["figures"]["turns_answered"] == 2
    assert "Oaxaca" not in body.decode()

    is_ours = documented_check()
    assert is_ours(SECRET, headers, body)
    assert not is_ours(SECRET, headers, body + b" ")
    other = {**headers, "webhook-id": str(uuid7())}
    assert not is_ours(SECRET, other, body)
    old = {**headers, "webhook-timestamp": str(int(time.time()) - 600)}
    assert not is_ours(SECRET, old, body)
    await journal.aclose()


async def test_what_one_process_did_not_send_the_next_does(tmp_path: Path) -> None:
    first = await Journal.connect(tmp_path / "journal.db")
    await first.reports.follow(0)
    session = await ended_call(first)
    # It dies in the middle of an attempt.
    claimed = await first.reports.claim(0)
    assert claimed is not None
    assert claimed.session_id == session.id
    second = await Journal.connect(tmp_path / "journal.db")
    async with report_hook() as hook, sending(second, hook, with_words=True):
        async with asyncio.timeout(30):
            await hook.taken.wait()
    assert json.loads(hook.came[0][1])["conversation"]["summary"] == "De Oaxaca."
    await first.aclose()
    await second.aclose()


async def test_a_call_that_is_still_described_is_waited_for(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    await journal.reports.follow(60)
    session = await ended_call(journal)
    assert await journal.reports.claim(1) is None
    await journal.reports.make_due(session.id)
    assert await journal.reports.claim(60) is not None
    assert await journal.reports.claim(60) is None, "one process at a time"
    await journal.aclose()


async def test_with_no_address_nothing_is_due(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    await journal.reports.follow(0)
    await ended_call(journal)
    await journal.reports.follow_no_more()
    await ended_call(journal)
    assert await journal.reports.next_in() is None
    await journal.aclose()


async def test_what_is_erased_is_not_reported(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    await journal.reports.follow(0)
    session = await ended_call(journal)
    await journal.erasure.erase([session.conversation_id], since=None)
    assert await journal.reports.next_in() is None
    await journal.aclose()


async def test_a_report_that_nobody_takes_is_given_up_after_days(tmp_path: Path) -> None:
    journal = await Journal.connect(tmp_path / "journal.db")
    await journal.reports.follow(0)
    await ended_call(journal)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as other, other:
        other.execute("UPDATE reports_due SET ended_at = ended_at - 3 * 86400")
    async with report_hook() as hook:
        hook.statuses = [500] * 9
        async with sending(journal, hook):
            async with asyncio.timeout(30):
                while await journal.reports.next_in() is not None:
                    await asyncio.sleep(0.01)
    assert len(hook.came) == 1
    await journal.aclose()


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "ftp://example.com", "example.com", "https://"]
)
def test_reports_go_nowhere_that_anybody_can_read_them(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(report_url=url)


def test_an_address_needs_a_secret_that_is_one() -> None:
    with pytest.raises(SettingsError, match="SONORA_REPORT_SECRET"):
        _ = settings(report_url="https://example.com/x").sends_reports
    for secret in ("whsec_!", "whsec_YWJj", "secret"):
        with pytest.raises(ValidationError):
            settings(report_secret=SecretStr(secret))


def test_a_report_reads_what_later_versions_add() -> None:
    kept = {"currency": "USD", "total": None, "known": 0.1, "prices_of": "2026-01-01", "new": 1}
    assert Cost.model_validate(kept).known == 0.1

"""Reports of calls: receivers that misbehave, several bots, a bot that died, what is erased."""

import asyncio
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic import ValidationError

from simulators.clients.report_hook import report_hook
from sonora_app.reports.sender import ReportSender
from sonora_app.runtime.logging import redact_logs
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import (
    Conversation,
    EndReason,
    Message,
    Session,
    SessionUpdate,
    utc_now,
    uuid7,
)

pytestmark = pytest.mark.unit

KEY = b"0123456789012345678901234567"


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncGenerator[Journal]:
    journal = await Journal.connect(tmp_path / "journal.db")
    await journal.reports.follow(0)
    yield journal
    await journal.aclose()


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Generator[Callable[[], str]]:
    """What a process logs at INFO, by loguru and by Python's own logging."""
    lines: list[str] = []
    redact_logs()
    sink = logger.add(lambda line: lines.append(str(line)), level="INFO")
    with caplog.at_level(logging.INFO):
        yield lambda: "".join(lines) + caplog.text
    logger.remove(sink)
    logger.configure(patcher=lambda record: None)


async def call(
    journal: Journal, *, ended: EndReason | None = EndReason.GOODBYE, **of_message: Any
) -> Session:
    now = utc_now()
    talk = Conversation(id=uuid7(), user_id="ana", created_at=now, updated_at=now)
    session = Session(
        id=uuid7(), conversation_id=talk.id, transport="w", started_at=now, app_version="1"
    )
    said = Message.model_validate(
        {"id": uuid7(), "conversation_id": talk.id, "session_id": session.id, "seq": 1}
        | {"role": "user", "content": "quokka", "created_at": now, **of_message}
    )
    await journal.write([talk, session, said])
    if ended is not None:
        end = SessionUpdate(id=session.id, ended_at=now + timedelta(seconds=9), end_reason=ended)
        await journal.write([end])
    return session


@asynccontextmanager
async def sending(journal: Journal, url: str, **more: Any) -> AsyncGenerator[ReportSender]:
    waits = {"within_secs": 0.0, "pause_secs": 0.02, "attempt_secs": 0.3}
    how: dict[str, Any] = {"with_words": False, **waits, **more}
    sender = ReportSender(journal, url, KEY, **how)
    running = journal.side.start(sender.run())
    try:
        yield sender
    finally:
        running.cancel()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.01)


def state_of(journal_path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(journal_path)) as rows:
        asked = "SELECT due_at IS NULL, sent_at IS NOT NULL, problem FROM reports_due"
        return rows.execute(asked).fetchall()


# --- The receiver


async def test_one_that_never_answers_is_left_in_time_and_asked_again(journal: Journal) -> None:
    await call(journal)
    async with report_hook() as hook, sending(journal, hook.url):
        hook.manner = "silent"
        async with asyncio.timeout(30):
            while len(hook.came) < 2:
                await asyncio.sleep(0.01)
            hook.manner = "plain"
            await hook.taken.wait()


async def test_one_that_answers_a_byte_now_and_then_is_left_in_time(
    journal: Journal, tmp_path: Path
) -> None:
    """Each byte comes sooner than any wait for the next would end."""
    await call(journal)

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, sending(journal, url, pause_secs=60):

        async def told() -> bool:
            return state_of(tmp_path / "journal.db") == [(0, 0, "TimeoutError")]

        await until(told)


async def test_the_body_of_an_answer_is_not_read(journal: Journal, tmp_path: Path) -> None:
    await call(journal)
    async with report_hook() as hook, sending(journal, hook.url):
        hook.manner = "endless"

        async def sent() -> bool:
            return state_of(tmp_path / "journal.db") == [(1, 1, None)]

        await until(sent)
    assert len(hook.came) == 1


async def test_one_that_is_gone_for_good_is_not_asked_again(
    journal: Journal, tmp_path: Path
) -> None:
    await call(journal)
    async with report_hook() as hook, sending(journal, hook.url):
        hook.statuses = [520, 410, 200]

        async def given_up() -> bool:
            return state_of(tmp_path / "journal.db") == [(1, 0, "HTTP 410")]

        await until(given_up)
    assert len(hook.came) == 2


async def test_one_that_asks_for_a_wait_is_left_alone_by_all_reports(journal: Journal) -> None:
    await call(journal)
    await call(journal)
    async with report_hook() as hook, sending(journal, hook.url):
        hook.statuses, hook.retry_after = [429], "1"
        async with asyncio.timeout(30):
            while len(hook.came) < 3:
                await asyncio.sleep(0.01)
    first, second, _ = hook.came_at
    assert second - first >= 1


@pytest.mark.parametrize(
    ("status", "asks", "least", "most"),
    [
        (429, "600", 590, 721),
        (503, "a date", 590, 721),
        (503, "86400", 3_590, 4_321),
        (429, "soon", 40, 73),
        (500, "600", 40, 73),
    ],
)
async def test_a_wait_that_is_asked_for_is_kept_up_to_an_hour(
    journal: Journal, tmp_path: Path, status: int, asks: str, least: float, most: float
) -> None:
    await call(journal)
    async with report_hook() as hook, sending(journal, hook.url, pause_secs=60):
        date = format_datetime(utc_now() + timedelta(minutes=10), usegmt=True)
        hook.statuses, hook.retry_after = [status], date if asks == "a date" else asks

        async def told() -> bool:
            return state_of(tmp_path / "journal.db") == [(0, 0, f"HTTP {status}")]

        await until(told)
        assert least <= (await journal.reports.next_in() or 0) <= most


async def test_a_password_or_token_in_the_address_reaches_no_log(
    journal: Journal, shown: Callable[[], str]
) -> None:
    await call(journal)
    async with report_hook() as hook:
        hook.statuses = [500]
        url = hook.url.replace("//", "//ana:uapi@") + "?token=uapi"
        async with sending(journal, url, with_words=True):
            await asyncio.wait_for(hook.taken.wait(), 30)
    assert hook.came[-1][0]["authorization"].startswith("Basic "), "it was used"
    assert "is not taken by 127.0.0.1:" in shown()
    assert "uapi" not in shown()
    assert "quokka" not in shown()


@pytest.mark.parametrize(
    "url",
    ["https://host:port/", "https://a\n.example/", "https://[::1", "https:///x"],
)
def test_an_address_that_nothing_can_be_sent_to_is_told_at_the_start(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None, report_url=url)  # pyright: ignore[reportCallIssue]


# --- Which calls


async def test_a_report_that_cannot_be_made_holds_up_no_other(
    journal: Journal, tmp_path: Path
) -> None:
    """Such as one of a call that another version kept in another form."""
    await call(journal, metrics={"latency": {"total_ms": "soon"}})
    await call(journal)
    async with report_hook() as hook, sending(journal, hook.url, pause_secs=60):
        await asyncio.wait_for(hook.taken.wait(), 30)

        async def told() -> bool:
            return sorted(state_of(tmp_path / "journal.db"), key=str) == [
                (0, 0, "ValidationError"),
                (1, 1, None),
            ]

        await until(told)


async def test_two_bots_of_one_journal_send_each_report_once(tmp_path: Path) -> None:
    paths = [tmp_path / "journal.db"] * 2
    bots = [await Journal.connect(path) for path in paths]
    async with report_hook() as hook, AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(sending(bot, hook.url)) for bot in bots]
        calls = [await call(bot) for bot in bots * 10]
        ended = zip(bots * 10, senders * 10, calls, strict=True)
        await asyncio.gather(*(bot.side.run(it.send_soon(each.id)) for bot, it, each in ended))

        async def all_sent() -> bool:
            return state_of(paths[0]) == [(1, 1, None)] * 20

        await until(all_sent)
    times = Counter(headers["webhook-id"] for headers, _ in hook.came)
    assert times == {str(each.id): 1 for each in calls}
    for bot in bots:
        await bot.aclose()


async def test_a_bot_without_an_address_takes_no_report_from_one_that_has_one(
    journal: Journal, tmp_path: Path
) -> None:
    async with report_hook() as hook, sending(journal, hook.url) as sender:
        other = await Journal.connect(tmp_path / "journal.db")
        await until(journal.reports.follows)
        await other.reports.follow_no_more()
        session = await call(journal)
        await journal.side.run(sender.send_soon(session.id))
        await asyncio.wait_for(hook.taken.wait(), 30)
        await until(other.reports.follows)
        await other.aclose()


async def test_one_that_was_sent_by_another_bot_meanwhile_stays_sent(
    journal: Journal, tmp_path: Path
) -> None:
    session = await call(journal)
    assert await journal.reports.claim(0) is not None
    assert await journal.reports.claim(60) is not None, "the first is taken for dead"
    await journal.reports.sent(session.id)
    await journal.reports.put_off(session.id, "ReadTimeout", 0)
    assert state_of(tmp_path / "journal.db") == [(1, 1, None)]


async def test_what_is_erased_between_two_attempts_is_not_sent(journal: Journal) -> None:
    session = await call(journal)
    async with report_hook() as hook, sending(journal, hook.url, pause_secs=0.3):
        hook.statuses = [500]
        async with asyncio.timeout(30):
            while not hook.came:
                await asyncio.sleep(0.01)
        await journal.erasure.erase([session.conversation_id], since=None)
        other = await call(journal)
        await asyncio.wait_for(hook.taken.wait(), 30)
    assert [json.loads(body)["call"]["id"] for _, body in hook.came] == [
        str(session.id),
        str(other.id),
    ]


async def test_a_call_that_ends_because_its_person_is_erased_is_not_reported(
    journal: Journal, tmp_path: Path
) -> None:
    async with report_hook() as hook, sending(journal, hook.url, with_words=True) as sender:
        session = await call(journal, ended=EndReason.ERASED)
        await journal.side.run(sender.send_soon(session.id))

        async def given_up() -> bool:
            return state_of(tmp_path / "journal.db") == [(1, 0, "erased")]

        await until(given_up)
    assert hook.came == []


async def test_a_call_whose_bot_died_is_reported_by_the_next(tmp_path: Path) -> None:
    first = await Journal.connect(tmp_path / "journal.db")
    await first.reports.follow(0)
    session = await call(first, ended=None)
    await first.aclose()
    second = await Journal.connect(tmp_path / "journal.db")
    await second.close_orphans()
    async with report_hook() as hook, sending(second, hook.url):
        await asyncio.wait_for(hook.taken.wait(), 30)
    report = json.loads(hook.came[0][1])
    assert (report["call"]["id"], report["call"]["end_reason"]) == (str(session.id), "crashed")
    await second.aclose()

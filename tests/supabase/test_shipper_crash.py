"""A bot that is killed while it writes and ships, again and again, on one journal."""

import asyncio
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from loguru import logger

from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Counts
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.shipper import Shipper
from tests.supabase.lite import Lite
from tests.supabase.proxy import FaultProxy, at_random
from tests.supabase.test_shipper_faults import Talk, connected, shipping

pytestmark = [pytest.mark.supabase, pytest.mark.slow]

KILLS = 60
HANGS_SECS = 60.0


def settings(url: str, key: str) -> Settings:
    values: dict[str, Any] = {
        "supabase_url": url,
        "supabase_key": key,
        "supabase_timeout_secs": 0.5,
    }
    return Settings(_env_file=None, **values)


def bot(path: Path, url: str, key: str, talk: Talk, told: Connection) -> None:
    """Write calls and ship them until killed. Tells the ids of what is on the disk."""

    async def run() -> None:
        api = await SupabaseApi.connect(settings(url, key))
        journal = await Journal.connect(path, outbox=True)
        told.send(None)
        await journal.close_orphans()
        shipper = Shipper(journal, api)
        task = asyncio.create_task(shipper.run())
        while not task.done():
            for batch in talk.call(10):
                await journal.write(batch)
                told.send([record.id for record in batch if hasattr(record, "seq")])
                await asyncio.sleep(0.005)

    asyncio.run(run())


async def live_and_die(
    path: Path, proxy: FaultProxy, lite: Lite, talk: Talk, batches: int, more_secs: float
) -> set[UUID]:
    """One life of the bot, which ends `more_secs` after it has told of so many batches.

    Gives the ids of what it said was on the disk.
    """
    context = multiprocessing.get_context("forkserver")
    listening, telling = context.Pipe(duplex=False)
    process = context.Process(target=bot, args=(path, proxy.url, lite.secret_key, talk, telling))
    process.start()
    telling.close()
    kept: set[UUID] = set()
    ends, told = time.monotonic() + HANGS_SECS, -1
    killed = False
    try:
        while True:
            if not killed and time.monotonic() >= ends:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                killed = True
            if listening.poll():
                # The first tells that it has opened the journal.
                kept.update(listening.recv() or ())
                told += 1
                if told == batches:
                    ends = time.monotonic() + more_secs
            else:
                await asyncio.sleep(0.001)
    except (EOFError, OSError):
        pass
    await asyncio.to_thread(process.join, 30)
    assert process.exitcode == -signal.SIGKILL
    return kept


async def test_killed_at_any_point_it_loses_and_doubles_nothing(tmp_path: Path, lite: Lite):
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["tests.supabase.test_shipper_crash", "supabase"]
    )
    numbers = random.Random(11)
    path = tmp_path / "data" / "journal.db"
    talk = Talk()
    kept: set[UUID] = set()
    async with FaultProxy(lite.url) as proxy, connected(lite.url, lite) as direct:
        for life in range(KILLS):
            proxy.choose = at_random(life, rate=0.2)
            batches, more_secs = numbers.randrange(50), numbers.uniform(0, 0.02)
            kept |= await live_and_die(path, proxy, lite, talk, batches, more_secs)
        journal = await Journal.connect(path, outbox=True)
        await journal.close_orphans()
        left = (await journal.outbox.counts()).pending
        shipper = Shipper(journal, direct)
        async with shipping(shipper):
            assert await shipper.drain(60) == 0
        assert await journal.outbox.counts() == Counts(0, 0)
        here = await journal.transcript(talk.conversation.id)
        there = await direct.transcript(talk.conversation.id)
        await journal.aclose()
    assert here is not None
    assert there == here
    ids = [record.id for record in (*there.messages, *there.transitions)]
    assert len(ids) == len(set(ids))
    assert kept <= set(ids)
    # What was on the disk and not yet told: a batch for each life, at the most.
    assert len(ids) - len(kept) <= 2 * KILLS
    assert {session.end_reason for session in there.sessions} <= {"crashed", "goodbye"}
    logger.info(
        f"killed {KILLS} times: {len(ids)} records, {len(kept)} told, {left} left to ship at last,"
        f" through {dict(proxy.seen)}"
    )
    assert len(kept) > 10 * KILLS
